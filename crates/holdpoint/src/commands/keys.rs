//! `holdpoint keys export`: the published keys, for whoever verifies receipts.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use holdpoint_receipt::KeySet;
use serde_json::Value;

use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, read_failed};
use crate::output::{Answer, Failure, optional};
use crate::progress::showing;
use crate::shelf;

/// Publish the keys that verify receipts
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    Export(ExportArgs),
}

/// Write the published keys
///
/// What comes over this connection proves nothing by itself: compare the digest with the one that the
/// operator of the cluster names, and publish the file where auditors find it.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Write them to this file and not to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    gate: GateArgs,
}

/// Fetches them and writes them, byte for byte.
pub(crate) fn perform(command: &KeysCommand) -> Result<Answer, Failure> {
    let KeysCommand::Export(args) = command;
    let file = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        showing("fetching the keys", reached.gate.export_keys())
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let keys = KeySet::parse(&file)?;
    let text = String::from_utf8_lossy(&file);
    let answer = Answer::new("keys-export")
        .member("keys", serde_json::from_str::<Value>(&text)?)
        .member("keys_digest", keys.digest().to_string())
        .member(
            "out",
            optional(args.out.as_ref().map(|path| path.display())),
        );
    let Some(out) = &args.out else {
        return Ok(answer.line(text.trim_end()));
    };
    shelf::write(out, &file).map_err(|error| {
        Failure::says(
            Exit::Failure,
            format!("cannot write `{}`: {error}", out.display()),
        )
    })?;
    Ok(answer
        .line(format!(
            "keys of {} saved to {}",
            keys.origin(),
            out.display()
        ))
        .line(format!("  sha256 {}", keys.digest())))
}
