//! The gate once more, as naively as possible: lists that only grow, and questions that scan them.
//!
//! It shares no code with the state machine. It has no index, no expiry that anybody has to apply,
//! and no state of a permit: all of it is read off what happened. Its answers are the texts that
//! `script::said` gives for real outcomes.

mod deciding;
mod settling;

use std::fmt::Write as _;

use crate::world::START_MS;

/// A bound as a policy declares it: name, whether it is `once`, template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound(
    pub(crate) &'static str,
    pub(crate) bool,
    pub(crate) &'static str,
);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Surface {
    pub(crate) name: &'static str,
    /// Sorted by name.
    pub(crate) bounds: &'static [Bound],
    pub(crate) executors: &'static [&'static str],
    pub(crate) life_ms: u64,
    pub(crate) within_ms: u64,
    pub(crate) honours: bool,
}

/// Surfaces sorted by name.
pub(crate) type Policy = &'static [Surface];

/// Who, on which surface, with the parameters `account` and `invoice`.
pub(crate) type Asked = (&'static str, u8, u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    OldVersion,
    OldTime,
    WrongFacts,
    Lookup,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Nothing,
    Fence,
    Bytes,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Wait(u64),
    Activate {
        policy: usize,
        expects_next: bool,
    },
    Authorize {
        by: &'static str,
        key: u8,
        asked: Asked,
        end_ms: u64,
        freshness: Freshness,
        denies: bool,
        after: Option<u64>,
    },
    Redeem {
        fence: u64,
        by: &'static str,
        id: u8,
        wrong: Wrong,
    },
    Complete {
        fence: u64,
        by: &'static str,
        is_committed: bool,
        is_operator: bool,
    },
    Revoke {
        fence: u64,
        by: &'static str,
        is_operator: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Redeemed {
        by: &'static str,
        id: u8,
        until_ms: u64,
    },
    Committed,
    Aborted,
    Revoked,
    Superseded,
}

/// A permit and everything that happened to it.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    by: &'static str,
    pub(crate) asked: Asked,
    surface: Surface,
    version: u64,
    expires_ms: u64,
    after: Option<u64>,
    story: Vec<Event>,
}

#[derive(Clone, Debug)]
struct Attempt {
    by: &'static str,
    key: u8,
    asked: Asked,
    end_ms: u64,
    version: u64,
    /// The fence of a permit, or the text of a denial.
    decided: Result<u64, String>,
}

/// Everything that happened.
pub(crate) struct Model {
    pub(crate) now_ms: u64,
    pub(crate) policies: &'static [Policy],
    /// Which policy each version put in force, from version 1.
    pub(crate) activations: Vec<usize>,
    pub(crate) grants: Vec<Grant>,
    attempts: Vec<Attempt>,
}

fn shown(at_ms: u64) -> String {
    let after_ms = at_ms - START_MS;
    match after_ms % 1_000 {
        0 => format!("+{}s", after_ms / 1_000),
        _ => format!("+{after_ms}ms"),
    }
}

fn value(asked: Asked, bound: &str) -> u8 {
    if bound == "account" { asked.1 } else { asked.2 }
}

impl Grant {
    pub(crate) fn state(&self, now_ms: u64) -> &'static str {
        let has = |event: &Event| self.story.contains(event);
        if has(&Event::Committed) {
            "COMMITTED"
        } else if has(&Event::Aborted) {
            "ABORTED"
        } else if has(&Event::Revoked) {
            "REVOKED"
        } else if has(&Event::Superseded) {
            "SUPERSEDED"
        } else if self.redeemed().is_some() {
            "REDEEMED"
        } else if self.expires_ms <= now_ms {
            "EXPIRED"
        } else {
            "ISSUED"
        }
    }

    fn redeemed(&self) -> Option<(&'static str, u8, u64)> {
        self.story.iter().find_map(|event| match event {
            Event::Redeemed { by, id, until_ms } => Some((*by, *id, *until_ms)),
            _ => None,
        })
    }

    fn is_live(&self, now_ms: u64) -> bool {
        ["ISSUED", "REDEEMED"].contains(&self.state(now_ms))
    }

    fn claims(&self, surface: &str, bound: &str, of: u8) -> bool {
        self.surface.name == surface
            && self.surface.bounds.iter().any(|known| known.0 == bound)
            && value(self.asked, bound) == of
    }
}

impl Model {
    pub(crate) fn new(policies: &'static [Policy]) -> Self {
        Self {
            now_ms: START_MS,
            policies,
            activations: Vec::new(),
            grants: Vec::new(),
            attempts: Vec::new(),
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
        self.grants
            .get(usize::try_from(fence).unwrap().checked_sub(1)?)
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
            if until_ms <= self.now_ms {
                text.push_str(" IN DOUBT");
            }
        }
        text
    }

    /// The entry's time has arrived.
    pub(crate) fn tick(&mut self, clock_ms: u64) {
        let farthest = self.now_ms + 5_000;
        self.now_ms = clock_ms.max(self.now_ms).min(farthest);
    }

    /// What one command means, in words, and what it leaves behind.
    pub(crate) fn step(&mut self, op: &Op) -> String {
        match op.clone() {
            Op::Wait(clock_ms) => {
                self.now_ms = self.now_ms.max(clock_ms);
                format!("time {}", shown(self.now_ms))
            }
            Op::Activate {
                policy,
                expects_next,
            } => self.activate(policy, expects_next),
            Op::Authorize { .. } => self.authorize(op),
            Op::Redeem {
                fence,
                by,
                id,
                wrong,
            } => self.redeem(fence, by, id, wrong),
            Op::Complete {
                fence,
                by,
                is_committed,
                is_operator,
            } => self.complete(fence, by, is_committed, is_operator),
            Op::Revoke {
                fence,
                by,
                is_operator,
            } => self.revoke(fence, by, is_operator),
        }
    }

    fn activate(&mut self, policy: usize, expects_next: bool) -> String {
        let version = self.version();
        if expects_next {
            return format!("refused VERSION_CONFLICT (active version={version})");
        }
        let next = self.policies[policy];
        let forgets = |surface: &&Surface| {
            self.grants
                .iter()
                .filter(|grant| grant.surface.name == surface.name)
                .filter(|grant| grant.state(self.now_ms) == "COMMITTED")
                .flat_map(|grant| grant.surface.bounds)
                .any(|bound| bound.1 && !surface.bounds.contains(bound))
        };
        let current = self
            .activations
            .last()
            .map_or(&[][..], |active| self.policies[*active]);
        let tramples = |surface: &&Surface| {
            let kept = next.iter().find(|other| other.name == surface.name);
            kept.is_none_or(|kept| kept.bounds != surface.bounds)
                && self
                    .grants
                    .iter()
                    .any(|grant| grant.surface.name == surface.name && grant.is_live(self.now_ms))
        };
        let in_the_way = next
            .iter()
            .find(forgets)
            .or_else(|| current.iter().find(tramples));
        if let Some(surface) = in_the_way {
            return format!(
                "refused BOUNDS_IN_USE by {} (active version={version})",
                surface.name
            );
        }
        self.activations.push(policy);
        format!("activated version={}", self.version())
    }

    fn happened(&mut self, fence: u64, event: Event) {
        let place = usize::try_from(fence).unwrap() - 1;
        self.grants[place].story.push(event);
    }

    /// G1 by counting: at most one live permit, and at most one committed effect of a `once` key,
    /// for every bounded operation that was ever claimed.
    pub(crate) fn assert_single_valued(&self) {
        for grant in &self.grants {
            for Bound(name, is_once, _) in grant.surface.bounds {
                let same = |other: &&Grant| {
                    other.claims(grant.surface.name, name, value(grant.asked, name))
                };
                let live = self.grants.iter().filter(same);
                let live_count = live.filter(|other| other.is_live(self.now_ms)).count();
                assert!(live_count <= 1, "{live_count} live permits on {name}");
                let committed = self.grants.iter().filter(same).filter(|other| {
                    let declares = |bound: &Bound| bound.0 == *name && bound.1;
                    other.surface.bounds.iter().any(declares)
                        && other.state(self.now_ms) == "COMMITTED"
                });
                assert!(
                    !is_once || committed.count() <= 1,
                    "{name} was committed twice"
                );
            }
        }
    }
}
