//! Is a decision what its policy says? Pure.
//!
//! What the policy says is compared, word for word: the verdict with its reason, codes and policies,
//! the bounds that it claims with keys and amounts, the approvals that it used. Whether a bound was
//! free is for the state machine, so of a DENY by a bound the policy is asked whether it permits.

#[cfg(test)]
mod tests;

use holdpoint_core::command::{Authorize, Evaluation as Recorded, Verdict};
use holdpoint_policy::{Evaluation, Facts, Input, Policy};
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::statement::DecisionStatement;
use holdpoint_receipt::{Actor, Name, PermitId, Request, Salt, SessionId, commit};

use crate::evaluate::Evaluator;
use crate::translate;

/// What a node finds otherwise than it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Disagreement {
    /// The state has something else.
    #[error("what was stored with it is no request with an evaluation")]
    Unreadable,
    /// The statement is about another request.
    #[error("its {0} is not the one of its request")]
    Request(&'static str),
    /// The policy says something else.
    #[error("it rests on {recorded}, and this node evaluates {evaluated}")]
    Verdict {
        /// What the leader said that the policy says.
        recorded: String,
        /// What it says.
        evaluated: String,
    },
    /// The policy claims other bounds.
    #[error("its bounds, their keys or amounts are not those of the policy")]
    Claims,
    /// The verdict needs other approvals.
    #[error("the approvals that it used are not those that it needs")]
    Approvals,
}

/// A decision that can be evaluated again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// The namespace that it stands in.
    pub(super) namespace: &'a Name,
    /// What it says of its request.
    pub(super) words: Words<'a>,
    /// What was asked.
    pub(super) request: &'a Request,
    /// How the leader evaluated that.
    pub(super) evaluation: &'a Recorded,
    /// The facts of the policy then.
    pub(super) facts: &'a Facts,
}

/// What a decision says of its request. The state machine does not read requests: it takes these from
/// the command, and the statement has them from there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Words<'a> {
    /// As the statement has them.
    Stated {
        /// What was stated.
        decision: &'a DecisionStatement,
        /// Under which it commits to what it does not say.
        salt: &'a Salt,
        /// The prerequisites of the permit, if one was granted and is kept.
        granted: Option<&'a [PermitId]>,
    },
    /// As the command that this node applied had them.
    Applied(&'a Authorize),
}

/// Evaluates a decision again under `policy`, which is the one that it names.
///
/// # Errors
///
/// The first [`Disagreement`].
pub(super) fn compare(
    evaluator: &dyn Evaluator,
    policy: &Policy,
    subject: Subject<'_>,
) -> Result<(), Disagreement> {
    same_request(subject)?;
    let Subject {
        request,
        evaluation,
        facts,
        ..
    } = subject;
    let input = Input {
        request,
        now_ms: evaluation.evaluated_at.get(),
        facts,
    };
    let said = evaluator.evaluate(policy, input);
    let decided = match said {
        Evaluation::Decided(decided) => decided,
        Evaluation::Silence(silence) => {
            return Err(Disagreement::Verdict {
                recorded: shown(&evaluation.verdict),
                evaluated: format!("SILENCE {}", silence.reason),
            });
        }
    };
    let used: Vec<_> = decided
        .used
        .iter()
        .map(|used| (&used.quorum, used.subject, &used.approver, used.spent))
        .collect();
    let recorded = evaluation.facts.approvals.iter().map(|fact| {
        let name = &fact.name;
        (&name.quorum, name.subject, &name.approver, fact.spends)
    });
    let same_approvals = used.len() == recorded.len() && recorded.eq(used.iter().copied());
    let (verdict, claims) = translate::verdict(decided);
    if verdict != evaluation.verdict {
        return Err(Disagreement::Verdict {
            recorded: shown(&evaluation.verdict),
            evaluated: shown(&verdict),
        });
    }
    if claims != evaluation.claims {
        return Err(Disagreement::Claims);
    }
    if same_approvals {
        Ok(())
    } else {
        Err(Disagreement::Approvals)
    }
}

/// That the decision is about the request that came with it.
fn same_request(subject: Subject<'_>) -> Result<(), Disagreement> {
    let Subject {
        namespace, request, ..
    } = subject;
    let prerequisites = &request.prerequisites;
    let seen = subject.evaluation.facts.prerequisites.len() == prerequisites.len();
    let same = match subject.words {
        Words::Stated {
            decision,
            salt,
            granted,
        } => {
            let committed = |member: &str, value: Option<&str>| {
                value.map(|value| commit(salt, member, value.as_bytes()))
            };
            let caller = committed("caller_commitment", Some(request.caller.as_str()));
            let actor = request.actor.as_ref().map(Actor::as_str);
            let actor = committed("actor_commitment", actor);
            let session = request.session.as_ref().map(SessionId::as_str);
            let session = committed("session_commitment", session);
            [
                ("namespace", request.namespace == *namespace),
                ("digest", request.digest() == decision.request_digest),
                ("surface", request.surface == decision.surface),
                ("action", request.action == decision.action),
                ("caller", caller == Some(decision.caller_commitment)),
                ("actor", actor == decision.actor_commitment),
                ("session", session == decision.session_commitment),
                (
                    "list of prerequisites",
                    seen && granted.is_none_or(|granted| granted == prerequisites),
                ),
            ]
        }
        Words::Applied(command) => {
            let digest = digest_of_canonical(&command.request);
            [
                ("namespace", request.namespace == *namespace),
                ("digest", digest == command.request_digest),
                ("surface", request.surface == command.surface),
                ("action", request.action == command.action),
                ("caller", request.caller == command.caller),
                ("actor", request.actor == command.actor),
                ("session", request.session == command.session),
                (
                    "list of prerequisites",
                    seen && command.prerequisites == *prerequisites,
                ),
            ]
        }
    };
    match same.iter().find(|(_, is_same)| !is_same) {
        Some((what, _)) => Err(Disagreement::Request(what)),
        None => Ok(()),
    }
}

/// A verdict in words.
fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Permit { policies } => format!("PERMIT by {}", listed(policies)),
        Verdict::Deny {
            reason,
            codes,
            policies,
        } => {
            let codes = if codes.is_empty() {
                String::new()
            } else {
                format!(" ({})", codes.join(", "))
            };
            format!("DENY {reason}{codes} by {}", listed(policies))
        }
    }
}

fn listed(policies: &[String]) -> String {
    if policies.is_empty() {
        "no policy".to_owned()
    } else {
        policies.join(", ")
    }
}
