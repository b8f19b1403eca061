//! From a request and facts to a verdict. Total: every input has an answer, the same everywhere.
//!
//! Anything that is not a clear answer is SILENCE: an unknown word, a value of another type, an
//! entity that is not there, and above all a policy that could not be evaluated. Cedar leaves such a
//! policy out of its answer, and a forbid left out would be a hole.
//!
//! ```text
//! request ─▶ Question ─▶ decide, with the quorums that the approvals meet ─▶ verdict
//!                           │ permit: again with fewer quorums, as long as it stays one ─▶ used
//!                           └ denied: again with all quorums; a permit then means APPROVAL_REQUIRED
//! ```

mod claims;
mod question;

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy_core::ast::Value;
use holdpoint_receipt::{Name, Reason, Request};

use crate::approvals::{Approval, Missing, Standing, UsedApproval};
use crate::policies;
use crate::policy::{Inner, Policy};
use crate::slice::{Asked, Said, Slice};
use crate::surface::{Claim, ContextFact, Terms};
use crate::time;
use crate::typed::Extension;

pub(crate) use question::Question;

/// The most policies that one decision names; the state machine records no more.
const DECIDING_MAX: usize = 64;

/// What a verdict rests on besides the request and the bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The standing approvals: given, not taken back, and not spent (or spent by the permit that a
    /// grant replaces). In any order; those that are about something else change nothing.
    pub approvals: Vec<Approval>,
    /// The attestations that the gate itself has verified for this request.
    pub evidence: BTreeSet<String>,
}

/// One question to the policy.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The request. Its caller has been authenticated.
    pub request: &'a Request,
    /// The evaluation time, which is `now` for the policies.
    pub now_ms: u64,
    /// The other facts.
    pub facts: &'a Facts,
}

impl Input<'_> {
    /// What the policies see of it, with these quorums met.
    pub(crate) fn moment<'b>(&'b self, quorums: &'b BTreeSet<Name>) -> Moment<'b> {
        Moment {
            now_ms: self.now_ms,
            evidence: &self.facts.evidence,
            quorums,
        }
    }
}

/// What a verdict rests on besides the question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) now_ms: u64,
    pub(crate) evidence: &'a BTreeSet<String>,
    pub(crate) quorums: &'a BTreeSet<Name>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// The policy decided. Whether the claims are granted is for the state machine to say.
    Decided(Decided),
    /// The policy decided nothing.
    Silence(Silence),
}

/// A verdict, and what it would bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What the policies say.
    pub verdict: Verdict,
    /// What the action is done to, as `Workspace::"prod-eu"`.
    pub resource: String,
    /// The bounded operations, sorted by the name of the bound. A denial claims none of them.
    pub claims: Vec<Claim>,
    /// The approvals that the verdict rests on, sorted: with these alone among the facts it is the
    /// same. For each quorum that it needs as many as the quorum asks for, the earliest given first,
    /// then by approver, one for each person.
    pub used: Vec<UsedApproval>,
    /// What the permit would carry.
    pub terms: Terms,
}

/// What the policies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// At least one policy permits and none forbids.
    Permit {
        /// The permitting policies, sorted.
        policies: Vec<Name>,
    },
    /// A policy forbids ([`Reason::Policy`]), or none permits ([`Reason::NotPermitted`]).
    Deny {
        /// Which of the two.
        reason: Reason,
        /// The codes of the forbidding policies, sorted, each once.
        codes: Vec<String>,
        /// The forbidding policies, sorted.
        policies: Vec<Name>,
    },
}

impl Verdict {
    /// Whether it permits.
    #[must_use]
    pub const fn is_permit(&self) -> bool {
        matches!(self, Self::Permit { .. })
    }

    /// The deciding policies, sorted.
    #[must_use]
    pub fn policies(&self) -> &[Name] {
        match self {
            Self::Permit { policies } | Self::Deny { policies, .. } => policies,
        }
    }
}

/// Why nothing was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// A reason of the registry, with the decision SILENCE.
    pub reason: Reason,
    /// What is wrong with this request, for people.
    pub sentence: String,
    /// With [`Reason::ApprovalRequired`]: the quorums without which it would be denied, sorted by
    /// name, each with what has to be approved. Otherwise empty.
    pub missing: Vec<Missing>,
}

impl Silence {
    pub(crate) fn new(reason: Reason, sentence: impl Into<String>) -> Self {
        Self {
            reason,
            sentence: sentence.into(),
            missing: Vec::new(),
        }
    }
}

impl Policy {
    /// Says what the bundle says about a request.
    ///
    /// Pure and total: reads no clock and no state, and never panics. The same input gives the same
    /// answer in every process and on every machine. Needs a stack of at most 2 MiB.
    #[must_use]
    pub fn evaluate(&self, input: Input<'_>) -> Evaluation {
        match self.0.evaluate(input) {
            Ok(decided) => Evaluation::Decided(decided),
            Err(silence) => Evaluation::Silence(silence),
        }
    }
}

impl Inner {
    fn evaluate(&self, input: Input<'_>) -> Result<Decided, Silence> {
        let question = self.question(input.request)?;
        let standings = self.standings(&question, input)?;
        let (verdict, needed) = self.verdict(&question, input, &standings)?;
        let claims = claims::of(&question)?;
        let needed = needed.iter().filter_map(|name| standings.get(name));
        let mut used: Vec<UsedApproval> = needed.flat_map(Standing::used).collect();
        used.sort();
        Ok(Decided {
            verdict,
            resource: question.resource.to_string(),
            claims,
            used,
            terms: question.surface.terms.clone(),
        })
    }

    /// The verdict, and the met quorums that it needs.
    ///
    /// Computed with those that are met, then with fewer of them as long as it stays a permit, or,
    /// word for word, the same denial. So the approvals of the others are left alone, and the verdict
    /// can be found again from what it needs.
    pub(crate) fn verdict(
        &self,
        question: &Question<'_>,
        input: Input<'_>,
        standings: &BTreeMap<Name, Standing>,
    ) -> Result<(Verdict, BTreeSet<Name>), Silence> {
        let met = standings.iter().filter(|(_, standing)| standing.is_met());
        let mut needed: BTreeSet<Name> = met.map(|(name, _)| name.clone()).collect();
        let mut verdict = self.decide(question, input.moment(&needed))?;
        if !verdict.is_permit() {
            self.require_approvals(question, input, standings, &needed)?;
        }
        // Again until nothing can go: without one quorum another may have become superfluous.
        loop {
            let before = needed.len();
            for name in needed.clone() {
                let mut fewer = needed.clone();
                fewer.remove(&name);
                let Ok(found) = self.decide(question, input.moment(&fewer)) else {
                    continue;
                };
                if (verdict.is_permit() && found.is_permit()) || verdict == found {
                    (verdict, needed) = (found, fewer);
                }
            }
            if needed.len() == before {
                return Ok((verdict, needed));
            }
        }
    }

    /// Asks Cedar.
    pub(crate) fn decide(
        &self,
        question: &Question<'_>,
        moment: Moment<'_>,
    ) -> Result<Verdict, Silence> {
        self.decide_by(&question.action.policies, question, moment)
    }

    /// Asks Cedar, with some of the policies.
    pub(crate) fn decide_by(
        &self,
        policies: &Slice,
        question: &Question<'_>,
        moment: Moment<'_>,
    ) -> Result<Verdict, Silence> {
        let error = |why: String| Silence::new(Reason::EvaluationError, why);
        let asked = Asked {
            principal: &question.principal,
            action: &question.action.uid,
            resource: &question.resource,
            context: self.context(question, moment)?,
        };
        let Said {
            is_permit,
            policies,
            errors,
        } = policies.ask(asked, self);
        if let Some(first) = errors.first() {
            return Err(error(format!("a policy could not be evaluated: {first}")));
        }
        if policies.len() > DECIDING_MAX {
            let count = policies.len();
            return Err(error(format!(
                "{count} policies decide this request, at most {DECIDING_MAX} can be recorded: merge some"
            )));
        }
        if is_permit {
            return Ok(Verdict::Permit { policies });
        }
        let reason = if policies.is_empty() {
            Reason::NotPermitted
        } else {
            Reason::Policy
        };
        Ok(Verdict::Deny {
            reason,
            codes: policies::codes(&self.rules, &policies),
            policies,
        })
    }

    /// After a denial: SILENCE if more quorums would have made it a permit.
    fn require_approvals(
        &self,
        question: &Question<'_>,
        input: Input<'_>,
        standings: &BTreeMap<Name, Standing>,
        met: &BTreeSet<Name>,
    ) -> Result<(), Silence> {
        let Some(needed) = self.lacking(question, input, standings, met)? else {
            return Ok(());
        };
        let missing = needed.iter().filter_map(|name| standings.get(name));
        let missing: Vec<Missing> = missing.map(Standing::missing).collect();
        let said = missing.iter().map(|missing| {
            let Missing {
                quorum, have, min, ..
            } = missing;
            format!("`{quorum}` ({have} of {min})")
        });
        let said: Vec<String> = said.collect();
        Err(Silence {
            reason: Reason::ApprovalRequired,
            sentence: format!("approvals are missing: {}", said.join(", ")),
            missing,
        })
    }

    /// The quorums that would make a permit of what is denied with those in `met`, as few as can be
    /// left out one after the other; none if no quorum of the surface would.
    pub(crate) fn lacking(
        &self,
        question: &Question<'_>,
        input: Input<'_>,
        standings: &BTreeMap<Name, Standing>,
        met: &BTreeSet<Name>,
    ) -> Result<Option<BTreeSet<Name>>, Silence> {
        let open = standings.keys().filter(|name| !met.contains(name));
        let mut needed: BTreeSet<Name> = open.cloned().collect();
        let permits = |needed: &BTreeSet<Name>| -> Result<bool, Silence> {
            let assumed = met.union(needed).cloned().collect();
            let found = self.decide(question, input.moment(&assumed))?;
            Ok(found.is_permit())
        };
        if needed.is_empty() || !permits(&needed)? {
            return Ok(None);
        }
        for name in standings.keys() {
            let mut fewer = needed.clone();
            if fewer.remove(name) && permits(&fewer)? {
                needed = fewer;
            }
        }
        Ok(Some(needed))
    }

    fn context(
        &self,
        question: &Question<'_>,
        moment: Moment<'_>,
    ) -> Result<Vec<(&'static str, Value)>, Silence> {
        let error = |why: String| Silence::new(Reason::EvaluationError, why);
        let request = question.request;
        let Moment {
            now_ms,
            evidence,
            quorums,
        } = moment;
        let fact = |fact: &ContextFact| {
            Ok(match fact {
                ContextFact::Now => {
                    let now = time::show_instant(now_ms);
                    let now =
                        now.ok_or_else(|| error("the time is after the year 9999".to_owned()))?;
                    ("now", Extension::Datetime.value(&now).map_err(error)?)
                }
                ContextFact::Windows => ("windows", set(self.calendars.open_at(now_ms))),
                ContextFact::Caller => ("caller", Value::from(request.caller.as_str())),
                ContextFact::Surface => ("surface", Value::from(request.surface.as_str())),
                ContextFact::Action => ("action", Value::from(request.action.as_str())),
                ContextFact::Evidence => ("evidence", set(evidence.iter().map(String::as_str))),
                ContextFact::Params => ("params", question.params.clone()),
                ContextFact::Approvals => {
                    let quorums = set(quorums.iter().map(Name::as_str));
                    ("approvals", Value::record([("quorums", quorums)], None))
                }
            })
        };
        question.action.facts.iter().map(fact).collect()
    }
}

fn set<'a>(texts: impl Iterator<Item = &'a str>) -> Value {
    Value::set_of_lits(texts.map(Into::into), None)
}
