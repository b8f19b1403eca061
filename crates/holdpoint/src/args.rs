//! The command line: which commands there are, and how their help begins.
//!
//! Never asks, opens or prints anything but help: a wrong command line ends with exit code 2.

use std::env;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{
    Arg, Args, Command as Clap, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
};

use crate::commands::{
    approvals, authorize, cluster, complete, dev, erase, freeze, get, help, keys, log, permits,
    policy, receipt, redeem, resolve, retention, revoke, run, serve, session, status, trust, watch,
    why, witness,
};
use crate::examples;
use crate::output::Format;

/// Examples first, then the rest.
const TEMPLATE: &str =
    "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// Decides before an irreversible action commits.
///
/// One program for the server, the operator and the worker. Data goes to stdout, talk to stderr; exit
/// codes are listed by `holdpoint help exit-codes`.
#[derive(Debug, Parser)]
#[command(name = "holdpoint", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// How to print the answer
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "human",
        value_name = "FORMAT"
    )]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What `--output` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Human,
    /// One JSON object on stdout; for a stream, one on each line.
    Json,
    /// `watch` only: a `CloudEvents` 1.0 object on each line.
    #[value(name = "cloudevents")]
    CloudEvents,
}

impl Output {
    /// How everything but a stream of events is printed.
    pub(crate) const fn format(self) -> Format {
        match self {
            Self::Human => Format::Human,
            Self::Json | Self::CloudEvents => Format::Json,
        }
    }
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Dev(dev::DevArgs),
    Serve(serve::ServeArgs),
    Authorize(authorize::AuthorizeArgs),
    Redeem(redeem::RedeemArgs),
    Complete(complete::CompleteArgs),
    Revoke(revoke::RevokeArgs),
    Run(run::RunArgs),
    #[command(subcommand)]
    Approvals(approvals::ApprovalsCommand),
    #[command(subcommand)]
    Session(session::SessionCommand),
    #[command(subcommand)]
    Permits(permits::PermitsCommand),
    Resolve(resolve::ResolveArgs),
    #[command(subcommand)]
    Get(get::GetCommand),
    Why(why::WhyArgs),
    Watch(watch::WatchArgs),
    Status(status::StatusArgs),
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    Freeze(freeze::FreezeArgs),
    Thaw(freeze::ThawArgs),
    Erase(erase::EraseArgs),
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    #[command(subcommand)]
    Log(log::LogCommand),
    Witness(witness::WitnessArgs),
    Help(help::HelpArgs),
}

/// Reads the command line.
///
/// # Errors
///
/// clap's own: what is wrong with it, or the help that was asked for.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = tree().try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches)
}

/// The commands with their examples in the help.
pub(crate) fn tree() -> Clap {
    let mut tree = with_examples(Cli::command(), "");
    tree.build();
    tree
}

fn with_examples(command: Clap, path: &str) -> Clap {
    let lines = examples::shown(path);
    let mut command = command.help_template(TEMPLATE).mut_args(set_or_not);
    if !lines.is_empty() {
        command = command.before_help(format!("Examples:\n  {}", lines.join("\n  ")));
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    for name in names {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path} {name}")
        };
        command = command.mut_subcommand(name, |sub| with_examples(sub, &path));
    }
    command
}

/// An empty environment variable is one that is not set.
fn set_or_not(argument: Arg) -> Arg {
    let is_empty = |name| env::var_os(name).is_some_and(|value: OsString| value.is_empty());
    if argument.get_env().is_some_and(is_empty) {
        argument.env(Resettable::Reset)
    } else {
        argument
    }
}

/// Which files and parameters a request is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct MaterialArgs {
    /// Bind the bytes of a file: sets the parameter `NAME_sha256`
    #[arg(long = "bind", value_name = "NAME=@FILE")]
    pub(crate) binds: Vec<crate::inputs::Bind>,
    /// Set a parameter: `NAME=TEXT`, or `NAME:=JSON` for a number, a boolean or more
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub(crate) params: Vec<crate::inputs::Param>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::EXAMPLES;

    #[test]
    fn command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_example_is_of_a_command_that_exists_and_every_command_has_one() {
        let mut commands = Vec::new();
        leaves(&Cli::command(), "", &mut commands);
        for command in &commands {
            assert!(
                !examples::of(command).is_empty(),
                "`{command}` has no example"
            );
        }
        for (command, _) in EXAMPLES {
            assert!(
                command.is_empty() || commands.iter().any(|known| known == command),
                "{command}"
            );
        }
    }

    fn leaves(command: &Clap, path: &str, found: &mut Vec<String>) {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name()).trim().to_owned();
            if sub.has_subcommands() {
                leaves(sub, &path, found);
            } else {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_example_is_understood() {
        for line in EXAMPLES.iter().flat_map(|(_, lines)| *lines) {
            for command in line.split("&&") {
                let permit = "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa";
                let command = command
                    .replace("\"$PERMIT\"", permit)
                    .replace("\"$REDEEMED\"", permit)
                    .replace("\"$DIGEST\"", &"0".repeat(64))
                    .replace("\"$SUBJECT\"", &"0".repeat(64))
                    .replace("\"$SALT\"", &"0".repeat(64));
                let words = command.split_whitespace().map(OsString::from);
                parse(words).unwrap_or_else(|error| panic!("{line}\n{error}"));
            }
        }
    }

    #[test]
    fn help_starts_with_examples() {
        for (command, example) in [
            ("run", "-- cat {file}"),
            ("get", "holdpoint get receipt --leaf 0"),
            ("policy", "holdpoint policy list"),
            ("keys", "holdpoint keys export"),
            ("receipt", "holdpoint receipt verify"),
        ] {
            let error = parse(["holdpoint", command, "-h"].map(OsString::from)).unwrap_err();
            let help = error.to_string();
            let (examples, usage) = (
                help.find("Examples:").unwrap(),
                help.find("Usage:").unwrap(),
            );
            assert!(examples < usage, "{help}");
            assert!(help.contains(example), "{help}");
        }
    }

    #[test]
    fn value_that_does_not_fit_is_a_wrong_command_line() {
        for words in [
            &[
                "holdpoint",
                "authorize",
                "--surface",
                "s",
                "--param",
                "n:=1.5",
            ][..],
            &["holdpoint", "authorize", "--surface", "s", "--bind", "plan"],
            &["holdpoint", "redeem", "pmt_x"],
            &["holdpoint", "run", "--surface", "s"],
            &["holdpoint", "status", "--endpoint", "here"],
        ] {
            let error = parse(words.iter().map(OsString::from)).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
        }
    }
}
