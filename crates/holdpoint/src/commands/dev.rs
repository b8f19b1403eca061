//! `holdpoint dev`: one node in this folder, for trying things out.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use holdpoint_server::config::{DEV_DIR, DEV_PORT, DevOptions, require_loopback};
use holdpoint_server::events::Event;

use crate::exit::Exit;
use crate::node::{listener, run};
use crate::output::{Answer, Failure, Format};
use crate::said::short_sha256;
use crate::sealing::SealingArgs;

/// Start a single node for trying things out
///
/// Everything is kept in one folder: state, keys, a starter policy to change, and the configuration
/// that lets the other commands find the node. A second start keeps all of it. Only programs on this
/// machine can connect, and receipts say that they are of a development node.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// The folder
    #[arg(long, value_name = "DIR", default_value = "./.holdpoint")]
    dir: PathBuf,
    /// Where clients are answered: a loopback address; port 0 takes any free port
    #[arg(long, value_name = "HOST:PORT", default_value_t = SocketAddr::from(([127, 0, 0, 1], DEV_PORT)))]
    listen: SocketAddr,
    #[command(flatten)]
    sealing: SealingArgs,
}

/// Runs it until Ctrl-C or SIGTERM.
pub(crate) fn perform(args: DevArgs, format: Format) -> Result<Answer, Failure> {
    require_loopback(args.listen).map_err(|error| Failure::new(Exit::Usage, &error))?;
    let mut banner = Banner::new(args.dir.clone());
    let listener = listener(format, "starting the node", move |event| banner.tell(event));
    let options = DevOptions {
        dir: args.dir,
        client: args.listen,
        sealing: args.sealing.file(),
    };
    run(listener, |listener| {
        holdpoint_server::dev(options, listener, crate::node::stopped())
    })?;
    Ok(Answer::new("dev").member("stopped", true))
}

/// What is known of the node so far.
struct Banner {
    dir: PathBuf,
    cluster: String,
    client: String,
    policy: String,
    is_new: bool,
}

impl Banner {
    fn new(dir: PathBuf) -> Self {
        let (cluster, client, policy) = (String::new(), String::new(), String::new());
        Self {
            dir,
            cluster,
            client,
            policy,
            is_new: false,
        }
    }

    /// The lines to print now.
    fn tell(&mut self, event: &Event) -> Vec<String> {
        match event {
            Event::Opened {
                cluster, is_new, ..
            } => {
                self.cluster = cluster.to_string();
                self.is_new = *is_new;
            }
            Event::Listening { client, .. } => self.client = client.to_string(),
            Event::PolicyInForce {
                name,
                version,
                digest,
            } => {
                self.policy = format!("{name} v{version} ({})", short_sha256(digest));
            }
            Event::Ready { after } => return self.lines(after.as_secs_f64()),
            Event::Stopping { .. } => return vec!["stopping; the state stays".to_owned()],
            Event::Stopped => return vec!["stopped".to_owned()],
            Event::LeaderKnown { .. } => {}
        }
        Vec::new()
    }

    fn lines(&self, seconds: f64) -> Vec<String> {
        let Self {
            dir,
            cluster,
            client,
            policy,
            is_new,
        } = self;
        let state = if *is_new { "new" } else { "kept" };
        let here = self.how_to_get_here();
        vec![
            format!(
                "holdpoint {}  single node, development (loopback only, keys in {}, receipts say \"dev\")",
                env!("CARGO_PKG_VERSION"),
                dir.display()
            ),
            format!("  cluster  {cluster}"),
            format!("  clients  {client}      policy  {policy}      state  {state}"),
            format!(
                "  try:     holdpoint authorize{here} --surface demo.echo --param message=hello"
            ),
            format!(
                "  guard:   holdpoint run{here} --surface demo.echo --bind file=@README.md -- cat {{file}}"
            ),
            format!("ready in {seconds:.1} s. Ctrl-C stops; the state stays."),
        ]
    }

    /// Commands find the node by themselves only in the folder above `.holdpoint`.
    fn how_to_get_here(&self) -> String {
        let plain = self.dir.strip_prefix(".").unwrap_or(&self.dir);
        if plain == Path::new(DEV_DIR) {
            return String::new();
        }
        format!(
            " --endpoint {} --keys {}",
            self.client,
            self.dir.join("keys.json").display()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use holdpoint_receipt::{Name, NodeId, PolicyVersion, sha256};

    use super::*;

    fn banner(dir: &str) -> String {
        let mut banner = Banner::new(PathBuf::from(dir));
        let cluster = "5f0e0000000000000000000000000001".parse().unwrap();
        let (client, node) = ("127.0.0.1:7400".parse().unwrap(), NodeId::new(1).unwrap());
        let peer = "127.0.0.1:1".parse().unwrap();
        let name = Name::new("starter").unwrap();
        let version = PolicyVersion::new(1).unwrap();
        let mut lines = Vec::new();
        for event in [
            Event::Opened {
                cluster,
                node,
                data_dir: PathBuf::from(dir),
                is_new: true,
            },
            Event::Listening { client, peer },
            Event::PolicyInForce {
                name,
                version,
                digest: sha256(b""),
            },
            Event::Ready {
                after: Duration::from_millis(812),
            },
        ] {
            lines.extend(banner.tell(&event));
        }
        lines.join("\n")
    }

    #[test]
    fn banner_prints_commands_that_work_where_it_is_read() {
        let here = banner("./.holdpoint");
        assert!(
            here.contains("try:     holdpoint authorize --surface demo.echo"),
            "{here}"
        );
        assert!(
            here.contains("policy  starter v1 (sha256:e3b0c442…)      state  new"),
            "{here}"
        );
        assert!(
            here.ends_with("ready in 0.8 s. Ctrl-C stops; the state stays."),
            "{here}"
        );
        let elsewhere = banner("elsewhere");
        assert!(
            elsewhere.contains("authorize --endpoint 127.0.0.1:7400 --keys elsewhere/keys.json"),
            "{elsewhere}"
        );
    }
}
