//! Everything that can go wrong before anybody is asked.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use holdpoint_client::Operation;
use holdpoint_receipt::Digest;

use super::RunArgs;
use crate::output::{Failure, tell};
use crate::progress::during;
use crate::run::environment::dropped;
use crate::run::report::Report;
use crate::run::resolve::resolve;
use crate::run::sealed::Sealed;
use crate::run::template::{check, fill};

/// A command that could be started, and the operation to ask for.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The file of the command.
    pub(super) program: PathBuf,
    /// The command as it was typed, for messages.
    pub(super) name: String,
    /// The command with its places filled in.
    pub(super) words: Vec<OsString>,
    /// Variables that it must not see.
    pub(super) dropped: Vec<OsString>,
    /// The sealed copies; they live as long as this does.
    pub(super) sealed: Vec<Sealed>,
    /// What is asked for.
    pub(super) operation: Operation,
    /// The name of the attempt.
    pub(super) key: String,
}

/// Finds the command, reads and seals the files, and puts the operation together. Asks nobody.
pub(super) fn prepare(args: &RunArgs, report: &mut Report) -> Result<Prepared, Failure> {
    let material = &args.operation.material;
    args.operation.check()?;
    check(&args.command, &material.binds)?;
    let name = args.command.first().cloned().unwrap_or_default();
    let program = resolve(&name)?;
    let binds = material.binds.clone();
    let sealed: Vec<Sealed> = during("sealing the files", move || {
        binds.iter().map(Sealed::copy).collect()
    })?;
    let key = args.operation.key()?;
    report.key = Some(key.clone());
    let digests: Vec<Digest> = sealed.iter().map(|copy| copy.digest).collect();
    let operation = args.operation.operation(&key, &digests)?;
    let dropped = dropped(env::vars_os().map(|(name, _)| name));
    if !dropped.is_empty() {
        let names: Vec<_> = dropped.iter().map(|name| name.to_string_lossy()).collect();
        tell(format!(
            "holdpoint: dropped from the environment: {}",
            names.join(", ")
        ));
    }
    let values: Vec<(&str, OsString)> = sealed
        .iter()
        .map(|copy| (copy.name.as_str(), copy.path()))
        .collect();
    let words = args
        .command
        .iter()
        .map(|word| fill(word, &values))
        .collect();
    let name = name.to_string_lossy().into_owned();
    Ok(Prepared {
        program,
        name,
        words,
        dropped,
        sealed,
        operation,
        key,
    })
}
