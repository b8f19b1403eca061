//! What random histories are made of.

use proptest::prelude::*;

use crate::model::{
    Asked, Asking, Bound, Freshness, Kept, Kind, Mode, Op, Policy, Result, Surface, Wrong,
};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

const fn bound(name: &'static str, kind: Kind, template: &'static str) -> Bound {
    Bound(name, kind, template)
}

const ACCOUNT: Bound = bound("account", Kind::Exclusive, "account/{params.account}");
const ACCOUNT_ONCE: Bound = bound("account", Kind::Once(None), "account/{params.account}");
const INVOICE: Bound = bound("invoice", Kind::Once(None), "invoice/{params.invoice}");
const INVOICE_FOR_AN_HOUR: Bound = bound(
    "invoice",
    Kind::Once(Some(HOUR_MS)),
    "invoice/{params.invoice}",
);
const INVOICE_OTHERWISE: Bound = bound("invoice", Kind::Once(None), "inv/{params.invoice}");

const fn seats(limit: u64) -> Bound {
    bound("account", Kind::Capacity(limit), "account/{params.account}")
}

const fn spend(limit: u64, window_ms: u64) -> Bound {
    bound("spend", Kind::Budget(limit, window_ms), "spend")
}

const fn surface(name: &'static str, bounds: &'static [Bound]) -> Surface {
    Surface {
        name,
        bounds,
        executors: &["caller", "runner"],
        life_ms: 10_000,
        within_ms: 20_000,
        honours: false,
        is_offline: false,
        release_ms: None,
    }
}

/// Neighbours (0 and 1, 2 and 3, …) mostly allow each other while permits are live.
pub(super) const POLICIES: &[Policy] = &[
    &[surface("pay", &[ACCOUNT]), surface("ship", &[INVOICE])],
    &[
        Surface {
            honours: true,
            life_ms: 20_000,
            ..surface("pay", &[ACCOUNT])
        },
        Surface {
            executors: &["caller"],
            ..surface("ship", &[INVOICE_FOR_AN_HOUR])
        },
    ],
    &[
        Surface {
            release_ms: Some(15_000),
            ..surface("pay", &[seats(2), spend(100, 60_000)])
        },
        surface("ship", &[INVOICE_FOR_AN_HOUR]),
    ],
    &[
        Surface {
            honours: true,
            ..surface("pay", &[seats(3), spend(150, 60_000)])
        },
        surface("ship", &[INVOICE_FOR_AN_HOUR]),
    ],
    &[
        Surface {
            is_offline: true,
            ..surface("pay", &[ACCOUNT, spend(100, 60_000)])
        },
        Surface {
            is_offline: true,
            ..surface("ship", &[seats(1), INVOICE_FOR_AN_HOUR])
        },
    ],
    &[
        Surface {
            is_offline: true,
            within_ms: 10_000,
            ..surface("pay", &[ACCOUNT, spend(120, 60_000)])
        },
        Surface {
            is_offline: true,
            life_ms: 5_000,
            ..surface("ship", &[seats(1), INVOICE_FOR_AN_HOUR])
        },
    ],
    &[surface("pay", &[ACCOUNT, INVOICE]), surface("ship", &[])],
    &[surface("pay", &[ACCOUNT])],
    &[
        surface("pay", &[ACCOUNT_ONCE]),
        surface("ship", &[INVOICE_OTHERWISE]),
    ],
    &[surface("pay", &[spend(100, HOUR_MS)]), surface("ship", &[])],
];

const CALLERS: &[&str] = &["alice", "bob"];
const PRINCIPALS: &[&str] = &["alice", "bob", "runner"];
const SURFACES: &[&str] = &["pay", "ship"];

/// What is drawn; see [`super::placing`] for what it becomes.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) op: Op,
    /// Commands about a permit are about this one, counted back from the next fence.
    pub(super) back: u64,
    /// How the numbers in `op` that the state decides are chosen.
    pub(super) odd: u8,
}

/// A whole history.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// The policy that it begins with; some have to find their own.
    pub(super) start: Option<usize>,
    pub(super) entries: Vec<Batch>,
}

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// Whether it is the first of another leader.
    pub(super) is_elected: bool,
    /// How far the leader's clock moved.
    pub(super) step_ms: u64,
    /// What it batched.
    pub(super) ops: Vec<Drawn>,
    /// The voters of a membership that follows it.
    pub(super) voters: Option<Vec<u64>>,
}

fn waits() -> impl Strategy<Value = Op> {
    let to = prop_oneof![
        9 => 0..4_000_u64,
        1 => 4_000..25_000_u64,
        // So that lives and ends are met to the millisecond.
        4 => prop::sample::select(&[2_000, 5_000, 10_000, 15_000, 20_000_u64][..]),
        1 => prop::sample::select(&[60_500, 100_000, 300_000_u64][..]),
        1 => prop::sample::select(&[HOUR_MS, 25 * HOUR_MS, 26 * HOUR_MS, 91 * DAY_MS][..]),
    ];
    to.prop_map(Op::Wait)
}

fn authorizes() -> impl Strategy<Value = Op> {
    // The request and the end follow from the key, mostly, as a retry repeats them.
    let other = prop_oneof![11 => Just(0_u8), 1 => 1..3_u8];
    let freshness = prop_oneof![
        24 => Just(Freshness::Fresh),
        1 => Just(Freshness::OldVersion),
        1 => Just(Freshness::OldTime),
        1 => Just(Freshness::WrongFacts),
        3 => Just(Freshness::Lookup),
    ];
    let wait_ms = prop_oneof![500..20_000_u64, 20_000..90_000_u64];
    let wait = prop_oneof![3 => Just(None), 2 => wait_ms.prop_map(Some)];
    let session = prop::option::weighted(0.2, 0..2_u8);
    let approvals = prop::collection::vec((0..6_usize, any::<bool>()), 0..3);
    let context = (
        prop::option::weighted(0.1, Just(0)),
        session,
        prop_oneof![3 => Just(Vec::new()), 1 => approvals],
    );
    let what = (
        prop::sample::select(CALLERS),
        0..8_u64,
        other,
        freshness,
        prop::bool::weighted(0.07),
        wait,
        context,
    );
    what.prop_map(|(by, key, other, freshness, denies, wait_ms, context)| {
        let asked = u8::try_from(key).unwrap().wrapping_add(other);
        let (after, session, approvals) = context;
        Op::Authorize(Asking {
            by,
            key,
            asked: asked_of(asked),
            end_ms: 0,
            wait_ms,
            freshness,
            denies,
            after,
            session,
            approvals,
        })
    })
}

fn asked_of(number: u8) -> Asked {
    Asked {
        surface: SURFACES[usize::from(number % 2)],
        account: number / 2 % 2,
        invoice: number / 4 % 2,
        amount: [60, 40, 0, 90][usize::from(number / 2 % 4)],
    }
}

fn steps() -> impl Strategy<Value = Op> {
    let principal = prop::sample::select(PRINCIPALS);
    let wrong = prop_oneof![
        14 => Just(Wrong::Nothing), 1 => Just(Wrong::Fence), 1 => Just(Wrong::Bytes)
    ];
    let result = (any::<bool>(), prop::option::weighted(0.3, 0..6_u8));
    let result = result.prop_map(|(is_committed, evidence)| Result {
        is_committed,
        evidence: evidence.filter(|_| is_committed),
    });
    prop_oneof![
        6 => (principal.clone(), 0..2_u8, wrong)
            .prop_map(|(by, id, wrong)| Op::Redeem { fence: 0, by, id, wrong }),
        6 => (principal.clone(), result, any::<bool>())
            .prop_map(|(by, result, is_operator)| Op::Complete {
                fence: 0, by, result, is_operator,
            }),
        1 => (principal, any::<bool>())
            .prop_map(|(by, is_operator)| Op::Revoke { fence: 0, by, is_operator }),
        1 => prop::bool::weighted(0.9)
            .prop_map(|is_operator| Op::Release { fence: 0, is_operator }),
    ]
}

fn approvals() -> impl Strategy<Value = Op> {
    let name = (0..2_u8, 0..2_u8, prop::sample::select(CALLERS));
    let for_ms = prop::sample::select(&[3_000, 20_000, 400_000_u64][..]);
    let asked = (0..8_u8).prop_map(asked_of);
    let principal = prop::sample::select(PRINCIPALS);
    prop_oneof![
        6 => (name.clone(), for_ms, prop::bool::weighted(0.05)).prop_map(
            |((quorum, subject, by), for_ms, is_moved)| Op::Approve {
                quorum, subject, by, for_ms, is_moved,
            }
        ),
        2 => (name, principal, prop::bool::weighted(0.3)).prop_map(
            |((quorum, subject, by), principal, is_operator)| Op::RevokeApproval {
                quorum, subject, by, principal, is_operator,
            }
        ),
        1 => (prop::sample::select(CALLERS), asked, prop::bool::weighted(0.1))
            .prop_map(|(by, asked, is_moved)| Op::Ask { by, asked, is_moved }),
    ]
}

fn settings() -> impl Strategy<Value = Op> {
    let policy = 0..POLICIES.len();
    let mode =
        prop_oneof![5 => Just(Mode::Refuse), 1 => Just(Mode::Drain), 2 => Just(Mode::Revoke)];
    let surface = prop::option::of(prop::sample::select(SURFACES));
    let times = prop::sample::select(
        &[
            None,
            Some(87_066_000),
            Some(87_066_000),
            Some(90_000_000),
            Some(30 * DAY_MS),
            Some(30 * DAY_MS),
            Some(87_065_999),
            Some(u64::MAX),
        ][..],
    );
    let kept = (times.clone(), times.clone(), times.clone(), times);
    let shadow = prop::collection::btree_set(policy.clone(), 0..3);
    prop_oneof![
        10 => (policy.clone(), prop::bool::weighted(0.05), mode).prop_map(
            |(policy, expects_next, mode)| Op::Activate { policy, expects_next, mode }
        ),
        2 => (prop::sample::select(CALLERS), 0..2_u8, any::<bool>())
            .prop_map(|(by, session, is_operator)| Op::Close { session, by, is_operator }),
        3 => (surface, prop::bool::weighted(0.3))
            .prop_map(|(surface, is_frozen)| Op::Freeze { surface, is_frozen }),
        2 => Just(Op::CancelDrain),
        1 => shadow.prop_map(|policies| Op::Shadow(policies.into_iter().collect())),
        1 => policy.clone().prop_map(Op::Delete),
        1 => policy.prop_map(Op::Put),
        3 => kept.prop_map(|(permits_ms, disclosures_ms, statements_ms, sessions_ms)| {
            Op::Retain(Kept { permits_ms, disclosures_ms, statements_ms, sessions_ms })
        }),
    ]
}

fn keys() -> impl Strategy<Value = Op> {
    let node = 1..6_u64;
    prop_oneof![
        6 => (node.clone(), prop_oneof![9 => Just(0), 1 => 1..6_u64]).prop_map(
            |(node, other)| Op::Announce { node, keys: if other == 0 { node } else { other } }
        ),
        3 => (node.clone(), 1..12_u64, 1..6_u64)
            .prop_map(|(node, keys, expected)| Op::Rotate { node, keys, expected }),
        2 => node.clone().prop_map(Op::Retire),
        3 => node.prop_map(|node| Op::Mark { signer: (node, node), to: 0 }),
        1 => prop::option::of(1..5_u32).prop_map(Op::Require),
        8 => prop::bool::weighted(0.05).prop_map(|is_forged| Op::HandOver {
            from: 0, size: 0, signers: Vec::new(), is_forged,
        }),
    ]
}

fn about_the_past() -> impl Strategy<Value = Op> {
    let evaluator = prop_oneof![9 => Just(1), 1 => Just(2)];
    prop_oneof![
        2 => (0..20_u64, 1..5_u64, evaluator)
            .prop_map(|(leaf, node, evaluator)| Op::Dispute { leaf, node, evaluator }),
        3 => Just(Op::Erase(0)),
        2 => Just(Op::EraseAt(0)),
    ]
}

fn ops() -> impl Strategy<Value = Op> {
    let leave = (
        prop::sample::select(CALLERS),
        0..8_u64,
        prop::bool::weighted(0.1),
    );
    prop_oneof![
        6 => waits(),
        24 => authorizes(),
        18 => steps(),
        6 => approvals(),
        7 => settings(),
        5 => Just(Op::Sweep),
        1 => keys(),
        2 => about_the_past(),
        1 => leave.prop_map(|(by, key, is_off)| Op::Leave { by, key, off: u64::from(is_off) }),
    ]
}

/// Where keys are what it is about.
fn ops_with_keys() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => waits(),
        3 => authorizes(),
        1 => steps(),
        20 => keys(),
        1 => about_the_past(),
    ]
}

fn place(op: impl Strategy<Value = Op>) -> impl Strategy<Value = Drawn> {
    let back = prop_oneof![1 => Just(0_u64), 12 => 1..4_u64, 1 => 4..9_u64];
    (op, back, any::<u8>()).prop_map(|(op, back, odd)| Drawn { op, back, odd })
}

fn batches(op: impl Strategy<Value = Op>, membership: f64) -> impl Strategy<Value = Vec<Batch>> {
    let step_ms = prop_oneof![2 => Just(0), 1 => 0..2_000_u64];
    // Time goes on while there is no leader, and the next one catches up with it first.
    let elected = prop::option::weighted(0.1, prop::sample::select(&[3_000, 10_000_u64][..]));
    let voters = prop::collection::btree_set(1..6_u64, 1..5);
    let voters = voters.prop_map(|voters| voters.into_iter().collect());
    let voters = prop::option::weighted(membership, voters);
    let ops = prop::collection::vec(place(op), 1..5);
    let entry = (elected, step_ms, ops, voters);
    let entry = entry.prop_map(|(elected, step_ms, mut ops, voters)| {
        let outage = elected.map(|outage_ms| at_once(Op::Wait(outage_ms)));
        ops.splice(0..0, outage);
        Batch {
            is_elected: elected.is_some(),
            step_ms,
            ops,
            voters,
        }
    });
    prop::collection::vec(entry, 1..40)
}

fn at_once(op: Op) -> Drawn {
    Drawn {
        op,
        back: 0,
        odd: 0,
    }
}

/// The first voters make themselves known.
fn founded(mut entries: Vec<Batch>) -> Vec<Batch> {
    let announce = |node| at_once(Op::Announce { node, keys: node });
    let first = Batch {
        is_elected: false,
        step_ms: 0,
        ops: (1..4).map(announce).collect(),
        voters: None,
    };
    entries.insert(0, first);
    entries
}

pub(super) fn histories() -> impl Strategy<Value = History> {
    let entries = prop_oneof![
        8 => batches(ops(), 0.01),
        1 => batches(ops_with_keys(), 0.1).prop_map(founded),
    ];
    let start = prop::option::weighted(0.9, 0..POLICIES.len());
    (start, entries).prop_map(|(start, entries)| History { start, entries })
}
