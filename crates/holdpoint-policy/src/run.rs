//! Runs the cases of a bundle.
//!
//! A case that needs what this version does not have is reported as not run. It is never counted as
//! passed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use holdpoint_receipt::request::Params;
use holdpoint_receipt::{Decision, Json, Name, Reason, Request};

use crate::cases::{Case, Expect};
use crate::evaluate::{Evaluation, Facts, Input, Silence, Verdict};
use crate::policy::Policy;

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

/// Passed, failed, or not run.
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
    /// The case needs what this version does not have.
    NotRun {
        /// What it needs.
        needs: String,
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

    /// How many cases were not run.
    #[must_use]
    pub fn not_run_count(&self) -> usize {
        self.count(|outcome| matches!(outcome, CaseOutcome::NotRun { .. }))
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
            CaseOutcome::NotRun { needs } => {
                write!(f, "not run  {path}:{line}: {name} (part 2: {needs})")
            }
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
        let (passed, failed, not_run) = (
            self.passed_count(),
            self.failed_count(),
            self.not_run_count(),
        );
        writeln!(f, "{passed} passed, {failed} failed, {not_run} not run")
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
        if let Some(needs) = self.missing_feature(case) {
            return CaseOutcome::NotRun { needs };
        }
        let facts = Facts {
            quorums: BTreeSet::new(),
            evidence: case.evidence.clone(),
        };
        let evaluation = self
            .request(case)
            .map_or_else(Evaluation::Silence, |request| {
                self.evaluate(Input {
                    request: &request,
                    now_ms: case.now_ms,
                    facts: &facts,
                })
            });
        let seen = Seen::of(&evaluation);
        if seen.meets(&case.expect) {
            CaseOutcome::Passed
        } else {
            CaseOutcome::Failed {
                expected: show_expected(&case.expect),
                got: seen.show(),
            }
        }
    }

    /// What the case needs and this version lacks.
    fn missing_feature(&self, case: &Case) -> Option<String> {
        let expect = &case.expect;
        let about_approvals =
            expect.missing.is_some() || expect.reason == Some(Reason::ApprovalRequired);
        if case.has_approvals || about_approvals {
            return Some("approvals".to_owned());
        }
        if case.has_budgets {
            return Some("budgets".to_owned());
        }
        let surface = self.0.surfaces.get(&case.surface)?;
        let mut unclaimable = surface
            .bounds
            .iter()
            .filter(|bound| bound.kind.claim().is_none());
        let bound = unclaimable
            .next()
            .filter(|_| expect.decision == Decision::Permit)?;
        Some(format!(
            "bound `{}` is a {}",
            bound.name,
            bound.kind.as_str()
        ))
    }

    /// The request of a case, or what the gate says to one that it cannot even read.
    fn request(&self, case: &Case) -> Result<Request, Silence> {
        let silence = |reason: Reason, sentence: String| Silence {
            reason,
            sentence,
            missing: Vec::new(),
        };
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

/// What came out, in the words of an expectation.
struct Seen {
    decision: Decision,
    reason: Reason,
    codes: BTreeSet<String>,
    policies: BTreeSet<String>,
    resource: String,
    bounds: BTreeMap<String, String>,
    sentence: String,
}

impl Seen {
    fn of(evaluation: &Evaluation) -> Self {
        match evaluation {
            Evaluation::Silence(silence) => Self {
                decision: Decision::Silence,
                reason: silence.reason,
                codes: BTreeSet::new(),
                policies: BTreeSet::new(),
                resource: String::new(),
                bounds: BTreeMap::new(),
                sentence: silence.sentence.clone(),
            },
            Evaluation::Decided(decided) => {
                let (decision, reason, codes, policies) = match &decided.verdict {
                    Verdict::Permit { policies } => {
                        (Decision::Permit, Reason::Granted, [].as_slice(), policies)
                    }
                    Verdict::Deny {
                        reason,
                        codes,
                        policies,
                    } => (Decision::Deny, *reason, codes.as_slice(), policies),
                };
                let bound = |claim: &crate::Claim| (claim.bound.to_string(), claim.key.to_string());
                Self {
                    decision,
                    reason,
                    codes: codes.iter().cloned().collect(),
                    policies: policies.iter().map(ToString::to_string).collect(),
                    resource: decided.resource.clone(),
                    bounds: decided.claims.iter().map(bound).collect(),
                    sentence: String::new(),
                }
            }
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
    }

    fn show(&self) -> String {
        let head = format!("{} {}", self.decision, self.reason);
        if self.decision == Decision::Silence {
            return format!("{head} because {}", self.sentence);
        }
        let (codes, policies) = (list(&self.codes), list(&self.policies));
        let (resource, bounds) = (&self.resource, map(&self.bounds));
        format!("{head} codes {codes} policies {policies} resource {resource} bounds {bounds}")
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
