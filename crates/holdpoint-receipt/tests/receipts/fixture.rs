//! A cluster of three nodes with fixed keys, and a log of statements.

use std::collections::BTreeMap;
use std::convert::Infallible;

use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::digest::sha256;
use holdpoint_receipt::keys::{Epoch, HeadSignature, Revocation};
use holdpoint_receipt::merkle::{Frontier, leaf_of, prove_inclusion};
use holdpoint_receipt::names::{ClusterId, ClusterTime, Fence, Name, NodeId, PermitId};
use holdpoint_receipt::names::{PolicyVersion, TreeSize};
use holdpoint_receipt::statement::{
    ApprovalStatement, Body, BoundCommitments, DecisionStatement, DrainMode, DrainStatement,
    ErasedStatement, FrozenStatement, Grant, KeysChange, KeysStatement, Outcome, PermitStep, Place,
    PolicyStatement, Salt, SessionStatement, Statement, StatementText, Verdict, approvals_digest,
    commit,
};
use holdpoint_receipt::{Digest, KeySet, NodeSecretKeys, Proof, Reason, Receipt, SecretKey};

pub(crate) const CLUSTER: [u8; 16] = *b"holdpoint tests!";

/// 2026-11-22T14:12:05Z.
pub(crate) const SIGNED_AT_S: u64 = 1_795_356_725;

pub(crate) fn cluster() -> ClusterId {
    ClusterId::from_bytes(CLUSTER)
}

pub(crate) fn namespace() -> Name {
    Name::new("default").unwrap()
}

pub(crate) fn node(id: u64) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(crate) fn time(offset_ms: u64) -> ClusterTime {
    ClusterTime::new(SIGNED_AT_S * 1000 + offset_ms).unwrap()
}

pub(crate) fn secret_keys(id: u8) -> NodeSecretKeys {
    let seed = |role: u8| SecretKey::from_seed(&[id * 2 + role; 32]);
    NodeSecretKeys::new(seed(0), seed(1)).unwrap()
}

pub(crate) fn epoch(tree_size_from: u64, signers_needed: u32, nodes: &[u8]) -> Epoch {
    Epoch {
        tree_size_from: TreeSize::new(tree_size_from).unwrap(),
        signers_needed,
        nodes: nodes
            .iter()
            .map(|id| (node((*id).into()), secret_keys(*id).public()))
            .collect(),
    }
}

/// Node 1 alone, k = 1.
pub(crate) fn key_set() -> KeySet {
    key_set_of(vec![epoch(0, 1, &[1])])
}

/// A mark on the keys of a node.
pub(crate) fn revoked(id: u8, recorded_at: u64, valid_to: u64) -> Revocation {
    Revocation {
        node: node(id.into()),
        keys: secret_keys(id).public(),
        valid_to: TreeSize::new(valid_to).unwrap(),
        recorded_at,
    }
}

/// These epochs, and no marks.
pub(crate) fn key_set_of(epochs: Vec<Epoch>) -> KeySet {
    KeySet::new(cluster(), namespace(), epochs, vec![]).unwrap()
}

pub(crate) fn salt() -> Salt {
    Salt::from_bytes([7; 32])
}

pub(crate) fn request_digest() -> Digest {
    sha256(b"request")
}

pub(crate) fn grant() -> Grant {
    Grant {
        permit_id: PermitId::from_bytes([9; 16]),
        fence: Fence::new(41).unwrap(),
        expires_at: time(600_000),
    }
}

pub(crate) fn decision(verdict: Verdict) -> DecisionStatement {
    let mut bounds = BoundCommitments::default();
    let mut bound = |name: &str, key: &str| {
        bounds
            .commit(&salt(), &Name::new(name).unwrap(), key)
            .unwrap();
    };
    bound("workspace", "workspace/prod-eu");
    bound("plan", "plan/0942c333");
    DecisionStatement {
        verdict,
        surface: Name::new("infra.apply").unwrap(),
        action: Name::new("apply").unwrap(),
        request_digest: request_digest(),
        caller_commitment: commit(&salt(), "caller_commitment", b"loopback:ci"),
        actor_commitment: Some(commit(&salt(), "actor_commitment", b"alice")),
        session_commitment: None,
        idempotency_key_commitment: commit(&salt(), "idempotency_key_commitment", b"k7"),
        not_after: time(300_000),
        policy_version: PolicyVersion::new(12).unwrap(),
        policy_digest: sha256(b"bundle"),
        evaluator: StatementText::new("cedar 4.14.1").unwrap(),
        inputs_digest: sha256(b"inputs"),
        approvals_digest: None,
        bounds,
        policy_codes: None,
        policy_ids: Some(StatementText::new("tf.reviewed-plan").unwrap()),
    }
}

pub(crate) fn step() -> PermitStep {
    PermitStep {
        permit_id: grant().permit_id,
        fence: grant().fence,
        surface: Name::new("infra.apply").unwrap(),
        action: Name::new("apply").unwrap(),
        request_digest: request_digest(),
        caller_commitment: Some(commit(&salt(), "caller_commitment", b"loopback:ci")),
        policy_version: PolicyVersion::new(12).unwrap(),
        previous: sha256(b"previous"),
    }
}

/// A body of every kind, and one with each member that may be absent.
pub(crate) fn bodies() -> Vec<Body> {
    [permit_bodies(), gate_bodies(), fuller_bodies()].concat()
}

/// Decisions, and every later step of a permit.
fn permit_bodies() -> Vec<Body> {
    let denied = Verdict::Deny {
        reason: Reason::BoundHeld,
        retry_at: Some(time(600_000)),
    };
    vec![
        Body::Decision(Box::new(decision(Verdict::Permit(grant())))),
        Body::Decision(Box::new(decision(denied))),
        Body::Redeemed {
            step: step(),
            redemption_commitment: commit(&salt(), "redemption_commitment", b"r1"),
            complete_by: time(3_600_000),
        },
        Body::Completed {
            step: step(),
            outcome: Outcome::Committed,
            evidence_digest: Some(sha256(b"evidence")),
            reason_commitment: None,
        },
        Body::Conflict {
            step: step(),
            outcome: Outcome::Aborted,
            evidence_digest: None,
            reason_commitment: None,
        },
        Body::Revoked(step()),
        Body::Superseded(PermitStep {
            caller_commitment: None,
            ..step()
        }),
        Body::Released {
            step: step(),
            reason_commitment: None,
        },
    ]
}

/// What the gate states about itself.
fn gate_bodies() -> Vec<Body> {
    vec![
        Body::Policy(PolicyStatement {
            policy_version: PolicyVersion::new(12).unwrap(),
            policy_digest: sha256(b"bundle"),
            evaluator: StatementText::new("cedar 4.14.1").unwrap(),
            caller_commitment: commit(&salt(), "caller_commitment", b"loopback:dev"),
        }),
        Body::Keys(KeysStatement {
            keys_digest: key_set().digest(),
            signers_needed: 1,
            tree_size_from: TreeSize::new(0).unwrap(),
            change: KeysChange::Founded,
            node: None,
            caller_commitment: None,
        }),
        Body::Approved(approval()),
        Body::ApprovalRevoked(ApprovalStatement {
            expires_at: None,
            previous: Some(sha256(b"approved")),
            ..approval()
        }),
        Body::SessionClosed(SessionStatement {
            session_commitment: commit(&salt(), "session_commitment", b"turn-9"),
            caller_commitment: commit(&salt(), "caller_commitment", b"loopback:agent"),
        }),
        Body::Frozen(FrozenStatement {
            surface: None,
            ..frozen()
        }),
        Body::Drain(DrainStatement {
            policy_digest: sha256(b"next bundle"),
            mode: DrainMode::Revoke,
            caller_commitment: commit(&salt(), "caller_commitment", b"loopback:dev"),
        }),
    ]
}

/// The members and words that the others leave out.
fn fuller_bodies() -> Vec<Body> {
    let approvals = [sha256(b"approved"), sha256(b"approved too")];
    let decided = DecisionStatement {
        session_commitment: Some(commit(&salt(), "session_commitment", b"turn-9")),
        approvals_digest: approvals_digest(&approvals),
        ..decision(Verdict::Permit(grant()))
    };
    let reason = commit(&salt(), "reason_commitment", b"seen in the console");
    vec![
        Body::Decision(Box::new(decided)),
        Body::Completed {
            step: step(),
            outcome: Outcome::Aborted,
            evidence_digest: None,
            reason_commitment: Some(reason),
        },
        Body::Conflict {
            step: step(),
            outcome: Outcome::Committed,
            evidence_digest: Some(sha256(b"evidence")),
            reason_commitment: Some(reason),
        },
        Body::Frozen(FrozenStatement {
            frozen: false,
            ..frozen()
        }),
        Body::Keys(KeysStatement {
            keys_digest: key_set().digest(),
            signers_needed: 2,
            tree_size_from: TreeSize::new(20).unwrap(),
            change: KeysChange::Rotated,
            node: Some(node(3)),
            caller_commitment: Some(commit(&salt(), "caller_commitment", b"loopback:dev")),
        }),
        Body::Frozen(FrozenStatement {
            disputed_leaf: Some(15),
            ..frozen()
        }),
        Body::Erased(erased()),
        Body::Erased(ErasedStatement {
            permit_id: None,
            reason_commitment: None,
            ..erased()
        }),
        Body::Released {
            step: step(),
            reason_commitment: Some(reason),
        },
    ]
}

pub(crate) fn approval() -> ApprovalStatement {
    ApprovalStatement {
        surface: Name::new("infra.apply").unwrap(),
        quorum: Name::new("plan-review").unwrap(),
        subject_digest: sha256(b"subject"),
        caller_commitment: commit(&salt(), "caller_commitment", b"loopback:alice"),
        policy_version: PolicyVersion::new(12).unwrap(),
        policy_digest: sha256(b"bundle"),
        expires_at: Some(time(14_400_000)),
        previous: None,
    }
}

fn frozen() -> FrozenStatement {
    FrozenStatement {
        surface: Some(Name::new("infra.apply").unwrap()),
        frozen: true,
        caller_commitment: commit(&salt(), "caller_commitment", b"loopback:dev"),
        disputed_leaf: None,
    }
}

pub(crate) fn erased() -> ErasedStatement {
    ErasedStatement {
        permit_id: Some(grant().permit_id),
        request_digest: request_digest(),
        caller_commitment: commit(&salt(), "caller_commitment", b"loopback:dev"),
        reason_commitment: Some(commit(&salt(), "reason_commitment", b"asked to forget")),
        previous: sha256(b"previous"),
    }
}

pub(crate) fn statement(leaf_index: u64, body: Body) -> Statement {
    Statement {
        authority: cluster(),
        namespace: namespace(),
        place: Place::new(leaf_index, 1000 + leaf_index, 7, 3).unwrap(),
        issued_at: time(231),
        is_dev: false,
        body,
    }
}

/// A log that holds `statements`, and what a store keeps of it.
pub(crate) struct Log {
    pub(crate) statements: Vec<Statement>,
    pub(crate) frontier: Frontier,
    nodes: BTreeMap<(u8, u64), Digest>,
}

impl Log {
    pub(crate) fn of(statements: Vec<Statement>) -> Self {
        let mut log = Self {
            statements,
            frontier: Frontier::new(),
            nodes: BTreeMap::new(),
        };
        for statement in &log.statements {
            for node in log
                .frontier
                .append(leaf_of(&statement.receipt_hash()))
                .unwrap()
            {
                log.nodes.insert((node.level, node.index), node.hash);
            }
        }
        log
    }

    pub(crate) fn head(&self) -> Checkpoint {
        Checkpoint {
            origin: Origin::new(&cluster(), &namespace()),
            size: TreeSize::new(self.frontier.size()).unwrap(),
            root: self.frontier.root(),
        }
    }

    pub(crate) fn signatures(&self, nodes: &[u8]) -> Vec<HeadSignature> {
        let sign = |id: &u8| {
            let keys = secret_keys(*id);
            keys.sign_head(&cluster(), node((*id).into()), &self.head(), SIGNED_AT_S)
        };
        nodes.iter().map(sign).collect()
    }

    pub(crate) fn receipt(&self, leaf_index: u64, signers: &[u8]) -> Receipt {
        let size = self.frontier.size();
        let node = |level, index| Ok::<_, Infallible>(self.nodes.get(&(level, index)).copied());
        Receipt {
            statement: self.statements[usize::try_from(leaf_index).unwrap()].clone(),
            proof: Proof {
                leaf_index,
                tree_size: TreeSize::new(size).unwrap(),
                hashes: prove_inclusion(leaf_index, size, node).unwrap(),
            },
            checkpoint: self.head().to_note(self.signatures(signers)).unwrap(),
        }
    }
}

/// A log of the first ten of [`bodies`]: what golden receipts are about.
pub(crate) fn log() -> Log {
    log_of(bodies().into_iter().take(10).collect())
}

/// A log with a statement of every kind, and with each member that may be absent.
pub(crate) fn whole_log() -> Log {
    log_of(bodies())
}

fn log_of(bodies: Vec<Body>) -> Log {
    let bodies = bodies.into_iter().zip(0..);
    Log::of(
        bodies
            .map(|(body, leaf_index)| statement(leaf_index, body))
            .collect(),
    )
}

/// The receipt of the PERMIT in [`log`], signed by node 1.
pub(crate) fn permit_receipt() -> Receipt {
    log().receipt(0, &[1])
}
