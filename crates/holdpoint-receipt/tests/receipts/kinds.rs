//! Statements that came after the first ten: approvals, sessions, freezes, drains, and the members
//! that only some decisions and outcomes have.

use holdpoint_receipt::names::{ClusterTime, Name, NodeId, PermitId, PolicyVersion, TreeSize};
use holdpoint_receipt::statement::{
    ApprovalStatement, Body, DecisionStatement, DrainMode, DrainStatement, ErasedStatement,
    FrozenStatement, Grant, KeysChange, KeysStatement, Kind, Outcome, PermitStep, SessionStatement,
    Statement, StatementError, Verdict, approvals_digest,
};
use holdpoint_receipt::{Digest, sha256, verify};
use proptest::prelude::*;

use crate::fixture::{Log, bodies, decision, grant, key_set, statement, step, whole_log};

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9][a-z0-9._-]{0,63}".prop_map(|text| Name::new(text).unwrap())
}

fn time() -> impl Strategy<Value = ClusterTime> {
    (0..1_u64 << 53).prop_map(|ms| ClusterTime::new(ms).unwrap())
}

fn approval() -> impl Strategy<Value = ApprovalStatement> {
    let version = (1..1_u64 << 40).prop_map(|number| PolicyVersion::new(number).unwrap());
    (name(), name(), digest(), digest(), version, digest()).prop_map(
        |(surface, quorum, subject_digest, caller_commitment, policy_version, policy_digest)| {
            ApprovalStatement {
                surface,
                quorum,
                subject_digest,
                caller_commitment,
                policy_version,
                policy_digest,
                expires_at: None,
                previous: None,
            }
        },
    )
}

fn approved() -> impl Strategy<Value = Body> {
    (approval(), time()).prop_map(|(approval, expires_at)| {
        Body::Approved(ApprovalStatement {
            expires_at: Some(expires_at),
            ..approval
        })
    })
}

fn approval_revoked() -> impl Strategy<Value = Body> {
    (approval(), digest()).prop_map(|(approval, previous)| {
        Body::ApprovalRevoked(ApprovalStatement {
            previous: Some(previous),
            ..approval
        })
    })
}

fn session_closed() -> impl Strategy<Value = Body> {
    (digest(), digest()).prop_map(|(session_commitment, caller_commitment)| {
        Body::SessionClosed(SessionStatement {
            session_commitment,
            caller_commitment,
        })
    })
}

fn frozen() -> impl Strategy<Value = Body> {
    let leaf = prop::option::of(0..1_u64 << 53);
    (prop::option::of(name()), any::<bool>(), digest(), leaf).prop_map(
        |(surface, frozen, caller_commitment, disputed_leaf)| {
            Body::Frozen(FrozenStatement {
                surface,
                frozen,
                caller_commitment,
                disputed_leaf,
            })
        },
    )
}

fn drain() -> impl Strategy<Value = Body> {
    let mode = prop::sample::select(DrainMode::ALL);
    (digest(), mode, digest()).prop_map(|(policy_digest, mode, caller_commitment)| {
        Body::Drain(DrainStatement {
            policy_digest,
            mode,
            caller_commitment,
        })
    })
}

fn permit() -> impl Strategy<Value = Body> {
    let optional = || prop::option::of(digest());
    (optional(), optional()).prop_map(|(session_commitment, approvals_digest)| {
        Body::Decision(Box::new(DecisionStatement {
            session_commitment,
            approvals_digest,
            ..decision(Verdict::Permit(Grant { ..grant() }))
        }))
    })
}

fn outcome() -> impl Strategy<Value = Body> {
    let optional = || prop::option::of(digest());
    let outcome = prop::sample::select(Outcome::ALL);
    (any::<bool>(), outcome, optional(), optional()).prop_map(
        |(is_conflict, outcome, evidence_digest, reason_commitment)| {
            let step = PermitStep { ..step() };
            if is_conflict {
                Body::Conflict {
                    step,
                    outcome,
                    evidence_digest,
                    reason_commitment,
                }
            } else {
                Body::Completed {
                    step,
                    outcome,
                    evidence_digest,
                    reason_commitment,
                }
            }
        },
    )
}

fn keys() -> impl Strategy<Value = Body> {
    let number = || 1..1_u64 << 53;
    let node = prop::option::of(number().prop_map(|id| NodeId::new(id).unwrap()));
    let change = prop::sample::select(KeysChange::ALL);
    let caller = prop::option::of(digest());
    (digest(), any::<u32>(), number(), change, node, caller).prop_map(
        |(keys_digest, signers_needed, size, change, node, caller_commitment)| {
            Body::Keys(KeysStatement {
                keys_digest,
                signers_needed,
                tree_size_from: TreeSize::new(size).unwrap(),
                change,
                node,
                caller_commitment,
            })
        },
    )
}

fn erased() -> impl Strategy<Value = Body> {
    let permit = prop::option::of(any::<[u8; 16]>().prop_map(PermitId::from_bytes));
    let reason = prop::option::of(digest());
    (permit, digest(), digest(), reason, digest()).prop_map(
        |(permit_id, request_digest, caller_commitment, reason_commitment, previous)| {
            Body::Erased(ErasedStatement {
                permit_id,
                request_digest,
                caller_commitment,
                reason_commitment,
                previous,
            })
        },
    )
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        keys(),
        erased(),
        approved(),
        approval_revoked(),
        session_closed(),
        frozen(),
        drain(),
        permit(),
        outcome(),
    ]
}

proptest! {
    #[test]
    fn statement_of_every_kind_survives_being_written_and_read(
        body in body(),
        leaf_index in 0..1_u64 << 52,
    ) {
        let statement = statement(leaf_index, body);
        let text = statement.to_canonical();
        prop_assert_eq!(Statement::parse(text.as_bytes()), Ok(statement.clone()));
        prop_assert_eq!(Statement::from_json(statement.to_json()), Ok(statement));
    }

    /// What can still be read says something else, and has another receipt hash.
    #[test]
    fn every_replaced_byte_makes_another_statement_or_none(
        body in body(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let statement = statement(3, body);
        let mut text = statement.to_canonical().into_bytes();
        let place = place.index(text.len());
        prop_assume!(text[place] != byte);
        text[place] = byte;
        if let Ok(read) = Statement::parse(&text) {
            prop_assert_ne!(read.receipt_hash(), statement.receipt_hash());
            prop_assert_ne!(read, statement);
        }
    }

    #[test]
    fn every_replaced_byte_of_the_receipt_of_any_kind_is_refused(
        body in body(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let log = Log::of(vec![statement(0, body)]);
        let mut file = log.receipt(0, &[1]).to_file().into_bytes();
        prop_assert!(verify(&file, &key_set()).is_ok());
        let place = place.index(file.len());
        prop_assume!(file[place] != byte);
        file[place] = byte;
        prop_assert!(verify(&file, &key_set()).is_err());
    }
}

/// The leaves of [`whole_log`] whose kinds or members are not in the first ten.
const LATER: std::ops::Range<u64> = 10..24;

#[test]
fn every_flipped_bit_of_a_receipt_of_each_later_kind_is_refused() {
    let (log, keys) = (whole_log(), key_set());
    assert_eq!(LATER.end, log.frontier.size());
    for leaf_index in LATER {
        let file = log.receipt(leaf_index, &[1]).to_file().into_bytes();
        for place in 0..file.len() {
            let mut changed = file.clone();
            // One bit of each byte, another one in the next.
            changed[place] ^= 1 << (place % 8);
            let is_refused = verify(&changed, &keys).is_err();
            assert!(is_refused, "leaf {leaf_index}, byte {place}");
        }
    }
}

#[test]
fn every_kind_of_statement_has_a_golden_line() {
    let stated: Vec<Kind> = bodies().iter().map(Body::kind).collect();
    for kind in Kind::ALL {
        assert!(stated.contains(kind), "{kind}");
    }
}

#[test]
fn later_kinds_are_about_no_permit_and_name_their_own_members_only() {
    let text = |leaf_index: u64| {
        let place = usize::try_from(leaf_index).unwrap();
        statement(leaf_index, bodies().remove(place)).to_canonical()
    };
    let check = |leaf_index, from: &str, to: &str, error: StatementError| {
        let text = text(leaf_index);
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        assert_eq!(Statement::parse(changed.as_bytes()), Err(error), "{to}");
    };
    let value = |member: &str| StatementError::Value(member.to_owned());
    let unknown = |member: &str| StatementError::UnknownMember(member.to_owned());
    // An approval ends by itself and follows nothing; one that is taken back is the other way round.
    check(
        10,
        "\"approved\"",
        "\"approval_revoked\"",
        StatementError::Missing("previous"),
    );
    check(
        11,
        "\"approval_revoked\"",
        "\"approved\"",
        StatementError::Missing("expires_at_ms"),
    );
    let previous = format!(",\"previous\":\"{}\",\"quorum\"", sha256(b"approved"));
    check(10, ",\"quorum\"", &previous, unknown("previous"));
    check(
        11,
        "\"issued_at_ms\"",
        "\"expires_at_ms\":1,\"issued_at_ms\"",
        unknown("expires_at_ms"),
    );
    check(10, "plan-review", "Plan-review", value("quorum"));
    check(
        12,
        "\"session_commitment\"",
        "\"sessions\"",
        StatementError::Missing("session_commitment"),
    );
    check(
        13,
        ":\"frozen\",\"iss",
        ":\"melted\",\"iss",
        value("freeze"),
    );
    check(14, ":\"revoke\"", ":\"refuse\"", value("drain"));
    check(19, "\"rotated\"", "\"retried\"", value("change"));
    check(19, "\"node\":3", "\"node\":0", value("node"));
    check(20, "_leaf\":15", "_leaf\":-1", value("disputed_leaf"));
    check(
        21,
        "\"previous\"",
        "\"prev\"",
        StatementError::Missing("previous"),
    );
    check(
        22,
        "\"erased\"",
        "\"drain\"",
        StatementError::Missing("policy_digest"),
    );
    for body in &bodies()[10..15] {
        assert_eq!(body.permit_id(), None);
    }
}

#[test]
fn approvals_of_a_permit_have_one_digest_whatever_their_order() {
    let (one, two) = (sha256(b"one"), sha256(b"two"));
    assert_eq!(approvals_digest(&[]), None);
    let both = approvals_digest(&[one, two]);
    assert_eq!(approvals_digest(&[two, one, two]), both);
    assert_ne!(approvals_digest(&[one]), both);
    // { printf 'holdpoint/approvals/v1\0'; for h in ONE TWO; do printf '%016x' 32 | xxd -r -p;
    //   printf $h | xxd -r -p; done; } | sha256sum, the two hashes in rising order
    assert_eq!(
        both.unwrap().to_string(),
        "ec5be429b0e1e93b2d3a6d836d8b0fc1cd095c80927120e295d3415f6482d8c1"
    );
}

#[test]
fn genuine_approval_or_release_is_refused_where_it_is_of_something_else() {
    let log = whole_log();
    let at = |leaf_index| {
        let file = log.receipt(leaf_index, &[1]).to_file();
        verify(file.as_bytes(), &key_set()).unwrap()
    };
    let quorum = Name::new("plan-review").unwrap();
    let subject = sha256(b"subject");
    let approval = |leaf_index, quorum: &str, subject: &Digest| {
        let quorum = Name::new(quorum).unwrap();
        let verified = at(leaf_index);
        let found = verified.approval_of(&quorum, subject);
        found
            .map(|approval| approval.expires_at.is_some())
            .map_err(|error| error.code())
    };
    assert_eq!(approval(10, quorum.as_str(), &subject), Ok(true));
    assert_eq!(
        approval(10, "two-person", &subject),
        Err("BINDING_MISMATCH")
    );
    assert_eq!(
        approval(10, quorum.as_str(), &sha256(b"other")),
        Err("BINDING_MISMATCH")
    );
    assert_eq!(
        approval(11, quorum.as_str(), &subject),
        Err("WRONG_KIND"),
        "one that was taken back is no approval"
    );
    assert!(at(7).release_of(&grant().permit_id).is_ok());
    assert!(at(5).release_of(&grant().permit_id).is_err());
}
