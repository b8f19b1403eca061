//! `holdpoint serve`: one node of a cluster file.

use std::future::Future;

use crate::config::{ClusterFile, ServeOptions};
use crate::error::RunError;
use crate::events::Listener;
use crate::home::HomeError;
use crate::node::{Node, NodeOptions};

/// Runs a node of a cluster file until `stopped`.
///
/// # Errors
///
/// [`RunError`] if it does not start, or cannot go on.
pub async fn serve(
    options: ServeOptions,
    listener: Listener,
    stopped: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let cluster = ClusterFile::read(&options.config)?;
    let of_node = cluster.node(options.node)?.sealing.clone();
    // A setting that cannot be used is told before anything is opened.
    let sealing = options.sealing.or(of_node).map(|file| file.read());
    let sealing = sealing.transpose().map_err(HomeError::from)?;
    let options = NodeOptions {
        sealing,
        ..NodeOptions::listen(cluster, options.node).await?
    };
    let node = Node::start(options, listener).await?;
    let ready = async |node: &Node| {
        node.ready().await;
        Ok(())
    };
    node.run(ready, stopped).await
}
