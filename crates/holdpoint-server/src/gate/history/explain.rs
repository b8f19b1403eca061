//! A recorded decision in words: what was asked, what the policies saw, what would have to change.

use holdpoint_core::command::{Evaluation, Facts};
use holdpoint_policy::explain::{Deciding, Opening, Seen, WouldHaveToChange};
use holdpoint_policy::{self as policy, Policy};
use holdpoint_proto::v1;
use holdpoint_receipt::ClusterTime;
use holdpoint_receipt::statement::{DecisionStatement, Verdict};

use crate::recorded::Kept;

/// Explains what `policy` said of a request then.
pub(super) fn explain(
    policy: &Policy,
    kept: &Kept,
    statement: &DecisionStatement,
    decision: v1::RecordedDecision,
) -> v1::ExplainResponse {
    let evaluation = &kept.evaluation;
    let facts = kept.facts();
    let explained = policy.explain(policy::Input {
        request: &kept.request,
        now_ms: evaluation.evaluated_at.get(),
        facts: &facts,
    });
    let mut facts = of_state(&evaluation.facts);
    if let Some(seen) = &explained.seen {
        facts.extend(of_policy(seen));
    }
    facts.sort_by(|before, after| before.name.cmp(&after.name));
    let mut changes = Vec::new();
    if let Verdict::Deny { retry_at, .. } = &statement.verdict {
        changes.extend(of_bounds(evaluation, *retry_at));
    }
    if let Some(change) = &explained.change {
        changes.extend(of_change(change));
    }
    v1::ExplainResponse {
        decision: Some(decision),
        policies: explained.deciding.iter().map(deciding).collect(),
        facts,
        changes,
        ..v1::ExplainResponse::default()
    }
}

fn deciding(found: &Deciding) -> v1::DecidingPolicy {
    v1::DecidingPolicy {
        id: found.id.to_string(),
        reason: found.reason.clone(),
        code: found.code.clone().unwrap_or_default(),
    }
}

fn fact(name: impl Into<String>, value: impl Into<String>) -> v1::Fact {
    v1::Fact {
        name: name.into(),
        value: value.into(),
    }
}

const fn yes_or_no(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// The facts of the state that the verdict rested on.
fn of_state(facts: &Facts) -> Vec<v1::Fact> {
    let mut all = vec![
        fact("frozen", yes_or_no(facts.frozen)),
        fact("draining", yes_or_no(facts.draining)),
        fact("session closed", yes_or_no(facts.session_closed)),
    ];
    let prerequisites = (1_usize..).zip(&facts.prerequisites);
    all.extend(prerequisites.map(|(place, state)| {
        let state = state.map_or("not known", |state| state.as_str());
        fact(format!("prerequisite {place}"), state)
    }));
    all
}

/// What the policies saw.
fn of_policy(seen: &Seen) -> Vec<v1::Fact> {
    let now = ClusterTime::new(seen.now_ms).map_or_else(|_| String::new(), |now| now.to_string());
    let mut all = vec![
        fact("now", now),
        fact("principal", seen.principal.clone()),
        fact("resource", seen.resource.clone()),
        fact("windows open", listed(&seen.windows)),
    ];
    if !seen.evidence.is_empty() {
        all.push(fact("evidence", listed(&seen.evidence)));
    }
    all.extend(seen.quorums.iter().map(|quorum| {
        let approvers: Vec<String> = quorum.approvers.iter().map(ToString::to_string).collect();
        let (have, needed) = (approvers.len(), quorum.min);
        let by = if approvers.is_empty() {
            String::new()
        } else {
            format!(": {}", approvers.join(", "))
        };
        fact(
            format!("quorum {}", quorum.quorum),
            format!("{have} of {needed}{by}"),
        )
    }));
    all.extend(
        seen.params
            .iter()
            .map(|(name, value)| fact(format!("params.{name}"), value.to_canonical())),
    );
    all
}

fn listed(words: &[String]) -> String {
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

/// What would have to change where policy permits: the bounds.
fn of_bounds(evaluation: &Evaluation, retry_at: Option<ClusterTime>) -> Option<String> {
    if !matches!(
        evaluation.verdict,
        holdpoint_core::command::Verdict::Permit { .. }
    ) {
        return None;
    }
    let keys: Vec<String> = evaluation
        .claims
        .iter()
        .map(|claim| format!("{} `{}`", claim.name, claim.key))
        .collect();
    let when = match retry_at {
        Some(at) => format!("a new attempt could first succeed at {at}"),
        None => "nobody knew when that would be".to_owned(),
    };
    Some(format!(
        "The policy permits it; its bounds would have had to be free ({}): {when}.",
        keys.join(", ")
    ))
}

/// What would have to change for the policies.
fn of_change(change: &WouldHaveToChange) -> Vec<String> {
    let mut all = Vec::new();
    all.extend(change.forbids.iter().map(|forbid| {
        format!(
            "`{}` would have to stop applying: {}.",
            forbid.id, forbid.reason
        )
    }));
    all.extend(change.missing.iter().map(|missing| {
        format!(
            "The quorum `{}` would have to be met: it has {} of {} approvals of {}.",
            missing.quorum, missing.have, missing.min, missing.digest
        )
    }));
    if !change.permits.is_empty() {
        all.push(format!("Then {} would permit it.", ids(&change.permits)));
    } else if !change.candidates.is_empty() {
        all.push(format!(
            "A permit would have to hold for it: {} could, and none does.",
            ids(&change.candidates)
        ));
    } else if !change.forbids.is_empty() {
        all.push("Even then no policy would permit it.".to_owned());
    }
    all.extend(change.opening.as_ref().map(of_opening));
    all
}

fn of_opening(opening: &Opening) -> String {
    let at = ClusterTime::new(opening.at_ms).map_or_else(|_| String::new(), |at| at.to_string());
    let mut why = Vec::new();
    if !opening.opens.is_empty() {
        why.push(format!("{} opens", listed(&opening.opens)));
    }
    if !opening.closes.is_empty() {
        why.push(format!("{} closes", listed(&opening.closes)));
    }
    let quorums: Vec<&str> = opening
        .missing
        .iter()
        .map(|missing| missing.quorum.as_str())
        .collect();
    let still = if quorums.is_empty() {
        String::new()
    } else {
        format!(", once {} is met", quorums.join(", "))
    };
    format!("From {at} on it would pass{still}: {}.", why.join(" and "))
}

fn ids(policies: &[Deciding]) -> String {
    let ids: Vec<String> = policies.iter().map(|it| format!("`{}`", it.id)).collect();
    ids.join(", ")
}
