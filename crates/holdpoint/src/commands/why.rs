//! `holdpoint why`: why a decision is what it is, and what would have to change.

use std::path::Path;

use clap::Args;
use holdpoint_client::{DecisionOf, Explanation, Gate};
use holdpoint_receipt::receipt::RECEIPT_BYTES_MAX;
use holdpoint_receipt::{Body, Digest, verify};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, read_failed};
use crate::inputs::read_file;
use crate::output::{Answer, Failure, optional};
use crate::progress::showing;
use crate::said::{self, short, short_sha256};
use crate::visible::visible;

/// Explain a decision: the request, the facts, the deciding policies
///
/// The receipt of a decision proves what was decided and under which policy. The explanation is as the
/// node gives it; with a receipt, it is checked to be of the very decision that the receipt proves.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// A receipt's file, a permit (`pmt_…`), or the leaf of a decision in the log
    #[arg(value_name = "RECEIPT|PERMIT|LEAF")]
    what: String,
    #[command(flatten)]
    gate: GateArgs,
}

/// What is asked for, and the hash that the decision must have where a receipt says it.
struct Meant {
    of: DecisionOf,
    hash: Option<Digest>,
}

/// Explains it.
pub(crate) fn perform(args: &WhyArgs) -> Result<Answer, Failure> {
    let explanation = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let meant = meant(&args.what, &reached.gate)?;
        let call = reached.gate.explain(meant.of);
        let found = showing("asking why", call).await;
        let found = found.map_err(|error| read_failed(&error))?;
        if meant
            .hash
            .is_some_and(|hash| hash != found.decision.receipt_hash)
        {
            return Err(Failure::says(
                Exit::Silence,
                "RECEIPT_INVALID: the node explains another decision than the receipt proves",
            ));
        }
        Ok(found)
    })?;
    let decision = &explanation.decision;
    let request: Value = serde_json::from_str(&decision.request.to_canonical())?;
    Ok(lines(&explanation, &request)
        .member("decision", said::recorded(decision))
        .member("request", request)
        .member("policies", policies(&explanation))
        .member("facts", facts(&explanation))
        .member("changes", explanation.changes))
}

/// Finds out what was named: a permit and a leaf look like nothing else, the rest is a file.
fn meant(what: &str, gate: &Gate) -> Result<Meant, Failure> {
    let of = |of| Meant { of, hash: None };
    if let Ok(permit) = what.parse() {
        return Ok(of(DecisionOf::Permit(permit)));
    }
    if let Ok(leaf) = what.parse() {
        return Ok(of(DecisionOf::Leaf(leaf)));
    }
    let file = read_file(Path::new(what), RECEIPT_BYTES_MAX).map_err(|failure| {
        failure.next(Some(
            "give a receipt's file, a permit (`pmt_…`) or the number of a leaf".to_owned(),
        ))
    })?;
    let verified = verify(&file, &gate.keys()).map_err(|error| {
        Failure::says(
            Exit::Degraded,
            format!("{}: `{what}`: {error}", error.code()),
        )
    })?;
    let statement = verified.statement();
    match (&statement.body, statement.body.permit_id()) {
        (Body::Decision(_), _) => Ok(Meant {
            of: DecisionOf::Leaf(statement.place.leaf_index()),
            hash: Some(*verified.receipt_hash()),
        }),
        (_, Some(permit)) => Ok(of(DecisionOf::Permit(permit))),
        (body, None) => Err(Failure::says(
            Exit::Failure,
            format!(
                "`{what}` is the receipt of a statement of the kind `{}`, which is no decision",
                body.kind()
            ),
        )),
    }
}

fn lines(explanation: &Explanation, request: &Value) -> Answer {
    let decision = &explanation.decision;
    let what = match &decision.permit {
        Some(permit) => format!("PERMIT  {permit}"),
        None => format!("DENY  {}", decision.reason),
    };
    let mut answer = Answer::new("why")
        .line(format!(
            "{what}  {} {} by {}",
            decision.request.surface, decision.request.action, decision.request.caller
        ))
        .line(format!(
            "  decided   {}, leaf {}, receipt {}",
            decision.decided_at,
            decision.leaf_index,
            short(&decision.receipt_hash)
        ))
        .line(format!(
            "  policy    v{} ({})",
            decision.policy_version,
            short_sha256(&decision.policy_digest)
        ))
        .line(format!("  request   {}", visible(&request.to_string())));
    for policy in &explanation.policies {
        let code = policy
            .code
            .as_ref()
            .map_or_else(String::new, |code| format!(" [{code}]"));
        let reason = match policy.reason.as_str() {
            "" => String::new(),
            reason => format!(": {}", visible(reason)),
        };
        answer = answer.line(format!("  because   {}{code}{reason}", policy.id));
    }
    if !decision.claims.is_empty() {
        answer = answer.line(format!(
            "  claimed   {}",
            said::bounds_line(&decision.claims)
        ));
    }
    for used in &decision.approvals {
        answer = answer.line(format!(
            "  approved  quorum {} by {} at {}",
            used.quorum, used.approver, used.given_at
        ));
    }
    for (name, value) in &explanation.facts {
        answer = answer.line(format!("  fact      {name} = {}", visible(value)));
    }
    for change in &explanation.changes {
        answer = answer.line(format!("  to change {}", visible(change)));
    }
    answer
}

fn policies(explanation: &Explanation) -> Value {
    let each = explanation.policies.iter();
    each.map(|policy| {
        json!({ "id": policy.id, "reason": policy.reason, "code": optional(policy.code.as_ref()) })
    })
    .collect()
}

fn facts(explanation: &Explanation) -> Value {
    let each = explanation.facts.iter();
    each.map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}
