//! What random histories are made of.

use proptest::prelude::*;

use crate::model::{Bound, Freshness, Model, Op, Policy, Surface, Wrong};
use crate::world::START_MS;

const ACCOUNT: Bound = Bound("account", false, "account/{params.account}");
const ACCOUNT_ONCE: Bound = Bound("account", true, "account/{params.account}");
const INVOICE: Bound = Bound("invoice", true, "invoice/{params.invoice}");
const INVOICE_OTHERWISE: Bound = Bound("invoice", true, "inv/{params.invoice}");

const fn surface(name: &'static str, bounds: &'static [Bound]) -> Surface {
    Surface {
        name,
        bounds,
        executors: &["caller", "runner"],
        life_ms: 10_000,
        within_ms: 20_000,
        honours: false,
    }
}

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
            ..surface("ship", &[INVOICE])
        },
    ],
    &[surface("pay", &[ACCOUNT, INVOICE]), surface("ship", &[])],
    &[surface("pay", &[ACCOUNT])],
    &[
        surface("pay", &[ACCOUNT_ONCE]),
        surface("ship", &[INVOICE_OTHERWISE]),
    ],
];

const CALLERS: &[&str] = &["alice", "bob"];
const PRINCIPALS: &[&str] = &["alice", "bob", "runner"];
const ENDS_MS: &[u64] = &[START_MS + 25_000, START_MS + 80_000, START_MS + 300_000];

/// What is drawn; see [`drawn`] for what it becomes.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    op: Op,
    /// Commands about a permit are about this one, counted back from the next fence.
    back: u64,
}

fn ops() -> impl Strategy<Value = Drawn> {
    let principal = prop::sample::select(PRINCIPALS);
    // The request and the end follow from the key, mostly, as a retry repeats them.
    let other = prop_oneof![9 => Just(0_u8), 1 => 1..3_u8];
    let freshness = prop_oneof![
        12 => Just(Freshness::Fresh),
        1 => Just(Freshness::OldVersion),
        1 => Just(Freshness::OldTime),
        1 => Just(Freshness::WrongFacts),
        2 => Just(Freshness::Lookup),
    ];
    let wrong = prop_oneof![
        12 => Just(Wrong::Nothing), 1 => Just(Wrong::Fence), 1 => Just(Wrong::Bytes)
    ];
    let authorize = (
        prop::sample::select(CALLERS),
        0..8_u8,
        other.clone(),
        other,
        freshness,
        prop::bool::weighted(0.1),
        prop::option::weighted(0.15, Just(0)),
    );
    let authorize = authorize.prop_map(|(by, key, asked, end, freshness, denies, after)| {
        let asked = key.wrapping_add(asked);
        Op::Authorize {
            by,
            key,
            asked: (
                ["pay", "ship"][usize::from(asked % 2)],
                asked / 2 % 2,
                asked / 4 % 2,
            ),
            end_ms: ENDS_MS[usize::from(key + end) % ENDS_MS.len()],
            freshness,
            denies,
            after,
        }
    });
    let op = prop_oneof![
        2 => prop_oneof![
            4 => 0..4_000_u64,
            1 => 4_000..25_000_u64,
            // So that lives and ends are met to the millisecond.
            3 => prop::sample::select(&[5_000, 10_000, 15_000, 20_000_u64][..]),
        ]
        .prop_map(Op::Wait),
        2 => (0..POLICIES.len(), prop::bool::weighted(0.1))
            .prop_map(|(policy, expects_next)| Op::Activate { policy, expects_next }),
        9 => authorize,
        6 => (principal.clone(), 0..2_u8, wrong)
            .prop_map(|(by, id, wrong)| Op::Redeem { fence: 0, by, id, wrong }),
        4 => (principal.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(by, is_committed, is_operator)| Op::Complete {
                fence: 0, by, is_committed, is_operator,
            }),
        1 => (principal, any::<bool>())
            .prop_map(|(by, is_operator)| Op::Revoke { fence: 0, by, is_operator }),
    ];
    (op, 0..5_u64).prop_map(|(op, back)| Drawn { op, back })
}

/// Entries: how far the leader's clock moved, and what it batched.
pub(super) fn histories() -> impl Strategy<Value = Vec<(u64, Vec<Drawn>)>> {
    let step_ms = prop_oneof![2 => Just(0), 1 => 0..2_000_u64];
    prop::collection::vec((step_ms, prop::collection::vec(ops(), 1..5)), 1..32)
}

/// What was drawn relative to the state, as of now.
pub(super) fn drawn(drawn: &Drawn, model: &Model) -> Op {
    let newest = (model.grants.len() as u64).saturating_add(1);
    let about = newest.saturating_sub(drawn.back).max(1);
    let mut op = drawn.op.clone();
    match &mut op {
        Op::Wait(to_ms) => *to_ms += model.now_ms,
        Op::Redeem { fence, .. } | Op::Complete { fence, .. } | Op::Revoke { fence, .. } => {
            *fence = about;
        }
        Op::Authorize { after, .. } => *after = after.map(|_| about),
        Op::Activate { .. } => {}
    }
    op
}
