//! From a request and facts to a verdict. Total: every input has an answer, the same everywhere.
//!
//! Anything that is not a clear answer is SILENCE: an unknown word, a value of another type, an
//! entity that is not there, and above all a policy that could not be evaluated. Cedar leaves such a
//! policy out of its answer, and a forbid left out would be a hole.

use std::collections::BTreeSet;

use cedar_policy::{
    Authorizer, Context, Decision, EntityUid, Request as CedarRequest, RestrictedExpression,
};
use holdpoint_receipt::{Name, Reason, Request};

use crate::entities;
use crate::policies;
use crate::policy::{Inner, Policy};
use crate::surface::{Action, Claim, ContextFact, ResourceId, Surface, Terms};
use crate::time;
use crate::typed::{self, Misfit};

/// The most policies that one decision names; the state machine records no more.
const DECIDING_MAX: usize = 64;

/// What a verdict rests on besides the request and the bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The quorums that are met for this request.
    pub quorums: BTreeSet<Name>,
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
    /// The bounded operations, sorted by the name of the bound. A denial claims nothing and lists
    /// only bounds that this version can claim.
    pub claims: Vec<Claim>,
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

/// Why nothing was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// A reason of the registry, with the decision SILENCE.
    pub reason: Reason,
    /// What is wrong with this request, for people.
    pub sentence: String,
    /// With [`Reason::ApprovalRequired`]: the quorums without which it would be denied, sorted.
    pub missing: Vec<Name>,
}

impl Silence {
    fn new(reason: Reason, sentence: impl Into<String>) -> Self {
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

/// What is evaluated, once everything in the request has been found.
struct Question<'a> {
    input: Input<'a>,
    surface: &'a Surface,
    action: &'a Action,
    principal: EntityUid,
    resource: EntityUid,
    params: RestrictedExpression,
}

impl Inner {
    fn evaluate(&self, input: Input<'_>) -> Result<Decided, Silence> {
        let question = self.question(input)?;
        let surface = question.surface;
        let verdict = self.decide(&question, &input.facts.quorums)?;
        let permitted = matches!(verdict, Verdict::Permit { .. });
        if !permitted {
            self.require_approvals(&question)?;
        }
        let claims = claims(&question, permitted)?;
        let (resource, terms) = (question.resource.to_string(), surface.terms.clone());
        Ok(Decided {
            verdict,
            resource,
            claims,
            terms,
        })
    }

    /// Finds everything that the request names.
    fn question<'a>(&'a self, input: Input<'a>) -> Result<Question<'a>, Silence> {
        let request = input.request;
        let surface = self.surfaces.get(&request.surface).ok_or_else(|| {
            let sentence = format!(
                "the active policy does not register the surface `{}`",
                request.surface
            );
            Silence::new(Reason::UnknownSurface, sentence)
        })?;
        let action = surface.actions.get(&request.action).ok_or_else(|| {
            let known: Vec<&str> = surface.actions.keys().map(Name::as_str).collect();
            let (name, known) = (&request.action, known.join("`, `"));
            let sentence = format!(
                "the surface `{}` has no action `{name}`; it has `{known}`",
                surface.name
            );
            Silence::new(Reason::UnknownAction, sentence)
        })?;
        let members = request.params.as_json().as_object();
        let members = members
            .ok_or_else(|| Silence::new(Reason::InvalidParams, "`params` is not an object"))?;
        let params =
            typed::record(&surface.params, members, &self.entities).map_err(
                |misfit| match misfit {
                    Misfit::Type(why) => Silence::new(Reason::InvalidParams, why),
                    Misfit::Entity(why) => Silence::new(Reason::EvaluationError, why),
                },
            )?;
        let principal = self.principal(surface, request)?;
        let resource = self.resource(surface, request)?;
        Ok(Question {
            input,
            surface,
            action,
            principal,
            resource,
            params,
        })
    }

    fn principal(&self, surface: &Surface, request: &Request) -> Result<EntityUid, Silence> {
        let caller = request.caller.as_str();
        let unknown = |why: String| Silence::new(Reason::EvaluationError, why);
        let uid = if let Some(uid) = self.callers.get(&request.caller) {
            let type_name = uid.type_name().to_string();
            if !surface.principals.contains(&type_name) {
                let name = &surface.name;
                return Err(unknown(format!(
                    "the caller `{caller}` is {uid}, which `{name}` does not accept"
                )));
            }
            uid.clone()
        } else {
            let [only] = surface.principals.as_slice() else {
                return Err(unknown(format!(
                    "the caller `{caller}` is not listed under `callers`"
                )));
            };
            entities::uid(only, caller)
                .ok_or_else(|| unknown(format!("`{only}` is not an entity type")))?
        };
        if surface.principal_must_exist && self.entities.get(&uid).is_none() {
            return Err(unknown(format!(
                "the caller `{caller}` is {uid}, which is not in the bundle"
            )));
        }
        Ok(uid)
    }

    fn resource(&self, surface: &Surface, request: &Request) -> Result<EntityUid, Silence> {
        let id = match &surface.resource {
            ResourceId::Constant(id) => Some(id.clone()),
            ResourceId::Template(template) if template.is_one_value() => {
                template.render_raw(request)
            }
            ResourceId::Template(template) => template.render(request),
        };
        let uid = id.and_then(|id| entities::uid(&surface.resource_type, &id));
        let uid =
            uid.ok_or_else(|| Silence::new(Reason::InvalidParams, "the resource cannot be named"))?;
        if surface.resource_must_exist && self.entities.get(&uid).is_none() {
            let sentence = format!("the resource {uid} is not in the bundle");
            return Err(Silence::new(Reason::EvaluationError, sentence));
        }
        Ok(uid)
    }

    /// Asks Cedar, with these quorums met.
    fn decide(
        &self,
        question: &Question<'_>,
        quorums: &BTreeSet<Name>,
    ) -> Result<Verdict, Silence> {
        let error = |why: String| Silence::new(Reason::EvaluationError, why);
        let context = self.context(question, quorums)?;
        let request = CedarRequest::new(
            question.principal.clone(),
            question.action.uid.clone(),
            question.resource.clone(),
            context,
            Some(&self.schema.cedar),
        )
        .map_err(|why| error(format!("the request does not fit the schema: {why}")))?;
        let response =
            Authorizer::new().is_authorized(&request, &question.action.policies, &self.entities);
        let errors: BTreeSet<String> = response
            .diagnostics()
            .errors()
            .map(ToString::to_string)
            .collect();
        if let Some(first) = errors.first() {
            return Err(error(format!("a policy could not be evaluated: {first}")));
        }
        // Cedar gives the ids in hash order: the set sorts them before anything is made of them.
        let ids: BTreeSet<&str> = response.diagnostics().reason().map(AsRef::as_ref).collect();
        let policies: Result<Vec<Name>, _> = ids.into_iter().map(Name::new).collect();
        let policies = policies.map_err(|why| error(why.to_string()))?;
        if policies.len() > DECIDING_MAX {
            let count = policies.len();
            return Err(error(format!(
                "{count} policies decide this request, at most {DECIDING_MAX} can be recorded: merge some"
            )));
        }
        Ok(match response.decision() {
            Decision::Allow => Verdict::Permit { policies },
            Decision::Deny => {
                let reason = if policies.is_empty() {
                    Reason::NotPermitted
                } else {
                    Reason::Policy
                };
                Verdict::Deny {
                    reason,
                    codes: policies::codes(&self.rules, &policies),
                    policies,
                }
            }
        })
    }

    /// After a denial: SILENCE if more quorums would have made it a permit.
    fn require_approvals(&self, question: &Question<'_>) -> Result<(), Silence> {
        let met = &question.input.facts.quorums;
        let mut needed: BTreeSet<Name> = question
            .surface
            .approvals
            .iter()
            .filter(|name| !met.contains(name))
            .cloned()
            .collect();
        if needed.is_empty() {
            return Ok(());
        }
        let permits = |needed: &BTreeSet<Name>| -> Result<bool, Silence> {
            let assumed = met.union(needed).cloned().collect();
            Ok(matches!(
                self.decide(question, &assumed)?,
                Verdict::Permit { .. }
            ))
        };
        if !permits(&needed)? {
            return Ok(());
        }
        for name in &question.surface.approvals {
            let mut fewer = needed.clone();
            if fewer.remove(name) && permits(&fewer)? {
                needed = fewer;
            }
        }
        let missing: Vec<Name> = needed.into_iter().collect();
        let names: Vec<&str> = missing.iter().map(Name::as_str).collect();
        let sentence = format!(
            "approvals are missing: `{}`; this version cannot collect approvals, so nothing is decided",
            names.join("`, `")
        );
        Err(Silence {
            reason: Reason::ApprovalRequired,
            sentence,
            missing,
        })
    }

    fn context(
        &self,
        question: &Question<'_>,
        quorums: &BTreeSet<Name>,
    ) -> Result<Context, Silence> {
        let error = |why: String| Silence::new(Reason::EvaluationError, why);
        let Input {
            request,
            now_ms,
            facts,
        } = question.input;
        let mut pairs = Vec::new();
        for fact in &question.action.facts {
            let (name, value) = match fact {
                ContextFact::Now => {
                    let now = time::show_instant(now_ms);
                    let now =
                        now.ok_or_else(|| error("the time is after the year 9999".to_owned()))?;
                    ("now", RestrictedExpression::new_datetime(now))
                }
                ContextFact::Windows => ("windows", set(self.calendars.open_at(now_ms))),
                ContextFact::Caller => ("caller", string(request.caller.as_str())),
                ContextFact::Surface => ("surface", string(request.surface.as_str())),
                ContextFact::Action => ("action", string(request.action.as_str())),
                ContextFact::Evidence => {
                    ("evidence", set(facts.evidence.iter().map(String::as_str)))
                }
                ContextFact::Params => ("params", question.params.clone()),
                ContextFact::Approvals => {
                    let quorums = set(quorums.iter().map(Name::as_str));
                    let record =
                        RestrictedExpression::new_record([("quorums".to_owned(), quorums)]);
                    ("approvals", record.map_err(|why| error(why.to_string()))?)
                }
            };
            pairs.push((name.to_owned(), value));
        }
        Context::from_pairs(pairs).map_err(|why| {
            Silence::new(
                Reason::InvalidParams,
                format!("a parameter is not what its type wants: {why}"),
            )
        })
    }
}

fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn set<'a>(texts: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.map(string))
}

/// Renders the bounds. A permit with a bound that this version cannot claim is no decision: granting
/// it would be granting it unbounded.
fn claims(question: &Question<'_>, permitted: bool) -> Result<Vec<Claim>, Silence> {
    let mut claims = Vec::new();
    for bound in &question.surface.bounds {
        let Some(kind) = bound.kind.claim() else {
            if permitted {
                let (name, word, surface) =
                    (&bound.name, bound.kind.as_str(), &question.surface.name);
                return Err(Silence::new(
                    Reason::EvaluationError,
                    format!(
                        "the policy permits it, but bound `{name}` of `{surface}` is a {word}, which is \
                         not supported by this version, so nothing is granted"
                    ),
                ));
            }
            continue;
        };
        let key = bound
            .key
            .render_key(question.input.request)
            .ok_or_else(|| {
                let sentence = format!(
                    "the key of bound `{}` would be empty or longer than 512 bytes",
                    bound.name
                );
                Silence::new(Reason::InvalidParams, sentence)
            })?;
        claims.push(Claim {
            bound: bound.name.clone(),
            kind,
            key,
        });
    }
    Ok(claims)
}
