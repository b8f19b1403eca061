//! Why a request got its verdict, and what would have to change.
//!
//! Nothing is guessed: every "would" on this page was evaluated, with other quorums met, without the
//! forbids, or at another time. It never says that a bound would be free.

mod show;

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::Effect;
use holdpoint_receipt::{Caller, Json, Name, Reason};

use crate::approvals::{Missing, Standing};
use crate::evaluate::{Decided, Evaluation, Facts, Input, Question, Silence, Verdict};
use crate::policy::{Inner, Policy};
use crate::surface::ContextFact;
use crate::time::DAY_MS;

/// How far ahead windows are looked at.
const AHEAD_MS: u64 = 14 * DAY_MS;
/// The most instants at which a request is evaluated again.
const EDGES_MAX: usize = 1_024;

/// An evaluation with its grounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub evaluation: Evaluation,
    /// The policies that decided, sorted by id. None if nothing permits, or nothing was decided.
    pub deciding: Vec<Deciding>,
    /// What the policies saw. None if not everything that the request names was found.
    pub seen: Option<Seen>,
    /// What would have to change for a permit. None if it is one, or if nothing could be evaluated.
    pub change: Option<WouldHaveToChange>,
}

/// A policy, as its annotations describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deciding {
    /// Its `@id`.
    pub id: Name,
    /// Whether it forbids.
    pub forbids: bool,
    /// Its `@reason`.
    pub reason: String,
    /// Its `@code`; none for a permit.
    pub code: Option<String>,
}

/// What the policies saw of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The evaluation time.
    pub now_ms: u64,
    /// The entity that asks.
    pub principal: String,
    /// The entity that it is done to.
    pub resource: String,
    /// The windows that were open, sorted.
    pub windows: Vec<String>,
    /// The attestations that the gate has verified, sorted.
    pub evidence: Vec<String>,
    /// The quorums that the surface lists, sorted.
    pub quorums: Vec<QuorumSeen>,
    /// The parameters, sorted by name.
    pub params: Vec<(String, Json)>,
}

/// How far a quorum was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumSeen {
    /// Its name.
    pub quorum: Name,
    /// How many persons it needs.
    pub min: u32,
    /// Those whose approvals count for this request, the earliest first.
    pub approvers: Vec<Caller>,
}

impl QuorumSeen {
    /// Whether it is met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        u32::try_from(self.approvers.len()).is_ok_and(|have| have >= self.min)
    }
}

/// What would have to change for a permit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WouldHaveToChange {
    /// Forbids that would have to stop applying: no approval lifts them. Sorted.
    pub forbids: Vec<Deciding>,
    /// Quorums that would have to be met too, sorted, as few as can be left out one after the other.
    pub missing: Vec<Missing>,
    /// The policies that would permit it then. If there are none, nothing would.
    pub permits: Vec<Deciding>,
    /// If nothing would permit it: the permits of this action, none of which holds for this request.
    pub candidates: Vec<Deciding>,
    /// When the next opening or closing of a window would let it get further; none if none of the
    /// next 14 days does (of the first 1,024 such instants, if there are more).
    pub opening: Option<Opening>,
}

/// A time from which on a request that is denied now would pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The first instant.
    pub at_ms: u64,
    /// The windows that are open then and are not now, sorted.
    pub opens: Vec<String>,
    /// The windows that are open now and are not then, sorted.
    pub closes: Vec<String>,
    /// The quorums that would still be missing then. Approvals age: one that counts now may not then.
    pub missing: Vec<Missing>,
}

impl Policy {
    /// Evaluates a request, and says why and what would have to change.
    ///
    /// The evaluation is the one that [`Policy::evaluate`] gives. Costs up to some thousand evaluations
    /// when the calendars have many edges.
    #[must_use]
    pub fn explain(&self, input: Input<'_>) -> Explanation {
        let evaluation = self.evaluate(input);
        let found = self.0.question(input.request).and_then(|question| {
            let standings = self.0.standings(&question, input)?;
            Ok((question, standings))
        });
        let Ok((question, standings)) = found else {
            return Explanation {
                evaluation,
                deciding: Vec::new(),
                seen: None,
                change: None,
            };
        };
        let deciding = match &evaluation {
            Evaluation::Decided(Decided { verdict, .. }) => self.0.described(verdict.policies()),
            Evaluation::Silence(_) => Vec::new(),
        };
        let wants = match &evaluation {
            Evaluation::Decided(decided) => !decided.verdict.is_permit(),
            Evaluation::Silence(silence) => silence.reason == Reason::ApprovalRequired,
        };
        let change = if wants {
            let change = self.0.would_have_to_change(&question, input, &standings);
            // A policy that cannot be evaluated under an assumption leaves nothing to say about it.
            change.ok().map(|change| WouldHaveToChange {
                opening: self.opening(&question, input, &evaluation),
                ..change
            })
        } else {
            None
        };
        Explanation {
            seen: Some(self.0.seen(&question, input, &standings)),
            evaluation,
            deciding,
            change,
        }
    }

    /// The first edge of a window at which the request gets further than it does now.
    fn opening(
        &self,
        question: &Question<'_>,
        input: Input<'_>,
        now: &Evaluation,
    ) -> Option<Opening> {
        if !question.action.facts.contains(&ContextFact::Windows) {
            return None;
        }
        let until_ms = input.now_ms.saturating_add(AHEAD_MS);
        let edges = self.0.calendars.edges(input.now_ms, until_ms);
        let mut edges = edges.into_iter().take(EDGES_MAX);
        edges.find_map(|at_ms| {
            let then = self.evaluate(Input {
                now_ms: at_ms,
                ..input
            });
            let missing = further(now, &then)?;
            let open = |at_ms: u64| -> BTreeSet<&str> { self.0.calendars.open_at(at_ms).collect() };
            let (before, after) = (open(input.now_ms), open(at_ms));
            let beyond = |these: &BTreeSet<&str>, those: &BTreeSet<&str>| {
                let names = these.difference(those);
                names.map(|name| (*name).to_owned()).collect()
            };
            Some(Opening {
                at_ms,
                opens: beyond(&after, &before),
                closes: beyond(&before, &after),
                missing,
            })
        })
    }
}

/// What is still missing `then`, if the request gets further than `now`: it is permitted, or can be
/// approved where it was denied, or without a quorum that is missing now.
fn further(now: &Evaluation, then: &Evaluation) -> Option<Vec<Missing>> {
    let then = match then {
        Evaluation::Decided(decided) => return decided.verdict.is_permit().then(Vec::new),
        Evaluation::Silence(silence) => &silence.missing,
    };
    let is_missing_then = |quorum: &Name| then.iter().any(|missing| missing.quorum == *quorum);
    let is_further = match now {
        Evaluation::Decided(_) => true,
        Evaluation::Silence(now) => {
            let mut missing = now.missing.iter();
            missing.any(|missing| !is_missing_then(&missing.quorum))
        }
    };
    // Another silence than the one for approvals lacks none.
    (is_further && !then.is_empty()).then(|| then.clone())
}

impl Inner {
    fn described(&self, ids: &[Name]) -> Vec<Deciding> {
        let described = ids.iter().filter_map(|id| {
            let rule = self.rules.get(id.as_str())?;
            Some(Deciding {
                id: id.clone(),
                forbids: rule.policy.effect() == Effect::Forbid,
                reason: rule.reason.clone(),
                code: rule.code.clone(),
            })
        });
        described.collect()
    }

    fn seen(
        &self,
        question: &Question<'_>,
        input: Input<'_>,
        standings: &BTreeMap<Name, Standing>,
    ) -> Seen {
        let Facts { evidence, .. } = input.facts;
        let quorums = standings.iter().map(|(name, standing)| QuorumSeen {
            quorum: name.clone(),
            min: standing.subject.min,
            approvers: standing.approvers().cloned().collect(),
        });
        let params = question.request.params.iter();
        Seen {
            now_ms: input.now_ms,
            principal: question.principal.to_string(),
            resource: question.resource.to_string(),
            windows: self
                .calendars
                .open_at(input.now_ms)
                .map(str::to_owned)
                .collect(),
            evidence: evidence.iter().cloned().collect(),
            quorums: quorums.collect(),
            params: params
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect(),
        }
    }

    fn would_have_to_change(
        &self,
        question: &Question<'_>,
        input: Input<'_>,
        standings: &BTreeMap<Name, Standing>,
    ) -> Result<WouldHaveToChange, Silence> {
        let permits = question.action.policies.permits();
        let with = |quorums: &BTreeSet<Name>| -> Result<(Vec<Name>, Verdict), Silence> {
            let moment = input.moment(quorums);
            let verdict = self.decide(question, moment)?;
            let forbids = match verdict {
                Verdict::Permit { .. } => Vec::new(),
                Verdict::Deny { policies, .. } => policies,
            };
            Ok((forbids, self.decide_by(&permits, question, moment)?))
        };
        let met = |standing: &Standing| standing.is_met();
        let all: BTreeSet<Name> = standings.keys().cloned().collect();
        let (forbids, verdict) = with(&all)?;
        // As few quorums as give the same: no more forbids, and a permit if there is one at all.
        let mut needed = all.clone();
        for (name, standing) in standings {
            let mut fewer = needed.clone();
            if !met(standing) && fewer.remove(name) {
                let (left, permitted) = with(&fewer)?;
                if left == forbids && permitted.is_permit() == verdict.is_permit() {
                    needed = fewer;
                }
            }
        }
        let (_, verdict) = with(&needed)?;
        let lacking = standings
            .iter()
            .filter(|(name, standing)| needed.contains(*name) && !met(standing));
        let candidates: Vec<Name> = permits.ids().cloned().collect();
        Ok(WouldHaveToChange {
            forbids: self.described(&forbids),
            missing: lacking.map(|(_, standing)| standing.missing()).collect(),
            permits: match &verdict {
                Verdict::Permit { policies } => self.described(policies),
                Verdict::Deny { .. } => Vec::new(),
            },
            candidates: if verdict.is_permit() {
                Vec::new()
            } else {
                self.described(&candidates)
            },
            opening: None,
        })
    }
}
