//! Commands that tests propose.

use holdpoint_core::command::{
    ActivatePolicy, ActivationMode, AnnounceNode, Authorize, Evaluation, Facts, PutPolicy, Verdict,
};
use holdpoint_core::outcome::{AuthorizeOutcome, Decided, Decision};
use holdpoint_core::outline::{PolicyOutline, SurfaceOutline};
use holdpoint_core::record::PermitState;
use holdpoint_core::{Command, GroupId, Outcome, Query};
use holdpoint_raft::{Committed, Group};
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::{
    Caller, ClusterTime, Digest, IdempotencyKey, Name, PermitId, PolicyVersion, Salt, SecretKey,
    sha256,
};

use super::node_id;

const POLICY: &[u8] = b"a policy";

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn caller() -> Caller {
    Caller::new("loopback:test").unwrap()
}

/// Changes the row of a node, and where it votes also who signs; proposing it again changes nothing.
pub(crate) fn announce(node: u64) -> Command {
    let byte = u8::try_from(node).unwrap();
    let key = |kind: u8| {
        let mut seed = [byte; 32];
        seed[0] = kind;
        *SecretKey::from_seed(&seed).public().as_bytes()
    };
    Command::AnnounceNode(AnnounceNode {
        node: node_id(node),
        incarnation: [byte; 16],
        log_key: key(b'l'),
        cosign_key: key(b'c'),
        feature_level_max: 1,
        evaluator_version: 1,
    })
}

/// Registers the policy of these tests: one surface without bounds.
pub(crate) fn put_policy() -> Command {
    let surface = SurfaceOutline {
        surface: name("test.act"),
        actions: vec![name("do")],
        bounds: Vec::new(),
        executors: Vec::new(),
        permit_for_ms: 60_000,
        complete_within_ms: 60_000,
        honor_issued: false,
        offline: false,
        release_after_ms: None,
    };
    Command::PutPolicy(PutPolicy {
        namespace: name("default"),
        digest: policy_digest(),
        bundle: POLICY.to_vec(),
        outline: PolicyOutline {
            surfaces: vec![surface],
        },
        principal: caller(),
    })
}

fn policy_digest() -> Digest {
    sha256(POLICY)
}

pub(crate) fn activate_policy() -> Command {
    Command::ActivatePolicy(ActivatePolicy {
        namespace: name("default"),
        digest: policy_digest(),
        expected: PolicyVersion::default(),
        evaluator_version: 1,
        mode: ActivationMode::Refuse,
        principal: caller(),
        salt: Salt::from_bytes([1; 32]),
    })
}

/// Cluster time as `group` has it.
pub(crate) fn cluster_time(group: &Group) -> ClusterTime {
    group
        .local_view(|view| Query::new(&view, GroupId::FIRST).now().unwrap())
        .unwrap()
}

/// An attempt that the policy permits, evaluated and salted as by the node that proposes it.
pub(crate) fn authorize(key: &str, now: ClusterTime, end: ClusterTime, salt: u8) -> Command {
    let request = format!("request {key}").into_bytes();
    Command::Authorize(Box::new(Authorize {
        namespace: name("default"),
        caller: caller(),
        idempotency_key: IdempotencyKey::new(key).unwrap(),
        not_after: end,
        request_digest: digest_of_canonical(&request),
        request,
        surface: name("test.act"),
        action: name("do"),
        actor: None,
        session: None,
        step: None,
        prerequisites: Vec::new(),
        wait_until: None,
        evaluation: Some(Evaluation {
            policy_version: PolicyVersion::new(1).unwrap(),
            policy_digest: policy_digest(),
            evaluator_version: 1,
            evaluated_at: now,
            facts: Facts::default(),
            verdict: Verdict::Permit {
                policies: vec!["allow".to_owned()],
            },
            claims: Vec::new(),
        }),
        salt: Salt::from_bytes([salt; 32]),
    }))
}

/// The decision that an outcome is.
pub(crate) fn decided(outcome: Outcome) -> Decision {
    match outcome {
        Outcome::Authorized(AuthorizeOutcome::Decided(decision)) => *decision,
        other => panic!("nothing was decided: {other:?}"),
    }
}

/// The permit that an outcome grants.
pub(crate) fn permit_of(outcome: Committed<Outcome>) -> PermitId {
    match decided(outcome.into_value()).verdict {
        Decided::Permit(permit) => permit.record.id,
        Decided::Deny(denial) => panic!("denied: {denial:?}"),
    }
}

/// Where a permit stands in the state of `group`.
pub(crate) fn permit_state(group: &Group, permit: PermitId) -> Option<PermitState> {
    let read = group.local_view(|view| {
        let query = Query::new(&view, GroupId::FIRST);
        let namespace = query.namespace(&name("default")).unwrap()?;
        Some(namespace.permit(&permit).unwrap()?.state)
    });
    read.unwrap()
}
