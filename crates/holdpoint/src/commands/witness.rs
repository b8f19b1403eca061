//! `holdpoint witness`: a program apart from the cluster that signs heads of logs which continue what
//! it signed before.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use holdpoint_server::witness::{WatchedLog, Witness, WitnessOptions};
use tokio::runtime::Builder;

use crate::exit::Exit;
use crate::node::stopped;
use crate::output::{Answer, Failure, Format, tell};
use crate::sealing::SealingArgs;

/// Run a witness: sign heads of logs that continue what it signed before
///
/// Runs best on another machine, under another operator, than the cluster: whoever wants to rewrite
/// history needs its help, and does not get it. It speaks C2SP tlog-witness over HTTP. At the first
/// start it makes its key; the vkey that it prints goes into the cluster file.
#[derive(Debug, Args)]
pub(crate) struct WitnessArgs {
    /// Where it listens
    #[arg(long, value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// The file of its key, which is made at the first start
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The folder in which it remembers what it signed; without it the key is worth nothing
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// The name of its key, such as `witness.example/w1` [default: made of the key]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A log to watch: its origin, the first line of its heads; can be repeated
    #[arg(long = "log", value_name = "ORIGIN", required = true)]
    logs: Vec<String>,
    /// The published keys of that log, from `holdpoint keys export`; one for each --log, in order
    #[arg(long = "log-keys", value_name = "FILE", required = true)]
    log_keys: Vec<PathBuf>,
    #[command(flatten)]
    sealing: SealingArgs,
}

/// Runs it until SIGTERM or Ctrl-C.
pub(crate) fn perform(args: WitnessArgs, format: Format) -> Result<Answer, Failure> {
    if args.logs.len() != args.log_keys.len() {
        return Err(Failure::usage(
            "give as many --log-keys as --log, in the same order",
        ));
    }
    let logs = args.logs.into_iter().zip(args.log_keys);
    let options = WitnessOptions {
        listen: args.listen,
        key: args.key,
        sealing: args.sealing.file(),
        name: args.name,
        state: args.state,
        logs: logs
            .map(|(origin, keys)| WatchedLog { origin, keys })
            .collect(),
    };
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let witness = Witness::start(options).await;
        let witness = witness.map_err(|error| Failure::new(Exit::Failure, &error))?;
        let told = [
            format!("witness on http://{}", witness.address()),
            format!("vkey {}", witness.verifier()),
            "ready".to_owned(),
        ];
        for line in told {
            match format {
                Format::Human => tell(line),
                Format::Json => tracing::info!("{line}"),
            }
        }
        witness.run(stopped()).await;
        Ok(Answer::new("witness").member("stopped", true))
    })
}
