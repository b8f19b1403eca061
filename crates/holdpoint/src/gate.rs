//! Reaching the gate from the command line.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use holdpoint_client::{
    Address, CallError, ConnectError, DEADLINE_DEFAULT, Gate, GateBuilder, Refused, Silence,
};
use holdpoint_receipt::keys::KEYS_BYTES_MAX;
use holdpoint_receipt::{KeySet, Name, PermitId, Reason};
use tokio::runtime::{Builder, Runtime};

use crate::again::Again;
use crate::discover::{Found, discover};
use crate::exit::Exit;
use crate::inputs::read_file;
use crate::output::Failure;
use crate::said;
use crate::shelf::Shelf;
use crate::times::parse_duration;
use crate::trusted;

/// The longest name of a caller.
const CALLER_BYTES_MAX: usize = 240;

/// Which gate, and who asks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Gate")]
pub(crate) struct GateArgs {
    // Stands first: it looks at what the others take away.
    #[command(flatten)]
    pub(crate) again: Again,
    /// A node to ask, `host:port`; several with commas or by repetition
    ///
    /// Without it, `./.holdpoint/client.toml` is read, then the user configuration. With it, no file
    /// is.
    #[arg(
        long,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        env = "HOLDPOINT_ENDPOINTS",
        hide_env_values = true
    )]
    pub(crate) endpoint: Vec<Address>,
    /// The namespace
    #[arg(
        long,
        value_name = "NAME",
        env = "HOLDPOINT_NAMESPACE",
        hide_env_values = true
    )]
    pub(crate) namespace: Option<Name>,
    /// Who asks; the gate knows it as `loopback:NAME`
    #[arg(
        long,
        value_name = "NAME",
        env = "HOLDPOINT_CALLER",
        hide_env_values = true,
        value_parser = parse_caller
    )]
    pub(crate) caller: Option<String>,
    /// The published keys that receipts must verify against
    ///
    /// Without it, and without a configuration that names them, the keys are fetched from the node that
    /// answers first. That is worth less: see docs/reference/cli.md.
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDPOINT_KEYS",
        hide_env_values = true
    )]
    pub(crate) keys: Option<PathBuf>,
    /// How long to wait for an answer of the gate, at most 60s [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, env = "HOLDPOINT_TIMEOUT", hide_env_values = true)]
    pub(crate) deadline: Option<Duration>,
}

fn parse_caller(text: &str) -> Result<String, String> {
    let fits = (1..=CALLER_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` cannot be the name of a caller: give 1 to {CALLER_BYTES_MAX} printable ASCII \
             characters"
        ))
    }
}

/// A gate that can be asked, and where its receipts are kept.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) gate: Gate,
    pub(crate) shelf: Shelf,
}

impl GateArgs {
    /// Which cluster is meant.
    pub(crate) fn found(&self) -> Result<Found, Failure> {
        let given: Vec<String> = self.endpoint.iter().map(Address::to_string).collect();
        discover(&given)
    }

    /// What the gate is made of; asks nobody.
    pub(crate) fn builder(&self, found: &Found) -> Result<GateBuilder, Failure> {
        let mut builder = Gate::builder()
            .endpoints(&found.endpoints)
            .deadline(self.deadline.unwrap_or(DEADLINE_DEFAULT));
        let namespace = self.namespace.as_ref().map(Name::as_str);
        if let Some(namespace) = namespace.or(found.namespace.as_deref()) {
            builder = builder.namespace(namespace);
        }
        if let Some(caller) = self.caller.as_ref().or(found.caller.as_ref()) {
            builder = builder.caller(caller);
        }
        if let Some(file) = self.keys.as_ref().or(found.keys.as_ref()) {
            let keys = read_keys(file).map_err(|failure| {
                if self.again.keys_from_environment {
                    failure.of_variable("HOLDPOINT_KEYS")
                } else {
                    failure
                }
            });
            builder = builder.keys(keys?);
        } else if let Some((trust, roots)) = &found.trust {
            let name = namespace.or(found.namespace.as_deref());
            builder = builder.keys(trusted::need(trust, roots, name)?);
        }
        Ok(builder)
    }

    /// The gate, ready to be asked.
    pub(crate) async fn reach(&self) -> Result<Reached, NotReached> {
        self.reach_under(None).await
    }

    /// The same with receipts that must verify under `keys`, if those are given.
    pub(crate) async fn reach_under(&self, keys: Option<KeySet>) -> Result<Reached, NotReached> {
        let found = self.found()?;
        let mut builder = self.builder(&found)?;
        if let Some(keys) = keys {
            builder = builder.keys(keys);
        }
        let gate = match builder.connect().await {
            Ok(gate) => gate,
            Err(ConnectError::Keys(CallError::Silence(silence))) => {
                return Err(NotReached::Silence(silence));
            }
            Err(error) => return Err(NotReached::Failure(not_connected(&error))),
        };
        Ok(Reached {
            gate,
            shelf: Shelf::new(found.receipts),
        })
    }
}

/// Why nothing could be asked.
#[derive(Debug)]
pub(crate) enum NotReached {
    /// Nobody answered.
    Silence(Silence),
    /// It is not even known whom to ask, or with what.
    Failure(Failure),
}

impl From<Failure> for NotReached {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<NotReached> for Failure {
    fn from(error: NotReached) -> Self {
        match error {
            NotReached::Silence(silence) => not_read(&silence),
            NotReached::Failure(failure) => failure,
        }
    }
}

/// Reads published keys.
pub(crate) fn read_keys(file: &Path) -> Result<KeySet, Failure> {
    let content = read_file(file, KEYS_BYTES_MAX)?;
    KeySet::parse(&content).map_err(|error| {
        let message = format!("`{}` does not hold published keys: {error}", file.display());
        Failure::says(Exit::Failure, message)
    })
}

/// Why a gate could not even be asked.
pub(crate) fn not_connected(error: &ConnectError) -> Failure {
    let exit = match error {
        ConnectError::Keys(_) | ConnectError::KeySet(_) => Exit::Failure,
        _ => Exit::Usage,
    };
    Failure::new(exit, error)
}

/// How a command other than `authorize` and `run` ends when the gate gave no result.
pub(crate) fn call_failed(error: &CallError, again: &Again) -> Failure {
    let failure = match error {
        CallError::Refused(refused) => refused_call(refused),
        CallError::Silence(silence) => no_answer(silence),
    };
    failure.next(said::next_call(error.reason(), again))
}

/// The gate said no.
pub(crate) fn refused_call(refused: &Refused) -> Failure {
    Failure::says(Exit::Failure, said::refused(refused))
}

/// How a read ends when the gate gave no result. Nothing changes by reading, so nothing is left open.
pub(crate) fn read_failed(error: &CallError) -> Failure {
    match error {
        CallError::Refused(refused) => refused_call(refused),
        CallError::Silence(silence) => not_read(silence),
    }
}

fn not_read(silence: &Silence) -> Failure {
    let message = format!("{}: {}", silence.reason(), said::sentence(silence));
    Failure::says(exit_of_silence(silence.reason()), message)
}

/// How a step of a permit ends when the gate gave no result.
pub(crate) fn step_failed(error: &CallError, permit: PermitId, again: &Again) -> Failure {
    call_failed(error, again).next(said::next_after(error.reason(), permit, again))
}

/// Nobody said anything that can be believed.
pub(crate) fn no_answer(silence: &Silence) -> Failure {
    Failure::says(exit_of_silence(silence.reason()), said::one_line(silence))
}

/// SILENCE, unless nothing left this host.
pub(crate) const fn exit_of_silence(reason: Reason) -> Exit {
    match reason {
        Reason::Unreachable => Exit::Unreachable,
        _ => Exit::Silence,
    }
}

/// Runs a command that asks the gate to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    runtime()?.block_on(work)
}

fn runtime() -> Result<Runtime, Failure> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
