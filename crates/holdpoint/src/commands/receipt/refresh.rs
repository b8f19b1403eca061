//! `holdpoint receipt refresh`: an old receipt gets a fresh proof under today's keys.

use std::path::PathBuf;

use clap::Args;
use holdpoint_receipt::Receipt;
use holdpoint_receipt::receipt::RECEIPT_BYTES_MAX;

use crate::describe::describe;
use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, read_failed};
use crate::inputs::read_start;
use crate::output::{Answer, Failure, number};
use crate::progress::showing;
use crate::shelf;

/// Give an old receipt a fresh proof under today's keys
///
/// The statement stays byte for byte what it is; its proof is made anew by any node of the cluster and
/// verified. For receipts that were signed with keys which were marked as compromised later, or which
/// nobody has any more.
#[derive(Debug, Args)]
pub(crate) struct RefreshArgs {
    /// The receipt
    #[arg(value_name = "FILE")]
    receipt: PathBuf,
    /// Write it to this file and not over the old one
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    gate: GateArgs,
}

/// Fetches the proof and writes the receipt.
pub(super) fn perform(args: &RefreshArgs) -> Result<Answer, Failure> {
    let shown = args.receipt.display();
    let file = read_start(&args.receipt, RECEIPT_BYTES_MAX)?;
    let old = Receipt::parse(&file).map_err(|error| {
        let message = format!("`{shown}` is not a receipt: {error}");
        Failure::says(Exit::Failure, message)
    })?;
    let leaf = old.proof.leaf_index;
    let fresh = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let keys = reached.gate.keys();
        let is_ours = old.statement.authority == *keys.authority()
            && old.statement.namespace == *keys.namespace();
        if !is_ours {
            let message = format!(
                "`{shown}` is of {}/{}, and the gate is {}",
                old.statement.authority,
                old.statement.namespace,
                keys.origin()
            );
            return Err(Failure::says(Exit::Failure, message));
        }
        showing("fetching the proof", reached.gate.receipt_at(leaf))
            .await
            .map_err(|error| read_failed(&error))
    })?;
    if fresh.hash() != old.statement.receipt_hash() {
        let message = format!(
            "the log has another statement at leaf {leaf} than `{shown}`, and it is signed: keep the old \
             receipt; together they prove that history was rewritten, or that `{shown}` was forged"
        );
        return Err(Failure::says(Exit::Degraded, message));
    }
    let out = args.out.as_ref().unwrap_or(&args.receipt);
    shelf::write(out, fresh.file()).map_err(|error| {
        let message = format!("cannot write `{}`: {error}", out.display());
        Failure::says(Exit::Failure, message)
    })?;
    let size = fresh.verified().head().size;
    Ok(Answer::new("receipt-refresh")
        .line(format!("refreshed  {}", describe(fresh.statement())))
        .line(format!(
            "  leaf {leaf}, proved in the log of {size} leaves · saved to {}",
            out.display()
        ))
        .member("receipt", out.display().to_string())
        .member("receipt_hash", fresh.hash().to_string())
        .member("leaf_index", number(leaf))
        .member("tree_size", number(size.get())))
}
