//! `holdpoint revoke`: takes an unredeemed permit back.

use std::path::PathBuf;

use clap::Args;
use holdpoint_receipt::PermitId;

use crate::dry_run::{Wanted, dry_run};
use crate::gate::{GateArgs, block_on, step_failed};
use crate::output::{Answer, Failure, optional};
use crate::progress::showing;

/// Take an unredeemed permit back
///
/// Its bounds are free at once. A permit that was redeemed cannot be revoked: somebody may have acted.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The permit, `pmt_…`
    #[arg(value_name = "PERMIT")]
    permit: PermitId,
    /// Where to keep the receipt [default: receipts/ beside the configuration]
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// Revokes it, and keeps the proof.
pub(crate) fn perform(args: &RevokeArgs) -> Result<Answer, Failure> {
    block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        if args.dry_run {
            return dry_run(&reached, args.permit, Wanted::Revoke).await;
        }
        let call = reached.gate.revoke(args.permit);
        let receipt = showing("revoking", call)
            .await
            .map_err(|error| step_failed(&error, args.permit, &args.gate.again))?;
        let name = format!("{}.revoked", args.permit);
        let kept = reached
            .shelf
            .try_keep(args.receipt.as_deref(), &name, &receipt);
        let mut answer = Answer::new("revoke").line(format!("REVOKED  {}", args.permit));
        if let Some(path) = &kept {
            answer = answer.line(format!("  receipt   saved to {}", path.display()));
        }
        Ok(answer
            .member("permit", args.permit.to_string())
            .member("state", "REVOKED")
            .member(
                "receipt",
                optional(kept.as_ref().map(|path| path.display())),
            ))
    })
}
