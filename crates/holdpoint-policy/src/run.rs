//! Runs the cases of a bundle: each passes or fails, none is left out.

mod bounds;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use holdpoint_receipt::request::Params;
use holdpoint_receipt::{Decision, Json, Name, Reason, Request};

use crate::approvals::Approval;
use crate::cases::{Case, Expect, Given, Held};
use crate::evaluate::{Decided, Evaluation, Facts, Input, Silence, Verdict};
use crate::policy::Policy;
use crate::surface::Claim;

/// What became of all cases of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// The cases in the order of the files and of their lines.
    pub cases: Vec<CaseReport>,
}

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseReport {
    /// The test file, relative to the root of the bundle.
    pub path: String,
    /// The line where the case starts.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub outcome: CaseOutcome,
}

/// Passed or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseOutcome {
    /// Everything that the case expects came out.
    Passed,
    /// Something else came out.
    Failed {
        /// What the case expects.
        expected: String,
        /// What came out.
        got: String,
    },
}

impl TestReport {
    /// How many cases passed.
    #[must_use]
    pub fn passed_count(&self) -> usize {
        self.count(|outcome| matches!(outcome, CaseOutcome::Passed))
    }

    /// How many cases failed. A bundle with one is refused.
    #[must_use]
    pub fn failed_count(&self) -> usize {
        self.count(|outcome| matches!(outcome, CaseOutcome::Failed { .. }))
    }

    /// Whether no case failed.
    #[must_use]
    pub fn is_acceptable(&self) -> bool {
        self.failed_count() == 0
    }

    fn count(&self, matches: fn(&CaseOutcome) -> bool) -> usize {
        self.cases
            .iter()
            .filter(|case| matches(&case.outcome))
            .count()
    }
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            name,
            outcome,
        } = self;
        match outcome {
            CaseOutcome::Passed => write!(f, "passed   {path}:{line}: {name}"),
            CaseOutcome::Failed { expected, got } => {
                writeln!(f, "FAILED   {path}:{line}: {name}")?;
                writeln!(f, "  expected  {expected}")?;
                write!(f, "  got       {got}")
            }
        }
    }
}

impl fmt::Display for TestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            writeln!(f, "{case}")?;
        }
        let (passed, failed) = (self.passed_count(), self.failed_count());
        writeln!(f, "{passed} passed, {failed} failed")
    }
}

impl Policy {
    /// Runs every case of the bundle.
    #[must_use]
    pub fn run_tests(&self) -> TestReport {
        let cases = self.0.cases.iter().map(|case| CaseReport {
            path: case.path.clone(),
            line: case.line,
            name: case.name.clone(),
            outcome: self.run_case(case),
        });
        TestReport {
            cases: cases.collect(),
        }
    }

    fn run_case(&self, case: &Case) -> CaseOutcome {
        let seen = match self.see(case) {
            Ok(seen) => seen,
            Err(silence) => Seen::silence(&silence),
        };
        if seen.meets(&case.expect) {
            CaseOutcome::Passed
        } else {
            CaseOutcome::Failed {
                expected: show_expected(&case.expect),
                got: seen.show(),
            }
        }
    }

    fn see(&self, case: &Case) -> Result<Seen, Silence> {
        let request = self.request(case)?;
        let facts = Facts {
            approvals: self.approvals(case, &request)?,
            evidence: case.evidence.clone(),
        };
        let evaluation = self.evaluate(Input {
            request: &request,
            now_ms: case.now_ms,
            facts: &facts,
        });
        match evaluation {
            Evaluation::Silence(silence) => Err(silence),
            Evaluation::Decided(decided) => Ok(Seen::decided(&decided, &case.held)),
        }
    }

    /// The approvals of a case, each about the request as it was when it was given: with the
    /// parameters of `of` in place of those of the case.
    fn approvals(&self, case: &Case, request: &Request) -> Result<Vec<Approval>, Silence> {
        let mut approvals = Vec::new();
        for given in &case.approvals {
            let then = earlier(request, given).map_err(|why| {
                let why = format!("the approval by `{}` is about no request: {why}", given.by);
                Silence::new(Reason::InvalidParams, why)
            })?;
            let subjects = self.subjects(&then)?.into_iter();
            let asked = subjects.filter(|subject| {
                let only = given.quorum.as_ref();
                only.is_none_or(|only| *only == subject.quorum)
            });
            approvals.extend(asked.map(|subject| Approval {
                quorum: subject.quorum,
                subject: subject.digest,
                approver: given.by.clone(),
                given_at_ms: given.at_ms,
            }));
        }
        Ok(approvals)
    }

    /// The request of a case, or what the gate says to one that it cannot even read.
    fn request(&self, case: &Case) -> Result<Request, Silence> {
        let silence = |reason: Reason, sentence: String| Silence::new(reason, sentence);
        let params = case
            .params
            .clone()
            .and_then(|json: Json| Params::from_json(json).map_err(|error| error.to_string()))
            .map_err(|why| silence(Reason::InvalidParams, why))?;
        let default = || self.default_action(&case.surface).cloned();
        let action = case.action.clone().or_else(default).ok_or_else(|| {
            let known = self.0.surfaces.contains_key(&case.surface);
            let reason = if known {
                Reason::UnknownAction
            } else {
                Reason::UnknownSurface
            };
            silence(reason, reason.sentence().to_owned())
        })?;
        let namespace =
            Name::new("default").map_err(|why| silence(Reason::InvalidParams, why.to_string()))?;
        Ok(Request {
            namespace,
            caller: case.caller.clone(),
            actor: case.actor.clone(),
            surface: case.surface.clone(),
            action,
            params,
            session: None,
            step: None,
            prerequisites: Vec::new(),
        })
    }
}

/// The request with the parameters that an approval is of.
fn earlier(request: &Request, given: &Given) -> Result<Request, String> {
    let others = given.of.clone()?;
    let mut members = request
        .params
        .as_json()
        .as_object()
        .cloned()
        .unwrap_or_default();
    members.extend(others.as_object().cloned().unwrap_or_default());
    let params = Params::from_json(Json::Object(members)).map_err(|error| error.to_string())?;
    Ok(Request {
        params,
        ..request.clone()
    })
}

/// What came out, in the words of an expectation.
struct Seen {
    decision: Decision,
    reason: Reason,
    codes: BTreeSet<String>,
    policies: BTreeSet<String>,
    resource: String,
    bounds: BTreeMap<String, String>,
    missing: BTreeSet<String>,
    refused: BTreeSet<String>,
    sentence: String,
}

impl Seen {
    fn silence(silence: &Silence) -> Self {
        let missing = silence.missing.iter();
        Self {
            decision: Decision::Silence,
            reason: silence.reason,
            codes: BTreeSet::new(),
            policies: BTreeSet::new(),
            resource: String::new(),
            bounds: BTreeMap::new(),
            missing: missing.map(|missing| missing.quorum.to_string()).collect(),
            refused: BTreeSet::new(),
            sentence: silence.sentence.clone(),
        }
    }

    /// The decision of the policies; a permit meets the bounds as the case says they are.
    fn decided(decided: &Decided, held: &[Held]) -> Self {
        let mut refused = BTreeMap::new();
        let (decision, reason, codes, policies) = match &decided.verdict {
            Verdict::Permit { policies } => {
                refused = bounds::refused(&decided.claims, held);
                let (decision, reason) = match bounds::reason(&refused) {
                    None => (Decision::Permit, Reason::Granted),
                    Some(reason) => (Decision::Deny, reason),
                };
                (decision, reason, [].as_slice(), policies)
            }
            Verdict::Deny {
                reason,
                codes,
                policies,
            } => (Decision::Deny, *reason, codes.as_slice(), policies),
        };
        let bound = |claim: &Claim| (claim.bound.to_string(), claim.key.to_string());
        Self {
            decision,
            reason,
            codes: codes.iter().cloned().collect(),
            policies: policies.iter().map(ToString::to_string).collect(),
            resource: decided.resource.clone(),
            bounds: decided.claims.iter().map(bound).collect(),
            missing: BTreeSet::new(),
            refused: refused.keys().map(ToString::to_string).collect(),
            sentence: String::new(),
        }
    }

    fn meets(&self, expect: &Expect) -> bool {
        fn same<T: PartialEq>(expected: Option<&T>, seen: &T) -> bool {
            expected.is_none_or(|expected| expected == seen)
        }
        self.decision == expect.decision
            && same(expect.reason.as_ref(), &self.reason)
            && same(expect.codes.as_ref(), &self.codes)
            && same(expect.policies.as_ref(), &self.policies)
            && same(expect.resource.as_ref(), &self.resource)
            && same(expect.bounds.as_ref(), &self.bounds)
            && same(expect.missing.as_ref(), &self.missing)
            && same(expect.refused.as_ref(), &self.refused)
    }

    fn show(&self) -> String {
        let head = format!("{} {}", self.decision, self.reason);
        if self.decision == Decision::Silence {
            return format!("{head} because {}", self.sentence);
        }
        let (codes, policies) = (list(&self.codes), list(&self.policies));
        let (resource, bounds) = (&self.resource, map(&self.bounds));
        let line =
            format!("{head} codes {codes} policies {policies} resource {resource} bounds {bounds}");
        if self.refused.is_empty() {
            return line;
        }
        format!("{line} refused {}", list(&self.refused))
    }
}

fn show_expected(expect: &Expect) -> String {
    let mut line = expect.decision.to_string();
    let mut add = |value: Option<String>| {
        line.extend(value.map(|value| format!(" {value}")));
    };
    add(expect.reason.map(|reason| reason.to_string()));
    add(expect
        .codes
        .as_ref()
        .map(|codes| format!("codes {}", list(codes))));
    add(expect
        .policies
        .as_ref()
        .map(|policies| format!("policies {}", list(policies))));
    add(expect
        .resource
        .as_ref()
        .map(|resource| format!("resource {resource}")));
    add(expect
        .bounds
        .as_ref()
        .map(|bounds| format!("bounds {}", map(bounds))));
    add(expect
        .missing
        .as_ref()
        .map(|missing| format!("missing {}", list(missing))));
    add(expect
        .refused
        .as_ref()
        .map(|refused| format!("refused {}", list(refused))));
    line
}

fn list(items: &BTreeSet<String>) -> String {
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    format!("[{}]", items.join(", "))
}

fn map(items: &BTreeMap<String, String>) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|(name, key)| format!("{name}: {key}"))
        .collect();
    format!("{{{}}}", items.join(", "))
}
