use holdpoint_core::command::{ApprovalFact, ApprovalName, Evaluation, Facts};
use holdpoint_policy::{self as policy, EVALUATOR_VERSION, starter};
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::statement::{BoundCommitments, Verdict as Stated};
use holdpoint_receipt::{
    Caller, ClusterTime, Digest, IdempotencyKey, PolicyVersion, Reason, Request, Salt,
    StatementText,
};

use super::{
    Authorize, DecisionStatement, Disagreement, Input, Name, PermitId, Policy, Subject, Verdict,
    Words, commit, compare, translate,
};
use crate::evaluate::ByPolicy;
use crate::recorded::Kept;

const NOW_MS: u64 = 1_800_000_000_000;

/// A decision as an honest leader records it.
struct Case {
    policy: Policy,
    namespace: Name,
    decision: DecisionStatement,
    kept: Kept,
    granted: Option<Vec<PermitId>>,
}

/// A request with its params.
fn request(surface: &str, action: &str, params: &str) -> Request {
    let canonical = format!(
        r#"{{"action":"{action}","caller":"loopback:dev","namespace":"default","params":{params},"surface":"{surface}"}}"#
    );
    Request::parse_canonical(canonical.as_bytes()).unwrap()
}

fn echo(message: &str) -> Request {
    request(
        "demo.echo",
        "echo",
        &format!(r#"{{"message":"{message}"}}"#),
    )
}

fn payment(amount: u64) -> Request {
    let params = format!(
        r#"{{"account":"main","amount_minor":{amount},"currency":"EUR","invoice":"INV-1"}}"#
    );
    request("payment.execute", "transfer", &params)
}

/// What the state machine states of it.
fn stated(kept: &Kept) -> DecisionStatement {
    let commitment = |member: &str, value: &str| commit(&kept.salt, member, value.as_bytes());
    let evaluation = &kept.evaluation;
    DecisionStatement {
        verdict: Stated::Deny {
            reason: Reason::Policy,
            retry_at: None,
        },
        surface: kept.request.surface.clone(),
        action: kept.request.action.clone(),
        request_digest: kept.request.digest(),
        caller_commitment: commitment("caller_commitment", kept.request.caller.as_str()),
        actor_commitment: None,
        session_commitment: None,
        idempotency_key_commitment: commitment("idempotency_key_commitment", "k1"),
        not_after: evaluation.evaluated_at,
        policy_version: evaluation.policy_version,
        policy_digest: evaluation.policy_digest,
        evaluator: StatementText::lossy("holdpoint-policy/1"),
        inputs_digest: Digest::from_bytes([0; 32]),
        approvals_digest: None,
        bounds: BoundCommitments::default(),
        policy_codes: None,
        policy_ids: None,
    }
}

impl Case {
    fn of(request: Request) -> Self {
        Self::approved(request, &[])
    }

    /// The same with approvals of the quorum that payments have.
    fn approved(request: Request, approvers: &[&str]) -> Self {
        let loaded = Policy::load(&starter::bundle().unwrap()).unwrap();
        let now = ClusterTime::new(NOW_MS).unwrap();
        let subject = loaded.subjects(&request).unwrap().first().cloned();
        let approvals = approvers.iter().map(|approver| {
            let subject = subject.as_ref().unwrap();
            let name = ApprovalName {
                quorum: subject.quorum.clone(),
                subject: subject.digest,
                approver: Caller::new(format!("loopback:{approver}")).unwrap(),
            };
            (name, Some(now))
        });
        let mut kept = Kept {
            salt: Salt::from_bytes([7; 32]),
            request,
            evaluation: Evaluation {
                policy_version: PolicyVersion::new(1).unwrap(),
                policy_digest: loaded.digest(),
                evaluator_version: EVALUATOR_VERSION,
                evaluated_at: now,
                facts: Facts::default(),
                verdict: Verdict::Permit {
                    policies: Vec::new(),
                },
                claims: Vec::new(),
            },
            approvals: approvals.collect(),
        };
        let said = loaded.evaluate(Input {
            request: &kept.request,
            now_ms: NOW_MS,
            facts: &kept.facts(),
        });
        let policy::Evaluation::Decided(decided) = said else {
            panic!("{said:?}");
        };
        let used = decided.used.iter().map(|used| ApprovalFact {
            name: ApprovalName {
                quorum: used.quorum.clone(),
                subject: used.subject,
                approver: used.approver.clone(),
            },
            leaf: 3,
            spends: used.spent,
        });
        kept.evaluation.facts.approvals = used.collect();
        (kept.evaluation.verdict, kept.evaluation.claims) = translate::verdict(decided);
        let decision = stated(&kept);
        Self {
            policy: loaded,
            namespace: Name::new("default").unwrap(),
            decision,
            kept,
            granted: None,
        }
    }

    fn compared(&self) -> Result<(), Disagreement> {
        self.compared_to(Words::Stated {
            decision: &self.decision,
            salt: &self.kept.salt,
            granted: self.granted.as_deref(),
        })
    }

    fn compared_to(&self, words: Words<'_>) -> Result<(), Disagreement> {
        let subject = Subject {
            namespace: &self.namespace,
            words,
            request: &self.kept.request,
            evaluation: &self.kept.evaluation,
            facts: &self.kept.facts(),
        };
        compare(&ByPolicy, &self.policy, subject)
    }

    /// The command that a leader would have proposed for it.
    fn command(&self) -> Authorize {
        let request = &self.kept.request;
        let canonical = request.to_canonical().into_bytes();
        Authorize {
            namespace: request.namespace.clone(),
            caller: request.caller.clone(),
            idempotency_key: IdempotencyKey::new("k1").unwrap(),
            not_after: self.kept.evaluation.evaluated_at,
            wait_until: None,
            request_digest: digest_of_canonical(&canonical),
            request: canonical,
            surface: request.surface.clone(),
            action: request.action.clone(),
            actor: request.actor.clone(),
            session: request.session.clone(),
            step: None,
            prerequisites: request.prerequisites.clone(),
            evaluation: Some(self.kept.evaluation.clone()),
            salt: self.kept.salt,
        }
    }

    /// What is found once the record says something else.
    fn found(mut self, change: impl FnOnce(&mut Self)) -> String {
        assert_eq!(self.compared(), Ok(()), "it was honest before");
        change(&mut self);
        self.compared().unwrap_err().to_string()
    }
}

#[test]
fn what_an_honest_leader_records_is_what_a_follower_finds() {
    for request in [echo("hello"), echo("forbidden"), payment(2_500)] {
        assert_eq!(Case::of(request).compared(), Ok(()));
    }
    let approved = Case::approved(payment(250_000), &["alice", "bob"]);
    assert_eq!(approved.kept.evaluation.facts.approvals.len(), 2);
    assert_eq!(approved.compared(), Ok(()));
}

#[test]
fn verdict_that_differs_in_one_word_is_found() {
    let granted = Case::of(echo("forbidden")).found(|case| {
        case.kept.evaluation.verdict = Verdict::Permit {
            policies: vec!["demo.echo".to_owned()],
        };
    });
    let expected = "it rests on PERMIT by demo.echo, and this node evaluates DENY POLICY";
    assert!(granted.starts_with(expected), "{granted}");
    assert!(granted.ends_with("by demo.forbidden-word"), "{granted}");
    for change in [
        |verdict: &mut Verdict| match verdict {
            Verdict::Deny { codes, .. } => codes.push("other".to_owned()),
            Verdict::Permit { .. } => unreachable!(),
        },
        |verdict: &mut Verdict| match verdict {
            Verdict::Deny { policies, .. } => policies.clear(),
            Verdict::Permit { .. } => unreachable!(),
        },
        |verdict: &mut Verdict| match verdict {
            Verdict::Deny { reason, .. } => *reason = Reason::NotPermitted,
            Verdict::Permit { .. } => unreachable!(),
        },
    ] {
        let found =
            Case::of(echo("forbidden")).found(|case| change(&mut case.kept.evaluation.verdict));
        assert!(found.starts_with("it rests on DENY"), "{found}");
    }
}

#[test]
fn claim_with_another_key_or_amount_or_none_at_all_is_found() {
    let expected = "its bounds, their keys or amounts are not those of the policy";
    let amount = Case::of(payment(2_500)).found(|case| {
        let claims = &mut case.kept.evaluation.claims;
        for claim in claims {
            claim.amount = 1;
        }
    });
    assert_eq!(amount, expected);
    let missing = Case::of(payment(2_500)).found(|case| {
        case.kept.evaluation.claims.pop();
    });
    assert_eq!(missing, expected);
}

#[test]
fn approvals_that_do_not_meet_the_quorum_or_are_not_needed_are_found() {
    let one = Case::approved(payment(250_000), &["alice", "bob"]).found(|case| {
        case.kept.approvals.pop();
        case.kept.evaluation.facts.approvals.pop();
    });
    assert!(one.ends_with("SILENCE APPROVAL_REQUIRED"), "{one}");
    let stranger = Case::approved(payment(250_000), &["alice", "bob"]).found(|case| {
        let mallory = Caller::new("loopback:mallory").unwrap();
        case.kept.approvals.last_mut().unwrap().0.approver = mallory.clone();
        let facts = &mut case.kept.evaluation.facts.approvals;
        facts.last_mut().unwrap().name.approver = mallory;
    });
    assert!(
        stranger.ends_with("SILENCE APPROVAL_REQUIRED"),
        "{stranger}"
    );
    let unspent = Case::approved(payment(250_000), &["alice", "bob"]).found(|case| {
        let facts = &mut case.kept.evaluation.facts.approvals;
        for fact in facts {
            fact.spends = false;
        }
    });
    assert_eq!(
        unspent,
        "the approvals that it used are not those that it needs"
    );
}

#[test]
fn approval_of_a_forgotten_time_counts_as_it_did() {
    let mut case = Case::approved(payment(250_000), &["alice", "bob"]);
    for (_, given_at) in &mut case.kept.approvals {
        *given_at = None;
    }
    assert_eq!(case.compared(), Ok(()));
}

#[test]
fn statement_about_another_request_is_found() {
    let other = |change: fn(&mut Case)| Case::of(echo("hello")).found(change);
    let surface = other(|case| case.decision.surface = Name::new("infra.apply").unwrap());
    assert_eq!(surface, "its surface is not the one of its request");
    let caller = other(|case| {
        case.decision.caller_commitment = commit(&case.kept.salt, "caller_commitment", b"other");
    });
    assert_eq!(caller, "its caller is not the one of its request");
    let namespace = other(|case| case.namespace = Name::new("other").unwrap());
    assert_eq!(namespace, "its namespace is not the one of its request");
    let prerequisites = other(|case| case.granted = Some(vec![PermitId::from_bytes([1; 16])]));
    assert_eq!(
        prerequisites,
        "its list of prerequisites is not the one of its request"
    );
}

#[test]
fn command_about_another_request_is_found_as_its_statement_would_be() {
    let case = Case::of(echo("hello"));
    let found = |change: fn(&mut Authorize)| {
        let mut command = case.command();
        assert_eq!(case.compared_to(Words::Applied(&command)), Ok(()));
        change(&mut command);
        let found = case.compared_to(Words::Applied(&command)).unwrap_err();
        found.to_string()
    };
    let other = |what: &str| format!("its {what} is not the one of its request");
    assert_eq!(
        found(|it| it.surface = Name::new("other").unwrap()),
        other("surface")
    );
    assert_eq!(
        found(|it| it.action = Name::new("other").unwrap()),
        other("action")
    );
    assert_eq!(
        found(|it| it.caller = Caller::new("loopback:mallory").unwrap()),
        other("caller")
    );
    assert_eq!(
        found(|it| it.request_digest = Digest::from_bytes([0; 32])),
        other("digest")
    );
    assert_eq!(
        found(|it| it.prerequisites = vec![PermitId::from_bytes([1; 16])]),
        other("list of prerequisites")
    );
}
