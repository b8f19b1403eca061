//! `holdpoint receipt disclose`: what an auditor needs to be shown one value, and nothing else.

use std::path::Path;

use clap::Args;
use holdpoint_client::{DecisionOf, Gate};
use holdpoint_receipt::open::Field;
use holdpoint_receipt::receipt::RECEIPT_BYTES_MAX;
use holdpoint_receipt::{Digest, verify};

use super::{field_of, short_name};
use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, read_failed};
use crate::inputs::read_file;
use crate::output::{Answer, Failure};
use crate::progress::showing;
use crate::visible::visible;

/// Get the value and the salt of one member that a statement hides, to show it to somebody
///
/// For whoever asked or approved, and for auditors. The salt opens this member of this statement and no
/// other; hand out both, and `holdpoint receipt open` shows offline that they are right. It prints
/// nothing else.
#[derive(Debug, Args)]
pub(crate) struct DiscloseArgs {
    /// A receipt's file, a permit (`pmt_…`: its decision), or the leaf of a statement
    #[arg(value_name = "RECEIPT|PERMIT|LEAF")]
    what: String,
    /// The member: `caller`, `actor`, `session`, `idempotency_key`, `redemption`, `reason` or
    /// `bound.NAME`
    #[arg(long, value_name = "NAME", value_parser = field_of)]
    field: Field,
    #[command(flatten)]
    gate: GateArgs,
}

/// Asks for it, checks it against the receipt, and prints it.
pub(super) fn perform(args: &DiscloseArgs) -> Result<Answer, Failure> {
    let disclosed = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let (of, hash) = meant(&args.what, &reached.gate)?;
        let call = reached.gate.disclose(of, &args.field);
        let disclosed = showing("asking for it", call).await;
        let disclosed = disclosed.map_err(|error| read_failed(&error))?;
        if hash.is_some_and(|hash| hash != disclosed.receipt.hash()) {
            let what = &args.what;
            let message =
                format!("the log has another statement at that leaf than `{what}` proves");
            return Err(Failure::says(Exit::Degraded, message));
        }
        Ok(disclosed)
    })?;
    let name = short_name(&args.field);
    // A digest is written as the same 64 digits.
    let salt = Digest::from_bytes(*disclosed.opening.salt.as_bytes()).to_string();
    let answer = Answer::new("receipt-disclose").line(format!("field  {name}"));
    let answer = match &disclosed.opening.value {
        Some(value) => answer.line(format!("value  {}", visible(value))),
        None => answer.talk("the gate does not keep the value; whoever knows it can show it"),
    };
    Ok(answer
        .line(format!("salt   {salt}"))
        .member("field", name)
        .member("value", disclosed.opening.value)
        .member("salt", salt))
}

/// The statement that is named, and its hash where a receipt says it.
fn meant(what: &str, gate: &Gate) -> Result<(DecisionOf, Option<Digest>), Failure> {
    if let Ok(permit) = what.parse() {
        return Ok((DecisionOf::Permit(permit), None));
    }
    if let Ok(leaf) = what.parse() {
        return Ok((DecisionOf::Leaf(leaf), None));
    }
    let file = read_file(Path::new(what), RECEIPT_BYTES_MAX).map_err(|failure| {
        failure.next(Some(
            "give a receipt's file, a permit (`pmt_…`) or the number of a leaf".to_owned(),
        ))
    })?;
    let verified = verify(&file, &gate.keys()).map_err(|error| {
        let message = format!("{}: `{what}`: {error}", error.code());
        Failure::says(Exit::Degraded, message)
    })?;
    let leaf = verified.statement().place.leaf_index();
    Ok((DecisionOf::Leaf(leaf), Some(*verified.receipt_hash())))
}
