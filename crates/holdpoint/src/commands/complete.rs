//! `holdpoint complete`: says how the effect of a redeemed permit ended.

use std::path::PathBuf;

use clap::Args;
use holdpoint_client::Outcome;
use holdpoint_receipt::PermitId;

use crate::dry_run::{Wanted, dry_run};
use crate::gate::{GateArgs, block_on, step_failed};
use crate::inputs::digest_of;
use crate::output::{Answer, Failure, optional};
use crate::progress::showing;

/// Say how the effect of a redeemed permit ended
///
/// Saying the same twice is harmless. The other outcome afterwards is refused, and the conflict is
/// recorded. Say nothing that you do not know: a permit without an outcome stays in doubt, which is the
/// truth.
#[derive(Debug, Args)]
pub(crate) struct CompleteArgs {
    /// The permit, `pmt_…`
    #[arg(value_name = "PERMIT")]
    permit: PermitId,
    #[command(flatten)]
    outcome: OutcomeArgs,
    /// Keep the digest of this file in the receipt as evidence
    #[arg(
        long,
        value_name = "FILE",
        requires = "committed",
        conflicts_with = "aborted"
    )]
    evidence: Option<PathBuf>,
    /// Where to keep the receipt [default: receipts/ beside the configuration]
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// One of the two.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct OutcomeArgs {
    /// The effect happened
    #[arg(long)]
    committed: bool,
    /// The effect certainly did not happen
    #[arg(long)]
    aborted: bool,
}

/// Reports it, and keeps the proof.
pub(crate) fn perform(args: &CompleteArgs) -> Result<Answer, Failure> {
    let evidence = args.evidence.as_deref().map(digest_of).transpose()?;
    let outcome = if args.outcome.committed {
        Outcome::Committed { evidence }
    } else {
        Outcome::Aborted
    };
    block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        if args.dry_run {
            return dry_run(&reached, args.permit, Wanted::Complete(outcome)).await;
        }
        let call = reached.gate.complete(args.permit, outcome);
        let receipt = showing("reporting the outcome", call)
            .await
            .map_err(|error| step_failed(&error, args.permit, &args.gate.again))?;
        let name = format!("{}.{outcome}", args.permit);
        let kept = reached
            .shelf
            .try_keep(args.receipt.as_deref(), &name, &receipt);
        let word = outcome.to_string().to_uppercase();
        let mut answer = Answer::new("complete").line(format!("{word}  {}", args.permit));
        if let Some(path) = &kept {
            answer = answer.line(format!("  receipt   saved to {}", path.display()));
        }
        Ok(answer
            .member("permit", args.permit.to_string())
            .member("outcome", outcome.to_string())
            .member("evidence_sha256", optional(evidence))
            .member(
                "receipt",
                optional(kept.as_ref().map(|path| path.display())),
            ))
    })
}
