//! `holdpoint resolve`: an operator says how a permit in doubt ended, and why.

use std::path::PathBuf;

use clap::Args;
use holdpoint_client::Outcome;
use holdpoint_receipt::PermitId;

use crate::dry_run::{Wanted, dry_run};
use crate::gate::{GateArgs, block_on, step_failed};
use crate::inputs::digest_of;
use crate::output::{Answer, Failure, optional};
use crate::progress::showing;

/// Bytes of a reason at most.
const REASON_BYTES_MAX: usize = 512;

/// Say how a permit in doubt ended, with the reason
///
/// For operators who found out what happened. `--released` is for when nobody can: it gives the bounds
/// up without knowing, and if the effect happened after all, it can happen twice. The receipt commits
/// to the reason and does not show it.
#[derive(Debug, Args)]
pub(crate) struct ResolveArgs {
    /// The permit, `pmt_…`
    #[arg(value_name = "PERMIT")]
    permit: PermitId,
    #[command(flatten)]
    ending: EndingArgs,
    /// How you know, at most 512 bytes
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
    /// Keep the digest of this file in the receipt as evidence
    #[arg(
        long,
        value_name = "FILE",
        requires = "committed",
        conflicts_with_all = ["aborted", "released"]
    )]
    evidence: Option<PathBuf>,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// One of the three.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct EndingArgs {
    /// The effect happened
    #[arg(long)]
    committed: bool,
    /// The effect certainly did not happen
    #[arg(long)]
    aborted: bool,
    /// Nobody can know: give the bounds up
    #[arg(long)]
    released: bool,
}

/// A reason that an operator gives.
pub(super) fn parse_reason(text: &str) -> Result<String, String> {
    if (1..=REASON_BYTES_MAX).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!("a reason has 1 to {REASON_BYTES_MAX} bytes"))
    }
}

/// Resolves it, and keeps the proof.
pub(crate) fn perform(args: &ResolveArgs) -> Result<Answer, Failure> {
    let evidence = args.evidence.as_deref().map(digest_of).transpose()?;
    let outcome = match (args.ending.committed, args.ending.aborted) {
        (true, _) => Some(Outcome::Committed { evidence }),
        (_, true) => Some(Outcome::Aborted),
        (false, false) => None,
    };
    block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        if args.dry_run {
            let wanted = outcome.map_or(Wanted::Release, Wanted::Complete);
            return dry_run(&reached, args.permit, wanted).await;
        }
        let failed = |error| step_failed(&error, args.permit, &args.gate.again);
        let (word, receipt) = if let Some(outcome) = outcome {
            let call = reached.gate.resolve(args.permit, outcome, &args.reason);
            let receipt = showing("reporting the outcome", call).await;
            (outcome.to_string(), receipt.map_err(failed)?)
        } else {
            let call = reached.gate.release(args.permit, &args.reason);
            let released = showing("releasing it", call).await;
            ("released".to_owned(), released.map_err(failed)?.receipt)
        };
        let answer =
            Answer::new("resolve").line(format!("{}  {}", word.to_uppercase(), args.permit));
        let name = format!("{}.{word}", args.permit);
        Ok(reached
            .shelf
            .kept(answer, &name, &receipt)
            .member("permit", args.permit.to_string())
            .member("outcome", word)
            .member("reason", args.reason.as_str())
            .member("evidence_sha256", optional(evidence)))
    })
}
