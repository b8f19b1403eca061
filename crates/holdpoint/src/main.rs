//! The one binary: server, worker and operator commands.
//!
//! Reads the command line, calls one command, prints what it says and ends with its code. It never
//! decides anything: what a command means is said by the gate, what a bundle means by
//! `holdpoint-policy`, whether a receipt is genuine by `holdpoint-receipt`.

mod args;
mod commands;
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
mod run;
mod said;
mod shelf;
mod times;

use std::process::ExitCode;

use args::{Cli, Command};
use exit::Exit;
use output::{Answer, Failure};

fn main() -> ExitCode {
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to stdout and ends well, a wrong command line to stderr and does not.
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Success
            };
            return ExitCode::from(exit.code());
        }
    };
    let format = cli.output;
    log::start(format, log_default(&cli.command));
    let exit = match perform(cli) {
        Ok(answer) => answer.print(format),
        Err(failure) => failure.print(format),
    };
    ExitCode::from(exit.code())
}

/// What is logged unless the environment says otherwise. The consensus library warns of what is usual
/// while a cluster starts.
const fn log_default(command: &Command) -> &'static str {
    match command {
        Command::Serve(_) => "info,openraft=error",
        Command::Dev(_) => "warn,openraft=error",
        _ => "warn",
    }
}

fn perform(cli: Cli) -> Result<Answer, Failure> {
    match cli.command {
        Command::Dev(args) => commands::dev::perform(args, cli.output),
        Command::Serve(args) => commands::serve::perform(args, cli.output),
        Command::Authorize(args) => commands::authorize::perform(&args),
        Command::Redeem(args) => commands::redeem::perform(&args),
        Command::Complete(args) => commands::complete::perform(&args),
        Command::Revoke(args) => commands::revoke::perform(&args),
        Command::Run(args) => commands::run::perform(&args, cli.output),
        Command::Get(command) => commands::get::perform(&command),
        Command::Status(args) => commands::status::perform(&args),
        Command::Policy(command) => commands::policy::perform(&command),
        Command::Keys(command) => commands::keys::perform(&command),
        Command::Receipt(command) => commands::receipt::perform(&command),
        Command::Help(args) => commands::help::perform(&args),
    }
}
