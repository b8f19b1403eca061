//! `holdpoint run`: asks, redeems, runs the command on the sealed bytes, and says how it ended.
//!
//! ```text
//! prepare ─▶ authorize ─▶ redeem ─▶ run ─▶ complete
//!    │           │           │        │        │
//! 2 125 126 127  120 121 122  123 121  child    child
//! ```
//!
//! Nothing is started without a `Permit<Redeemed>`, which only a verified receipt makes. What is not
//! known is left in doubt, never guessed.

mod prepare;
mod steps;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::exit::Exit;
use crate::gate::{GateArgs, block_on};
use crate::operation::OperationArgs;
use crate::output::{Answer, Failure, Format, tell};
use crate::run::report::{Report, ResultFile};
use crate::times::parse_duration;

/// Run a command only on a permit for exactly its bytes
///
/// Every `{NAME}` in the command becomes the path of a sealed copy of the file that --bind names, and
/// the permit is for the digest of that copy. Nothing is asked before the command is found and the
/// files are read; nothing is started before the permit is redeemed and its receipt verifies.
///
/// Exit 0 of the command commits the permit. If the command could not be started, it is aborted.
/// Anything else leaves it in doubt, unless the surface says that a failure means nothing happened.
/// With --output json the command's stdout goes to stderr, so that stdout holds one object.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    operation: OperationArgs,
    /// Write what happened to this file, as JSON
    ///
    /// The exit code can be the command's own; this tells them apart.
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// Stop the command after this time: SIGTERM, then SIGKILL 10 s later; exit code 124
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Where to keep the receipt of the outcome [default: receipts/ beside the configuration]
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// The command and its arguments, with {NAME} where a bound file belongs
    #[arg(last = true, required = true, num_args = 1.., value_name = "COMMAND")]
    command: Vec<OsString>,
    #[command(flatten)]
    gate: GateArgs,
}

/// Does all of it. What happened goes to `--result`, whatever it was.
pub(crate) fn perform(args: &RunArgs, format: Format) -> Result<Answer, Failure> {
    let file = args.result.as_deref().map(ResultFile::create).transpose()?;
    let mut report = Report::new();
    let ended =
        prepare::prepare(args, &mut report).map_err(|failure| failure.or_exit(Exit::OwnFault));
    let ended =
        ended.and_then(|prepared| block_on(steps::perform(args, format, prepared, &mut report)));
    let (exit, error) = match &ended {
        Ok(exit) => (*exit, None),
        Err(failure) => (failure.exit(), Some(failure.message())),
    };
    let answer = report.answer(exit, error);
    if let Some(Err(failure)) = file.map(|file| file.write(&answer)) {
        // What the command did counts more than the file about it.
        tell(format!("holdpoint: {}", failure.message()));
    }
    match (ended, format) {
        (Err(failure), Format::Human) => Err(failure),
        (Err(failure), Format::Json) => {
            failure.tell();
            Ok(answer)
        }
        (Ok(_), _) => Ok(answer),
    }
}
