//! What the model answers to changes of policy.

use std::collections::BTreeSet;

use super::bounds::Holds;
use super::{Bound, Event, Kind, Mode, Model};

#[derive(Default)]
pub(crate) struct Shelf {
    /// Registered bundles.
    put: BTreeSet<usize>,
    shadows: Vec<usize>,
    /// The first leaf behind the last that may name a bundle, by bundle.
    named: Vec<(usize, u64)>,
    drain: Option<Drain>,
}

struct Drain {
    policy: usize,
    mode: Mode,
    surfaces: Vec<&'static str>,
    /// Permits that it has looked at.
    looked_at: BTreeSet<u64>,
}

fn allows_more(before: &Bound, next: &Bound) -> bool {
    let kinds = match (before.1, next.1) {
        (Kind::Exclusive, Kind::Exclusive) => true,
        (Kind::Once(before), Kind::Once(next)) => match (before, next) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(before), Some(next)) => next <= before,
        },
        (Kind::Capacity(before), Kind::Capacity(next)) => before <= next,
        (Kind::Budget(before, window), Kind::Budget(next, next_window)) => {
            before <= next && window == next_window
        }
        _ => false,
    };
    before.0 == next.0 && before.2 == next.2 && kinds
}

impl Model {
    pub(crate) fn put(&mut self, policy: usize) -> String {
        let is_new = self.shelf.put.insert(policy);
        self.changes |= is_new;
        if is_new { "put" } else { "put (replay)" }.to_owned()
    }

    pub(crate) fn is_draining(&self, surface: &str) -> bool {
        let drain = self.shelf.drain.as_ref();
        drain.is_some_and(|drain| drain.surfaces.contains(&surface))
    }

    /// The first surface of a bundle that would forget effects.
    fn forgetful(&self, policy: usize) -> Option<&'static str> {
        let mut surfaces = self.policies[policy].iter();
        let found = surfaces.find(|surface| {
            let mut recorded = self.once_bounds(surface.name).into_iter();
            let keeps = |old: &Bound| {
                let mut bounds = surface.bounds.iter();
                bounds.any(|new| new.0 == old.0 && new.1.is_once() && new.2 == old.2)
            };
            !recorded.all(|old| keeps(&old))
        });
        found.map(|surface| surface.name)
    }

    /// Surfaces on which no permit may be live when `policy` comes.
    fn changed(&self, policy: usize) -> Vec<&'static str> {
        let active = self.activations.last();
        let before = active.map_or(&[][..], |active| self.policies[*active]);
        let is_kept = |old: &&super::Surface| {
            let new = self.policies[policy]
                .iter()
                .find(|new| new.name == old.name);
            new.is_some_and(|new| {
                let pairs = old.bounds.iter().zip(new.bounds);
                old.bounds.len() == new.bounds.len()
                    && pairs.clone().all(|(old, new)| allows_more(old, new))
            })
        };
        let changed = before.iter().filter(|old| !is_kept(old));
        changed.map(|surface| surface.name).collect()
    }

    /// The first of `surfaces` on which a permit is live, or holds something, as far as was met.
    fn in_use(&self, surfaces: &[&'static str]) -> Option<&'static str> {
        let is_in_use = |name: &&&'static str| {
            self.grants
                .iter()
                .any(|grant| grant.surface.name == **name && (self.holds(grant) != Holds::Nothing))
        };
        surfaces.iter().find(is_in_use).copied()
    }

    pub(super) fn activate(&mut self, policy: usize, expects_next: bool, mode: Mode) -> String {
        let version = self.version();
        let refused = |what: &str| format!("refused {what} (active version={version})");
        if expects_next {
            return refused("VERSION_CONFLICT");
        }
        if !self.shelf.put.contains(&policy) {
            return refused("BUNDLE_UNKNOWN");
        }
        if let Some(drain) = &self.shelf.drain {
            if drain.policy == policy && drain.mode == mode {
                return format!("draining {} (replay)", drain.surfaces.join(","));
            }
            return refused("DRAIN_PENDING");
        }
        self.changes = true;
        self.meet_due(1_000);
        if let Some(surface) = self.forgetful(policy) {
            return refused(&format!("BOUNDS_IN_USE by {surface}"));
        }
        let changed = self.changed(policy);
        if let Some(surface) = self.in_use(&changed) {
            if mode == Mode::Refuse {
                return refused(&format!("BOUNDS_IN_USE by {surface}"));
            }
            let text = format!("draining {}", changed.join(","));
            let leaf = self.stated(None);
            self.name_bundle(policy, leaf + 1);
            self.shelf.drain = Some(Drain {
                policy,
                mode,
                surfaces: changed,
                looked_at: BTreeSet::new(),
            });
            return self.step_drain().unwrap_or(text);
        }
        self.put_in_force(policy)
    }

    fn put_in_force(&mut self, policy: usize) -> String {
        let leaf = self.stated(None);
        if let Some(before) = self.activations.last() {
            self.name_bundle(*before, leaf);
        }
        self.activations.push(policy);
        self.shelf.drain = None;
        format!("activated version={}", self.version())
    }

    fn name_bundle(&mut self, policy: usize, before: u64) {
        self.shelf.named.retain(|(known, _)| *known != policy);
        self.shelf.named.push((policy, before));
    }

    /// One step of the pending activation, and what it has put in force.
    pub(super) fn step_drain(&mut self) -> Option<String> {
        let drain = self.shelf.drain.as_ref()?;
        let (policy, mode, surfaces) = (drain.policy, drain.mode, drain.surfaces.clone());
        for surface in &surfaces {
            for place in 0..self.grants.len() {
                let grant = &self.grants[place];
                let fence = grant.fence;
                let is_in_use =
                    grant.surface.name == *surface && self.holds(grant) != Holds::Nothing;
                let drain = self.shelf.drain.as_mut()?;
                if !is_in_use || !drain.looked_at.insert(fence) {
                    continue;
                }
                self.meet(fence);
                let state = self.grants[place].state(self.now_ms);
                if state == "ISSUED" && mode == Mode::Revoke {
                    self.notes.push("a drain revoked a permit");
                    self.stated(Some(fence));
                    self.happens(fence, Event::Revoked);
                }
            }
        }
        if self.in_use(&surfaces).is_some() {
            return None;
        }
        self.changes = true;
        if self.forgetful(policy).is_some() {
            self.notes.push("a drain was given up");
            let leaf = self.stated(None);
            self.name_bundle(policy, leaf + 1);
            self.shelf.drain = None;
            return None;
        }
        Some(self.put_in_force(policy))
    }

    fn put_in_force_by(&self, version: u64) -> usize {
        self.activations[usize::try_from(version).unwrap() - 1]
    }

    pub(super) fn cancel_drain(&mut self) -> String {
        let Some(drain) = self.shelf.drain.take() else {
            return "refused NO_DRAIN".to_owned();
        };
        let leaf = self.stated(None);
        self.name_bundle(drain.policy, leaf + 1);
        "done".to_owned()
    }

    pub(super) fn shadow(&mut self, policies: &[usize]) -> String {
        if policies
            .iter()
            .any(|policy| !self.shelf.put.contains(policy))
        {
            return "refused BUNDLE_UNKNOWN".to_owned();
        }
        if self.shelf.shadows == policies {
            return "done (replay)".to_owned();
        }
        self.shelf.shadows = policies.to_vec();
        self.changes = true;
        "done".to_owned()
    }

    pub(super) fn delete(&mut self, policy: usize) -> String {
        if !self.shelf.put.contains(&policy) {
            return "refused BUNDLE_UNKNOWN".to_owned();
        }
        let drain = self.shelf.drain.as_ref().map(|drain| drain.policy);
        let is_set = self.activations.last() == Some(&policy)
            || drain == Some(policy)
            || self.shelf.shadows.contains(&policy);
        let mut named = self.shelf.named.iter();
        let is_named =
            named.any(|(known, before)| *known == policy && *before > self.first_kept_leaf());
        let is_permits_own = self
            .grants
            .iter()
            .any(|grant| !grant.is_gone && self.put_in_force_by(grant.version) == policy);
        if is_permits_own && !is_set && !is_named {
            self.notes.push("a bundle was kept for a permit");
        }
        if is_set || is_named || is_permits_own {
            return "refused BUNDLE_IN_USE".to_owned();
        }
        self.shelf.put.remove(&policy);
        self.shelf.named.retain(|(known, _)| *known != policy);
        self.changes = true;
        "done".to_owned()
    }
}
