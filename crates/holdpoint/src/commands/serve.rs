//! `holdpoint serve`: one node of a cluster file.

use std::path::PathBuf;

use clap::Args;
use holdpoint_receipt::NodeId;
use holdpoint_server::config::{ENV_CONFIG, ServeOptions};
use holdpoint_server::events::Event;

use crate::exit::Exit;
use crate::node::{listener, run};
use crate::output::{Answer, Failure, Format};
use crate::sealing::SealingArgs;

/// Run one node of a cluster
///
/// Every node is started with the same cluster file and its own number, in any order. SIGTERM hands
/// leadership over, finishes what was begun, and stops. The log goes to stderr, as JSON lines with
/// --output json; `HOLDPOINT_LOG` sets what is logged (default `info`).
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The cluster file
    #[arg(long, value_name = "FILE", env = ENV_CONFIG, hide_env_values = true)]
    config: PathBuf,
    /// Which of the listed nodes this process is
    #[arg(long, value_name = "N", value_parser = parse_node)]
    node: NodeId,
    #[command(flatten)]
    sealing: SealingArgs,
}

/// A node id of a command line.
pub(crate) fn parse_node(text: &str) -> Result<NodeId, String> {
    let number: u64 = text
        .parse()
        .map_err(|_| format!("`{text}` is not a whole number"))?;
    NodeId::new(number).map_err(|error| error.to_string())
}

/// Runs it until SIGTERM or Ctrl-C.
pub(crate) fn perform(args: ServeArgs, format: Format) -> Result<Answer, Failure> {
    let listener = listener(format, "starting the node", tell);
    let options = ServeOptions {
        config: args.config,
        node: args.node,
        sealing: args.sealing.file(),
    };
    run(listener, |listener| {
        holdpoint_server::serve(options, listener, crate::node::stopped())
    })
    .map_err(|failure| failure.or_exit(Exit::Failure))?;
    Ok(Answer::new("serve").member("stopped", true))
}

/// The lines to print now.
fn tell(event: &Event) -> Vec<String> {
    let line = match event {
        Event::Opened {
            cluster,
            node,
            data_dir,
            is_new,
        } => {
            let state = if *is_new { "new" } else { "kept" };
            format!(
                "node {node} of cluster {cluster}: data directory {} ({state})",
                data_dir.display()
            )
        }
        Event::Listening { client, peer } => format!("clients {client}, nodes {peer}"),
        Event::LeaderKnown {
            leader,
            is_self: true,
            term,
        } => {
            format!("leader {leader} (this node), term {term}")
        }
        Event::LeaderKnown {
            leader,
            is_self: false,
            term,
        } => format!("leader {leader}, term {term}"),
        Event::PolicyInForce { name, version, .. } => format!("policy {name} v{version} in force"),
        Event::Ready { after } => format!("ready in {:.1} s", after.as_secs_f64()),
        Event::Stopping { cause } => format!("stopping: {cause}"),
        Event::Stopped => "stopped".to_owned(),
    };
    vec![line]
}
