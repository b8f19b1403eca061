//! The one binary: server, worker and operator commands.
//!
//! Reads the command line, calls one command, prints what it says and ends with its code. It never
//! decides anything: what a command means is said by the gate, what a bundle means by
//! `holdpoint-policy`, whether a receipt is genuine by `holdpoint-receipt`.

mod again;
mod args;
mod commands;
mod describe;
mod digests;
mod discover;
mod dry_run;
mod examples;
mod exit;
mod gate;
mod inputs;
mod log;
mod node;
mod operation;
mod output;
mod progress;
mod roots;
mod run;
mod said;
mod sealing;
mod seen;
mod shelf;
mod times;
mod trusted;
mod usage;
mod visible;

use std::ffi::OsString;
use std::process::ExitCode;

use args::{Cli, Command, Output};
use exit::Exit;
use output::{Answer, Failure};

/// A node allocates for every row that it reads and writes, here and in its store. The system's
/// allocator costs a third of a decision, and more the longer the process runs.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let exit = match args::parse(words.iter().cloned()) {
        Ok(cli) => carry_out(cli),
        Err(error) => usage::print(&error, &words),
    };
    ExitCode::from(exit.code())
}

fn carry_out(cli: Cli) -> Exit {
    let format = cli.output.format();
    let logged = log::start(format, log_default(&cli.command));
    match logged.and_then(|()| perform(cli)) {
        Ok(answer) => answer.print(format),
        Err(failure) => failure.print(format),
    }
}

/// What is logged unless the environment says otherwise. The consensus library warns of what is usual
/// while a cluster starts.
const fn log_default(command: &Command) -> &'static str {
    match command {
        Command::Serve(_) => "info,openraft=error",
        Command::Dev(_) => "warn,openraft=error",
        Command::Witness(_) => "info",
        _ => "warn",
    }
}

fn perform(cli: Cli) -> Result<Answer, Failure> {
    let format = cli.output.format();
    if cli.output == Output::CloudEvents && !matches!(cli.command, Command::Watch(_)) {
        return Err(Failure::usage(
            "only `holdpoint watch` prints `cloudevents`; give `human` or `json`",
        ));
    }
    match cli.command {
        Command::Dev(args) => commands::dev::perform(args, format),
        Command::Serve(args) => commands::serve::perform(args, format),
        Command::Authorize(args) => commands::authorize::perform(&args),
        Command::Redeem(args) => commands::redeem::perform(&args),
        Command::Complete(args) => commands::complete::perform(&args),
        Command::Revoke(args) => commands::revoke::perform(&args),
        Command::Run(args) => commands::run::perform(&args, format),
        Command::Approvals(command) => commands::approvals::perform(&command),
        Command::Session(command) => commands::session::perform(&command),
        Command::Permits(command) => commands::permits::perform(&command),
        Command::Resolve(args) => commands::resolve::perform(&args),
        Command::Get(command) => commands::get::perform(&command),
        Command::Why(args) => commands::why::perform(&args),
        Command::Watch(args) => commands::watch::perform(&args, cli.output),
        Command::Status(args) => commands::status::perform(&args),
        Command::Cluster(command) => commands::cluster::perform(&command),
        Command::Freeze(args) => commands::freeze::freeze(&args),
        Command::Thaw(args) => commands::freeze::thaw(&args),
        Command::Erase(args) => commands::erase::perform(&args),
        Command::Retention(command) => commands::retention::perform(&command),
        Command::Policy(command) => commands::policy::perform(&command),
        Command::Keys(command) => commands::keys::perform(&command),
        Command::Trust(command) => commands::trust::perform(&command),
        Command::Receipt(command) => commands::receipt::perform(&command),
        Command::Log(command) => commands::log::perform(&command),
        Command::Witness(args) => commands::witness::perform(args, format),
        Command::Help(args) => commands::help::perform(&args),
    }
}
