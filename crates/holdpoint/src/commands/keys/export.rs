//! `holdpoint keys export` and `jwks`: the published keys, for whoever verifies receipts.

use std::path::PathBuf;

use clap::Args;
use holdpoint_receipt::KeySet;
use serde_json::Value;

use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, read_failed};
use crate::output::{Answer, Failure, optional};
use crate::progress::showing;
use crate::shelf;

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

/// Write the published keys as a JSON Web Key Set
///
/// A view for programs that know JWKS only. It does not say which keys signed when, or how many must;
/// verify receipts with `holdpoint keys export`.
#[derive(Debug, Args)]
pub(crate) struct JwksArgs {
    /// Write it to this file and not to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    gate: GateArgs,
}

/// Fetches the keys and writes them, byte for byte.
pub(crate) fn export(args: &ExportArgs) -> Result<Answer, Failure> {
    let file = fetch(&args.gate)?;
    let keys = KeySet::parse(&file)?;
    written(Answer::new("keys-export"), &keys, &file, args.out.as_ref())
}

/// Fetches the keys and writes the view of them.
pub(crate) fn jwks(args: &JwksArgs) -> Result<Answer, Failure> {
    let keys = KeySet::parse(&fetch(&args.gate)?)?;
    let view = keys.to_jwks();
    written(
        Answer::new("keys-jwks"),
        &keys,
        view.as_bytes(),
        args.out.as_ref(),
    )
}

fn fetch(gate: &GateArgs) -> Result<Vec<u8>, Failure> {
    block_on(async {
        let reached = showing("connecting", gate.reach()).await?;
        showing("fetching the keys", reached.gate.export_keys())
            .await
            .map_err(|error| read_failed(&error))
    })
}

fn written(
    answer: Answer,
    keys: &KeySet,
    file: &[u8],
    out: Option<&PathBuf>,
) -> Result<Answer, Failure> {
    let text = String::from_utf8_lossy(file);
    let answer = answer
        .member("keys", serde_json::from_str::<Value>(&text)?)
        .member("keys_digest", keys.digest().to_string())
        .member("out", optional(out.map(|path| path.display())));
    let Some(out) = out else {
        return Ok(answer.line(text.trim_end()));
    };
    shelf::write(out, file).map_err(|error| {
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
