//! `holdpoint erase`: erases what the gate stores of a request beyond its statements.

use clap::Args;
use holdpoint_client::{CallError, DecisionOf, ErasureAnswer, Gate};
use holdpoint_receipt::{Digest, PermitId, Reason, Salt};
use serde_json::Value;

use super::resolve::parse_reason;
use crate::describe::describe;
use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, call_failed};
use crate::output::{Answer, Failure, number, optional};
use crate::progress::showing;
use crate::said;

/// Erase what is stored of a request beyond its statements
///
/// Parameters, evaluation and salts go, from every node, and do not come back. The statements stay, and
/// so does every receipt; one more statement says that and when it was erased. Refused while the permit
/// is live or in doubt, or its attempt can be repeated. What was erased before is told as that.
#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// The permit, `pmt_…`
    #[arg(
        long,
        value_name = "PERMIT",
        required_unless_present = "leaf",
        conflicts_with = "leaf"
    )]
    permit: Option<PermitId>,
    /// The leaf of the decision in the log: for a denial
    #[arg(long, value_name = "N")]
    leaf: Option<u64>,
    /// Why, at most 512 bytes; the gate keeps a commitment to it and not the text
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// Erases it, and keeps the proof.
pub(crate) fn perform(args: &EraseArgs) -> Result<Answer, Failure> {
    let (of, shown) = match (args.permit, args.leaf) {
        (Some(permit), _) => (DecisionOf::Permit(permit), permit.to_string()),
        (None, Some(leaf)) => (DecisionOf::Leaf(leaf), format!("leaf {leaf}")),
        (None, None) => return Err(Failure::usage("name --permit or --leaf")),
    };
    block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        if args.dry_run {
            return would_erase(args, &reached.gate, of, &shown).await;
        }
        let call = reached.gate.erase(of, &args.reason);
        let erased = showing("erasing it", call)
            .await
            .map_err(|error| call_failed(&error, &args.gate.again))?;
        let ErasureAnswer {
            receipt,
            salt,
            is_replay,
        } = erased;
        let before = if is_replay { "   (before)" } else { "" };
        let answer = Answer::new("erase").line(format!("ERASED  {shown}{before}"));
        let answer = match &receipt {
            Some(receipt) => {
                let leaf = receipt.statement().place.leaf_index();
                let answer = answer
                    .line(format!(
                        "  leaf {leaf}    {}",
                        describe(receipt.statement())
                    ))
                    .member("leaf_index", number(leaf))
                    .member("erased_at_ms", said::time(receipt.statement().issued_at));
                let name = format!("erased-leaf-{leaf}");
                reached.shelf.kept(answer, &name, receipt)
            }
            None => answer
                .line("  retention had removed it before, which no statement says")
                .member("leaf_index", Value::Null)
                .member("erased_at_ms", Value::Null)
                .member("receipt", Value::Null),
        };
        Ok(answer
            .member("permit", optional(args.permit))
            .member("salt", optional(salt.as_ref().map(hex)))
            .member("replay", is_replay))
    })
}

/// What the erasure would do, by the leader's own judgement.
async fn would_erase(
    args: &EraseArgs,
    gate: &Gate,
    of: DecisionOf,
    shown: &str,
) -> Result<Answer, Failure> {
    let answer = Answer::new("dry-run");
    let answer = match showing("asking", gate.would_erase(of)).await {
        Ok(was_before) => {
            let line = if was_before {
                "was erased before"
            } else {
                "would be erased"
            };
            answer
                .line(format!("{shown} {line}; nothing was changed"))
                .member("would_succeed", true)
                .member("replay", was_before)
        }
        Err(CallError::Refused(refused)) if refused.reason == Reason::StillNeeded => answer
            .exit(Exit::Failure)
            .line(format!("{shown} could not be erased; nothing was changed"))
            .line(format!("  {}", said::refused(&refused)))
            .member("would_succeed", false)
            .member("reason", refused.reason.as_str())
            .member("sentence", refused.sentence),
        Err(error) => return Err(call_failed(&error, &args.gate.again)),
    };
    Ok(answer.member("permit", optional(args.permit)))
}

/// A salt as scripts take it up.
fn hex(salt: &Salt) -> String {
    // A digest is written as the same 64 digits.
    Digest::from_bytes(*salt.as_bytes()).to_string()
}
