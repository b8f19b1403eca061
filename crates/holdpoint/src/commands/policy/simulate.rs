//! `policy simulate`: what a bundle would have said of what was decided.
//!
//! Each request is evaluated again here, at the time of its decision and with the approvals that it
//! used. Bounds are left aside: they depend on what every other decision would have been, so a DENY for
//! a bound counts as what the policy said then, which was a permit.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use holdpoint_client::{DecisionPage, ErasedDecision, Gate, RecordedDecision};
use holdpoint_policy::{Approval, Evaluation, Facts, Input, Policy, Verdict, directory};
use holdpoint_receipt::{ClusterTime, Decision, Reason};
use serde_json::{Value, json};

use super::offline::load;
use crate::gate::{GateArgs, block_on, read_failed};
use crate::output::{Answer, Failure, number};
use crate::progress::showing;
use crate::said::{self, short, short_sha256};
use crate::times::{now, parse_duration};
use crate::visible::visible;

/// Flips that are shown to people.
const SHOWN_MAX: usize = 100;

/// Try a bundle on what was decided, and show what it would have decided otherwise
///
/// Evaluates here and changes nothing. Bounds are left aside: a request that was denied for a held or
/// used-up bound counts as permitted by the policy. Requests whose inputs were erased cannot be tried,
/// and requests that got SILENCE were never recorded.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// The bundle's folder
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
    /// How far back to begin, such as `24h`
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Duration,
    #[command(flatten)]
    gate: GateArgs,
}

/// What came of it.
#[derive(Debug, Default)]
struct Tally {
    tried_count: u64,
    erased_count: u64,
    erased: Vec<ErasedDecision>,
    flips: Vec<Flip>,
}

/// A decision that would have been another.
#[derive(Debug)]
struct Flip {
    decision: RecordedDecision,
    was: Said,
    would_be: Said,
    sentence: String,
}

/// What a policy says, without bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    decision: Decision,
    reason: String,
}

impl Said {
    fn of(decision: Decision, reason: Reason) -> Self {
        Self {
            decision,
            reason: reason.as_str().to_owned(),
        }
    }

    fn shown(&self) -> String {
        match self.decision {
            Decision::Permit => "PERMIT".to_owned(),
            decision @ (Decision::Deny | Decision::Silence) => {
                format!("{} {}", decision.as_str(), self.reason)
            }
        }
    }

    fn json(&self) -> Value {
        json!({ "decision": self.decision.as_str(), "reason": self.reason })
    }
}

/// Tries it.
pub(super) fn perform(args: &SimulateArgs) -> Result<Answer, Failure> {
    let policy = load(&directory::read(&args.bundle)?)?;
    let back_ms = u64::try_from(args.since.as_millis()).unwrap_or(u64::MAX);
    let since = ClusterTime::new(now().get().saturating_sub(back_ms)).map_err(Failure::usage)?;
    let tally = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let work = tried(&reached.gate, &policy, since);
        showing("trying the bundle on what was decided", work).await
    })?;
    Ok(summary(&policy, since, &tally))
}

async fn tried(gate: &Gate, policy: &Policy, since: ClusterTime) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut from_leaf = 0;
    loop {
        let page = gate.decisions(since, from_leaf).await;
        let page = page.map_err(|error| read_failed(&error))?;
        let DecisionPage {
            decisions,
            next_leaf,
            erased_count,
            erased,
        } = page;
        tally.erased.extend(erased);
        tally.erased_count = tally.erased_count.saturating_add(erased_count);
        for decision in decisions {
            tally.tried_count = tally.tried_count.saturating_add(1);
            let was = was(&decision);
            let (would_be, sentence) = would_be(policy, &decision);
            if was.decision != would_be.decision || is_other_denial(&was, &would_be) {
                tally.flips.push(Flip {
                    decision,
                    was,
                    would_be,
                    sentence,
                });
            }
        }
        match next_leaf {
            Some(next) => from_leaf = next,
            None => return Ok(tally),
        }
    }
}

/// Two denials differ only if one is forbidden and the other merely not permitted.
fn is_other_denial(was: &Said, would_be: &Said) -> bool {
    was.decision == Decision::Deny && was.reason != would_be.reason
}

/// What the policy said then.
fn was(decision: &RecordedDecision) -> Said {
    let is_of_policy = [Reason::Policy, Reason::NotPermitted]
        .iter()
        .any(|reason| reason.as_str() == decision.reason);
    if decision.decision == Decision::Deny && is_of_policy {
        Said {
            decision: Decision::Deny,
            reason: decision.reason.clone(),
        }
    } else {
        Said::of(Decision::Permit, Reason::Granted)
    }
}

/// What the bundle says of it, and why.
fn would_be(policy: &Policy, decision: &RecordedDecision) -> (Said, String) {
    let approvals = decision.approvals.iter().map(|used| Approval {
        quorum: used.quorum.clone(),
        subject: used.subject,
        approver: used.approver.clone(),
        // One that is no longer known counted when it was used.
        given_at_ms: match used.given_at.get() {
            0 => decision.evaluated_at.get(),
            given_at_ms => given_at_ms,
        },
    });
    let facts = Facts {
        approvals: approvals.collect(),
        ..Facts::default()
    };
    let evaluation = policy.evaluate(Input {
        request: &decision.request,
        now_ms: decision.evaluated_at.get(),
        facts: &facts,
    });
    match evaluation {
        Evaluation::Silence(silence) => (
            Said::of(Decision::Silence, silence.reason),
            silence.sentence,
        ),
        Evaluation::Decided(decided) => {
            let by: Vec<&str> = decided
                .verdict
                .policies()
                .iter()
                .map(holdpoint_receipt::Name::as_str)
                .collect();
            let by = if by.is_empty() {
                "by no policy".to_owned()
            } else {
                format!("by {}", by.join(", "))
            };
            let said = match decided.verdict {
                Verdict::Permit { .. } => Said::of(Decision::Permit, Reason::Granted),
                Verdict::Deny { reason, .. } => Said::of(Decision::Deny, reason),
            };
            (said, by)
        }
    }
}

fn summary(policy: &Policy, since: ClusterTime, tally: &Tally) -> Answer {
    let mut answer = Answer::new("policy-simulate").line(format!(
        "{} ({})  {} decisions since {since}, {} would differ; bounds are left aside",
        policy.name(),
        short_sha256(&policy.digest()),
        tally.tried_count,
        tally.flips.len()
    ));
    for flip in tally.flips.iter().take(SHOWN_MAX) {
        answer = answer.line(format!(
            "  leaf {}  receipt {}  {} {}  {} would be {}  {}",
            flip.decision.leaf_index,
            short(&flip.decision.receipt_hash),
            flip.decision.request.surface,
            flip.decision.request.action,
            flip.was.shown(),
            flip.would_be.shown(),
            visible(&flip.sentence)
        ));
    }
    let rest = tally.flips.len().saturating_sub(SHOWN_MAX);
    if rest > 0 {
        answer = answer.line(format!("  and {rest} more (--output json has them)"));
    }
    if tally.erased_count > 0 {
        answer = answer.line(format!(
            "  {} could not be tried: what they rest on is no longer stored",
            tally.erased_count
        ));
    }
    for erased in tally.erased.iter().take(SHOWN_MAX) {
        let what = said::erased(&erased.erasure);
        answer = answer.line(format!("  leaf {}  {what}", erased.leaf_index));
    }
    let flips = tally.flips.iter().map(|flip| {
        json!({
            "leaf_index": number(flip.decision.leaf_index),
            "receipt_hash": flip.decision.receipt_hash.to_string(),
            "request_digest": flip.decision.request.digest().to_string(),
            "decided": flip.was.json(),
            "would_be": flip.would_be.json(),
            "sentence": flip.sentence,
        })
    });
    let erased = tally.erased.iter().map(|erased| {
        json!({
            "leaf_index": number(erased.leaf_index),
            "erasure": said::erasure(Some(&erased.erasure)),
        })
    });
    answer
        .member("erased_decisions", erased.collect::<Value>())
        .member("digest", policy.digest().to_string())
        .member("since_ms", said::time(since))
        .member("tried", number(tally.tried_count))
        .member("erased", number(tally.erased_count))
        .member("bounds_left_aside", true)
        .member("flips", flips.collect::<Value>())
}
