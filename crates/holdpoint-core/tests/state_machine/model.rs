//! The gate once more, as naively as possible: lists that only grow, and questions that scan them.
//!
//! It shares no code with the state machine, and no record of it has a state: where a permit stands,
//! what it holds and how much of a budget is used is read off what happened. Only what the time of an
//! offer depends on (which entry first met what time had done) is kept as such, in `Met`. Its answers
//! are the texts that `script::said` gives for real outcomes.

mod bounds;
mod context;
mod deciding;
mod past;
mod policies;
mod settling;
pub(crate) mod signing;
mod sweeping;
mod waiting;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::world::START_MS;
use waiting::Waiter;
pub(crate) use words::{
    Asked, Asking, Bound, Freshness, Kept, Kind, Mode, Op, Policy, Result, Surface, Wrong,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Redeemed {
        by: &'static str,
        id: u8,
        until_ms: u64,
    },
    /// An outcome that was recorded; whether it was stated as such, and not as a conflict.
    Said {
        result: Result,
        is_settled: bool,
    },
    Contradicted {
        result: Result,
        by: &'static str,
    },
    Revoked,
    Superseded,
    Released,
}

/// A permit and everything that happened to it.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) fence: u64,
    pub(crate) by: &'static str,
    pub(crate) asked: Asked,
    surface: Surface,
    version: u64,
    issued_ms: u64,
    expires_ms: u64,
    after: Option<u64>,
    pub(crate) session: Option<u8>,
    /// Places in the list of approvals that it has spent.
    spent: Vec<usize>,
    story: Vec<(u64, Event)>,
    leaves: Vec<u64>,
    is_gone: bool,
}

#[derive(Clone, Debug)]
struct Attempt {
    by: &'static str,
    key: u64,
    asked: Asked,
    end_ms: u64,
    version: u64,
    /// The fence of a permit, or the text of a denial.
    decided: std::result::Result<u64, String>,
    is_gone: bool,
}

/// A committed effect of a `once` bound.
#[derive(Clone, Debug)]
struct Grave {
    surface: &'static str,
    bound: Bound,
    value: u8,
    fence: u64,
    until_ms: Option<u64>,
}

/// What entries have met, and those that wait. It is as it was before a command that changes nothing.
#[derive(Clone, Debug, Default)]
struct Met {
    /// Permits met after they had expired.
    expired: BTreeSet<u64>,
    /// Permits met after the end of what they held.
    let_go: BTreeSet<u64>,
    /// Places of graves that were cleared.
    cleared: BTreeSet<usize>,
    waiters: Vec<Waiter>,
    /// Permits that retention has passed over, and when it looks at them again.
    noted: Vec<(u64, u64)>,
    /// Operations that may have room.
    freed: BTreeSet<Operation>,
}

/// Surface, bound and the value of its parameter.
type Operation = (&'static str, &'static str, u8);

/// Everything that happened.
pub(crate) struct Model {
    pub(crate) now_ms: u64,
    /// The term of the entry at hand.
    term: u64,
    pub(crate) policies: &'static [Policy],
    /// Which policy each version put in force, from version 1.
    pub(crate) activations: Vec<usize>,
    pub(crate) grants: Vec<Grant>,
    /// When each statement was made, and about which permit.
    pub(crate) leaves: Vec<(u64, Option<u64>)>,
    pub(crate) context: context::Context,
    pub(crate) signing: signing::Signing,
    pub(crate) past: past::Past,
    /// Leaves before the entry at hand: its head is what can be signed.
    pub(crate) head: u64,
    pub(crate) kept: Kept,
    shelf: policies::Shelf,
    attempts: Vec<Attempt>,
    graves: Vec<Grave>,
    met: Met,
    tickets: u64,
    swept: sweeping::Swept,
    /// What happened that no answer says.
    pub(crate) notes: Vec<&'static str>,
    /// Whether the command at hand changes anything.
    changes: bool,
}

fn shown(at_ms: u64) -> String {
    let after_ms = at_ms - START_MS;
    match after_ms % 1_000 {
        0 => format!("+{}s", after_ms / 1_000),
        _ => format!("+{after_ms}ms"),
    }
}

fn replayed(text: &str, is_replay: bool) -> String {
    let replay = if is_replay { " (replay)" } else { "" };
    format!("{text}{replay}")
}

impl Grant {
    fn has(&self, event: Event) -> bool {
        self.story.iter().any(|(_, known)| *known == event)
    }

    /// What was recorded of how it ended, and whether that was stated as an outcome.
    fn said(&self) -> Option<(Result, bool)> {
        self.story.iter().find_map(|(_, event)| match event {
            Event::Said { result, is_settled } => Some((*result, *is_settled)),
            _ => None,
        })
    }

    fn is_committed(&self) -> bool {
        self.said().is_some_and(|(result, _)| result.is_committed)
    }

    pub(crate) fn state(&self, now_ms: u64) -> &'static str {
        if self.has(Event::Released) {
            "RELEASED"
        } else if self.has(Event::Revoked) {
            "REVOKED"
        } else if self.has(Event::Superseded) {
            "SUPERSEDED"
        } else if let Some((result, _)) = self.said() {
            if result.is_committed {
                "COMMITTED"
            } else {
                "ABORTED"
            }
        } else if self.redeemed().is_some() {
            "REDEEMED"
        } else if self.expires_ms <= now_ms {
            "EXPIRED"
        } else {
            "ISSUED"
        }
    }

    pub(crate) fn redeemed(&self) -> Option<(&'static str, u8, u64)> {
        self.story.iter().find_map(|(_, event)| match event {
            Event::Redeemed { by, id, until_ms } => Some((*by, *id, *until_ms)),
            _ => None,
        })
    }

    pub(crate) fn is_live(&self, now_ms: u64) -> bool {
        ["ISSUED", "REDEEMED"].contains(&self.state(now_ms))
    }

    pub(crate) fn is_in_doubt(&self, now_ms: u64) -> bool {
        match self.state(now_ms) {
            "REDEEMED" => self.redeemed().is_some_and(|(_, _, until)| until <= now_ms),
            "EXPIRED" => self.surface.is_offline,
            _ => false,
        }
    }

    fn operations(&self) -> Vec<(Operation, Kind)> {
        operations(self.surface, self.asked)
    }
}

fn operations(surface: Surface, asked: Asked) -> Vec<(Operation, Kind)> {
    let bounds = surface.bounds.iter();
    bounds
        .map(|Bound(name, kind, _)| ((surface.name, *name, asked.value(name)), *kind))
        .collect()
}

/// The operations that it can be waited for: what charges nothing waits for nobody.
fn places(surface: Surface, asked: Asked) -> Vec<(Operation, Kind)> {
    let all = operations(surface, asked).into_iter();
    all.filter(|(_, kind)| asked.charge(*kind) > 0).collect()
}

impl Model {
    pub(crate) fn new(policies: &'static [Policy]) -> Self {
        Self {
            now_ms: START_MS,
            term: 1,
            policies,
            activations: Vec::new(),
            grants: Vec::new(),
            leaves: Vec::new(),
            context: context::Context::default(),
            signing: signing::Signing::default(),
            past: past::Past::default(),
            head: 0,
            kept: sweeping::KEPT_AT_FIRST,
            shelf: policies::Shelf::default(),
            attempts: Vec::new(),
            graves: Vec::new(),
            met: Met::default(),
            tickets: 0,
            swept: sweeping::Swept::default(),
            notes: Vec::new(),
            changes: false,
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.activations.len() as u64
    }

    pub(crate) fn surface(&self, name: &str) -> Option<Surface> {
        let active = self.policies[*self.activations.last()?];
        active.iter().find(|surface| surface.name == name).copied()
    }

    pub(crate) fn grant(&self, fence: u64) -> Option<&Grant> {
        let place = usize::try_from(fence).unwrap().checked_sub(1)?;
        self.grants.get(place).filter(|grant| !grant.is_gone)
    }

    fn stands(&self, fence: u64) -> String {
        let grant = self.grant(fence).unwrap();
        let state = grant.state(self.now_ms);
        let mut text = format!("fence={fence} {state}");
        if state == "ISSUED" {
            write!(text, " until {}", shown(grant.expires_ms)).unwrap();
        }
        if let Some((_, _, until_ms)) = grant.redeemed()
            && state == "REDEEMED"
        {
            write!(text, " complete by {}", shown(until_ms)).unwrap();
        }
        if grant.is_in_doubt(self.now_ms) {
            text.push_str(" IN DOUBT");
        }
        text
    }

    /// Adds a statement to the log and gives its leaf.
    fn stated(&mut self, fence: Option<u64>) -> u64 {
        self.changes = true;
        self.leaves.push((self.now_ms, fence));
        let leaf = self.leaves.len() as u64 - 1;
        if let Some(fence) = fence
            && let Some(grant) = self.grants.get_mut(usize::try_from(fence).unwrap() - 1)
        {
            grant.leaves.push(leaf);
        }
        leaf
    }

    fn happened(&mut self, fence: u64, event: Event) {
        let place = usize::try_from(fence).unwrap() - 1;
        self.grants[place].story.push((self.now_ms, event));
    }

    /// An entry begins, with `count` commands for the namespace.
    pub(crate) fn begin(&mut self, term: u64, clock_ms: u64, count: usize) {
        self.term = term;
        let farthest = self.now_ms + 5_000;
        self.now_ms = clock_ms.max(self.now_ms).min(farthest);
        self.head = self.leaves.len() as u64;
        if count > 0 {
            self.meet_due(2 * count);
            self.meet_waiters(2 * count);
            self.make_offers();
        }
    }

    /// What one command means, in words, and what it leaves behind.
    pub(crate) fn step(&mut self, op: &Op) -> String {
        let before = self.met.clone();
        self.changes = false;
        let answer = self.answer(op.clone());
        if self.changes {
            self.make_offers();
        } else {
            self.met = before;
        }
        self.assert_single_valued();
        answer
    }

    fn answer(&mut self, op: Op) -> String {
        match op {
            Op::Wait(clock_ms) => {
                self.now_ms = self.now_ms.max(clock_ms);
                format!("time {}", shown(self.now_ms))
            }
            Op::Put(policy) => self.put(policy),
            Op::Activate {
                policy,
                expects_next,
                mode,
            } => self.activate(policy, expects_next, mode),
            Op::Authorize(asking) => self.authorize(&asking),
            Op::Redeem {
                fence,
                by,
                id,
                wrong,
            } => self.redeem(fence, by, id, wrong),
            Op::Complete {
                fence,
                by,
                result,
                is_operator,
            } => self.complete(fence, by, result, is_operator),
            Op::Revoke {
                fence,
                by,
                is_operator,
            } => self.revoke(fence, by, is_operator),
            Op::Release { fence, is_operator } => self.release(fence, is_operator),
            Op::CancelDrain => self.cancel_drain(),
            Op::Shadow(policies) => self.shadow(&policies),
            Op::Delete(policy) => self.delete(policy),
            Op::Retain(kept) => self.retain(kept),
            Op::Sweep => self.sweep(),
            Op::Leave { by, key, off } => self.leave_queue(by, key, off),
            op => self.answer_in_context(op),
        }
    }

    /// G1 by counting, for every operation that was ever claimed: one live permit of what is held by
    /// one at a time, one effect that counts, and no more live permits than a capacity allows.
    fn assert_single_valued(&self) {
        let mut live: BTreeMap<(Operation, bool), u64> = BTreeMap::new();
        for grant in &self.grants {
            for (operation, kind) in grant.operations() {
                let is_counted = kind.is_of_one() || matches!(kind, Kind::Capacity(_));
                if is_counted && grant.is_live(self.now_ms) {
                    *live.entry((operation, kind.is_of_one())).or_default() += 1;
                }
            }
        }
        for (((surface, bound, value), is_of_one), count) in live {
            let declared = self.surface(surface).map_or(&[][..], |known| known.bounds);
            let limit = declared.iter().find_map(|known| match known.1 {
                Kind::Capacity(limit) if known.0 == bound => Some(limit),
                _ => None,
            });
            let limit = if is_of_one {
                1
            } else {
                limit.unwrap_or(u64::MAX)
            };
            assert!(count <= limit, "{count} live permits on {bound}/{value}");
        }
        for (place, grave) in self.graves.iter().enumerate() {
            let counts = |grave: &Grave| grave.until_ms.is_none_or(|until| self.now_ms < until);
            let is_same = |other: &&Grave| {
                other.surface == grave.surface
                    && other.bound.0 == grave.bound.0
                    && other.value == grave.value
            };
            let later = self.graves[place + 1..].iter().filter(is_same);
            let count = later.filter(|other| counts(other)).count();
            assert!(!counts(grave) || count == 0, "an effect counts twice");
        }
    }
}
