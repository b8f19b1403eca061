//! What must hold over a whole history, watched from outside: through queries and answers only.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_core::Command;
use holdpoint_core::outcome::{AuthorizeOutcome, Outcome, StepOutcome};
use holdpoint_core::outline::BoundKind;
use holdpoint_core::record::SignerRecord;
use holdpoint_receipt::{Digest, Fence};

use crate::model::Model;
use crate::model::signing::{Epoch, Mark, Signer};
use crate::world::{self, World, default_namespace, granted};

/// Caller, idempotency key, digest, policy version, and the attempt's end.
type AttemptUnder = (String, String, Digest, u64, u64);

fn numbered(signer: &SignerRecord) -> Signer {
    let id = signer.node.get();
    let mut numbers = 1..20;
    let number = numbers.find(|number| world::signer(id, *number) == *signer);
    (id, number.unwrap())
}

#[derive(Default)]
pub(super) struct Watch {
    /// One statement for each attempt, digest and policy version: G3.
    statements: BTreeMap<AttemptUnder, (Vec<u8>, u64)>,
    last_fence: Option<Fence>,
    redeemed: BTreeSet<Fence>,
    /// The log of statements as it was seen: it is only ever appended to. Retention may take one away in
    /// the entry that made it.
    log: Vec<Option<Vec<u8>>>,
}

impl Watch {
    pub(super) fn see(&mut self, command: &Command, outcome: &Outcome) {
        if let Some(fence) = granted(outcome) {
            assert!(self.last_fence < Some(fence), "fences rise");
            self.last_fence = Some(fence);
        }
        if let (
            Command::Authorize(asked),
            Outcome::Authorized(AuthorizeOutcome::Decided(decision)),
        ) = (command, outcome)
        {
            let attempt = (
                asked.caller.to_string(),
                asked.idempotency_key.to_string(),
                asked.request_digest,
                decision.policy.version.get(),
                decision.not_after.get(),
            );
            let statement = (decision.statement.bytes.clone(), decision.statement.leaf);
            let is_replay = self.statements.contains_key(&attempt);
            assert_eq!(
                is_replay, decision.replay,
                "only what was decided is replayed"
            );
            let first = self
                .statements
                .entry(attempt)
                .or_insert_with(|| statement.clone());
            assert_eq!(*first, statement, "one attempt, one statement");
        }
        if let Outcome::Redeemed(redeemed) = outcome
            && let StepOutcome::Done {
                permit,
                replay: false,
                ..
            } = redeemed.as_ref()
        {
            assert!(
                self.redeemed.insert(permit.fence()),
                "a permit is redeemed once"
            );
        }
    }

    /// G1 from the permits themselves, after every entry: what is live on an operation is within what
    /// its own permits were told is its bound. And the log holds what it held, and more.
    pub(super) fn recount(&mut self, world: &World) {
        let query = world.query();
        let namespace = query.namespace(&default_namespace()).unwrap().unwrap();
        let mut live: BTreeMap<(String, String, String, u64), (u64, u64)> = BTreeMap::new();
        for fence in 1..=namespace.record().fence.get() {
            let permit = namespace
                .permit_by_fence(Fence::new(fence).unwrap())
                .unwrap();
            let Some(permit) = permit.filter(|permit| permit.state.is_live()) else {
                continue;
            };
            for claim in &permit.record.claims {
                let (limit, window) = match claim.kind {
                    BoundKind::Exclusive | BoundKind::Once { .. } => (1, 0),
                    BoundKind::Capacity { limit } => (limit, 0),
                    BoundKind::Budget { limit, window_ms } => {
                        (limit, permit.record.issued_at.get() / window_ms)
                    }
                };
                let operation = (
                    permit.record.surface.to_string(),
                    claim.name.to_string(),
                    claim.key.to_string(),
                    window,
                );
                // A limit may be raised while permits live, never lowered.
                let (count, limit_max) = live.entry(operation).or_default();
                *count += claim.amount;
                *limit_max = (*limit_max).max(limit);
            }
        }
        for (operation, (count, limit)) in live {
            assert!(count <= limit, "{count} on {operation:?}, at most {limit}");
        }
        let size = namespace.head().unwrap().size;
        for leaf in self.log.len() as u64..size {
            let statement = namespace.statement(leaf).unwrap();
            self.log.push(statement.map(|statement| statement.bytes));
        }
        assert_eq!(size, self.log.len() as u64, "the log grows only");
    }

    /// At the end, what is kept is what was said, and what the model keeps.
    pub(super) fn compare(&self, world: &World, model: &Model) {
        let query = world.query();
        let namespace = query.namespace(&default_namespace()).unwrap().unwrap();
        assert_eq!(self.log.len(), model.leaves.len(), "statements");
        for (leaf, bytes) in (0..).zip(&self.log) {
            let found = namespace.statement(leaf).unwrap();
            assert_eq!(found.is_some(), model.keeps(leaf), "statement {leaf}");
            assert!(found.is_none_or(|found| Some(found.bytes) == *bytes));
        }
        for fence in 1..=model.grants.len() as u64 {
            let found = namespace
                .permit_by_fence(Fence::new(fence).unwrap())
                .unwrap();
            let expected = model.grant(fence).map(|grant| grant.state(model.now_ms));
            assert_eq!(
                found.map(|permit| permit.state.as_str()),
                expected,
                "permit {fence}"
            );
        }
        let epochs = namespace.epochs().unwrap().into_iter();
        let found = epochs.map(|(from, epoch)| Epoch {
            from,
            needed: usize::try_from(epoch.signers_needed).unwrap(),
            signers: epoch.signers.iter().map(numbered).collect(),
            is_handed_over: epoch.handover.is_some(),
        });
        assert_eq!(found.collect::<Vec<_>>(), model.signing.epochs);
        let marks = namespace.revocations().unwrap().into_iter();
        let found = marks.map(|(_, mark)| Mark {
            signer: numbered(&mark.signer),
            to: mark.valid_to,
        });
        assert_eq!(found.collect::<Vec<_>>(), model.signing.marks);
        for leaf in 0..model.leaves.len() as u64 {
            let is_erased = model.past.erased.contains(&leaf);
            assert!(namespace.erased_by(leaf).unwrap().is_none() || is_erased);
            assert!(namespace.disclosure(leaf).unwrap().is_none() || !is_erased);
        }
        let listed = usize::try_from(namespace.record().pending).unwrap();
        assert_eq!(listed, model.listed_count());
    }
}
