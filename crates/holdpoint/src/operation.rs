//! What is asked for, as `authorize` and `run` take it.

use std::time::Duration;

use clap::Args;
use holdpoint_client::{Authorize, Gate, Operation};
use holdpoint_receipt::{ClusterTime, Digest, PermitId};

use crate::args::MaterialArgs;
use crate::exit::Exit;
use crate::inputs::check_names;
use crate::output::Failure;
use crate::times::parse_duration;

/// Bytes of a drawn idempotency key.
const KEY_BYTES: usize = 16;

/// One attempt at one operation.
#[derive(Clone, Debug, Args)]
pub(crate) struct OperationArgs {
    /// The registered kind of irreversible effect
    #[arg(long, value_name = "NAME")]
    pub(crate) surface: String,
    /// What is to be done on it; can be left out where there is only one
    #[arg(long, value_name = "NAME")]
    pub(crate) action: Option<String>,
    #[command(flatten)]
    pub(crate) material: MaterialArgs,
    /// On whose behalf: evidence, never authority
    #[arg(long, value_name = "TEXT")]
    pub(crate) actor: Option<String>,
    /// The chain of steps that this belongs to
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// The place in the session, from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) step: Option<u64>,
    /// A permit that must be COMMITTED first; can be repeated
    #[arg(long = "after", alias = "prerequisite", value_name = "PERMIT")]
    pub(crate) prerequisites: Vec<PermitId>,
    /// Wait for bounds that are held, at most this long and less than 10 minutes
    ///
    /// The attempt gets a place in the queue and keeps it; nobody who came later gets the bounds before
    /// it. Without this, a held bound is a DENY at once.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) wait: Option<Duration>,
    /// The idempotency key: names the attempt [default: drawn, and printed]
    ///
    /// The same key again is a retry and finds the same decision. With another request it is refused.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// The end of the attempt in ms since 1970, at most 10 minutes ahead [default: 5 minutes ahead]
    ///
    /// Nothing is decided after it. Whoever stores a key to ask again much later stores this with it.
    #[arg(long, value_name = "MS", value_parser = parse_time)]
    pub(crate) not_after: Option<ClusterTime>,
}

fn parse_time(text: &str) -> Result<ClusterTime, String> {
    let wrong = || format!("`{text}` is not a time in milliseconds since 1970");
    text.parse()
        .ok()
        .and_then(|ms| ClusterTime::new(ms).ok())
        .ok_or_else(wrong)
}

impl OperationArgs {
    /// The key that names the attempt: given or drawn.
    pub(crate) fn key(&self) -> Result<String, Failure> {
        if let Some(key) = &self.key {
            return Ok(key.clone());
        }
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::says(
                Exit::Failure,
                format!("no randomness for an idempotency key: {error}"),
            )
        })?;
        Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// That the parameters fit together, as far as the command line shows it.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        check_names(&self.material.binds, &self.material.params)
    }

    /// The operation, with the digests of the bound files in the order of `--bind`.
    pub(crate) fn operation(&self, key: &str, digests: &[Digest]) -> Result<Operation, Failure> {
        let mut operation = Operation::new(&self.surface).key(key);
        for (bind, digest) in self.material.binds.iter().zip(digests) {
            operation = operation.bind_sha256(&bind.name, *digest);
        }
        for param in &self.material.params {
            operation = operation.param(&param.name, param.value.clone());
        }
        if let Some(action) = &self.action {
            operation = operation.action(action);
        }
        if let Some(actor) = &self.actor {
            operation = operation.actor(actor);
        }
        if let Some(session) = &self.session {
            operation = operation.session(session);
        }
        if let Some(step) = self.step {
            operation = operation.step(step);
        }
        if let Some(not_after) = self.not_after {
            operation = operation.not_after(not_after);
        }
        for permit in &self.prerequisites {
            operation = operation.prerequisite(*permit);
        }
        operation.check().map_err(Failure::usage)?;
        Ok(operation)
    }

    /// Asks for it, and waits for its bounds where that was said.
    pub(crate) fn ask<'a>(&self, gate: &'a Gate, operation: &'a Operation) -> Authorize<'a> {
        let ask = gate.authorize(operation);
        match self.wait {
            Some(at_most) => ask.wait(at_most),
            None => ask,
        }
    }

    /// What goes on while it is asked for.
    pub(crate) const fn asking(&self) -> &'static str {
        match self.wait {
            Some(_) => "asking the gate, and waiting for the bounds",
            None => "asking the gate",
        }
    }
}
