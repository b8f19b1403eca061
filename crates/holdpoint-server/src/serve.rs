//! `holdpoint serve`: one node of a cluster file.

use std::future::Future;

use crate::config::{ClusterFile, ServeOptions};
use crate::error::RunError;
use crate::events::Listener;
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
    let options = NodeOptions::listen(cluster, options.node).await?;
    let node = Node::start(options, listener).await?;
    let ready = async |node: &Node| {
        node.ready().await;
        Ok(())
    };
    node.run(ready, stopped).await
}
