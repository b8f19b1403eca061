//! Those that wait: one list, scanned in the order of the tickets.

use std::fmt::Write as _;

use super::bounds::{Refused, summary};
use super::{Asked, Asking, Kind, Model, Operation, Surface, places, replayed, shown};

const OFFER_MS: u64 = 10_000;

/// An attempt that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiter {
    by: &'static str,
    key: u64,
    pub(super) asked: Asked,
    operations: Vec<(Operation, Kind)>,
    version: u64,
    pub(super) end_ms: u64,
    pub(super) wait_ms: u64,
    pub(super) ticket: u64,
    since_ms: u64,
    /// Until when it has an offer, and in which term that was made.
    offered: Option<(u64, u64)>,
    look_ms: Option<u64>,
}

impl Waiter {
    fn is_live(&self, now_ms: u64, term: u64) -> bool {
        let is_open = |(until_ms, made_in): (u64, u64)| now_ms < until_ms || made_in < term;
        now_ms < self.wait_ms && self.offered.is_none_or(is_open)
    }

    /// How it was its turn.
    pub(super) fn turn(&self) -> &'static str {
        if self.offered.is_some() {
            "an offer was taken"
        } else {
            "one that waited was granted before its offer"
        }
    }

    fn ends_ms(&self) -> u64 {
        let sooner = self.offered.map(|(until_ms, _)| until_ms).or(self.look_ms);
        sooner.map_or(self.wait_ms, |at| at.min(self.wait_ms))
    }

    fn names(&self, operation: Operation) -> bool {
        self.operations.iter().any(|(own, _)| *own == operation)
    }

    fn said(&self, refused: &[Refused]) -> String {
        let mut text = format!(
            "WAITING ticket={} until {}",
            self.ticket,
            shown(self.wait_ms)
        );
        if let Some((until_ms, _)) = self.offered {
            write!(text, " offered until {}", shown(until_ms)).unwrap();
        }
        for refused in refused {
            text.push_str(&refused.said());
        }
        text
    }
}

impl Model {
    pub(super) fn waiter(&self, by: &str, key: u64) -> Option<&Waiter> {
        let mut waiters = self.met.waiters.iter();
        waiters.find(|waiter| waiter.by == by && waiter.key == key)
    }

    /// All that wait, those first whose turn it is.
    pub(super) fn waiters(&self) -> Vec<(&'static str, u64, Asked)> {
        let mut all = self.met.waiters.clone();
        all.sort_by_key(|waiter| (waiter.offered.is_none(), waiter.ticket));
        let all = all.into_iter();
        all.map(|waiter| (waiter.by, waiter.key, waiter.asked))
            .collect()
    }

    /// The ticket of an attempt that waits, live or not.
    pub(crate) fn ticket(&self, by: &str, key: u64) -> Option<u64> {
        self.waiter(by, key).map(|waiter| waiter.ticket)
    }

    /// The live one, and one that is not is taken out.
    pub(super) fn live_waiter(&mut self, by: &str, key: u64) -> Option<Waiter> {
        let waiter = self.waiter(by, key)?.clone();
        if waiter.is_live(self.now_ms, self.term) {
            return Some(waiter);
        }
        self.note_lapse(&waiter);
        self.leave(by, key);
        None
    }

    fn note_lapse(&mut self, waiter: &Waiter) {
        let is_lapsed = waiter
            .offered
            .is_some_and(|(until, _)| until <= self.now_ms);
        self.notes.push(if is_lapsed {
            "an offer lapsed"
        } else {
            "a wait was over"
        });
    }

    /// An attempt no longer waits, if it did.
    pub(super) fn leave(&mut self, by: &str, key: u64) {
        let Some(waiter) = self.waiter(by, key).cloned() else {
            return;
        };
        self.met
            .waiters
            .retain(|other| other.ticket != waiter.ticket);
        // Nobody is left to be told.
        if !self.met.waiters.is_empty() {
            let operations = waiter.operations.iter();
            self.met
                .freed
                .extend(operations.map(|(operation, _)| *operation));
        }
    }

    /// The oldest live one of a queue that is older than `before`. Those before it that are not live
    /// are taken out.
    fn head(&mut self, operation: Operation, before: Option<u64>) -> Option<Waiter> {
        loop {
            let queue = self.met.waiters.iter();
            let mut queue: Vec<&Waiter> = queue.filter(|waiter| waiter.names(operation)).collect();
            queue.sort_by_key(|waiter| waiter.ticket);
            let first = (*queue.first()?).clone();
            if before.is_some_and(|own| first.ticket >= own) {
                return None;
            }
            if first.is_live(self.now_ms, self.term) {
                return Some(first);
            }
            self.note_lapse(&first);
            self.leave(first.by, first.key);
        }
    }

    /// What cannot be had, or is waited for by somebody before `ticket`.
    pub(super) fn refused_or_behind(
        &mut self,
        surface: Surface,
        asked: Asked,
        ticket: Option<u64>,
    ) -> Vec<Refused> {
        let refused = self.refused(surface, asked);
        self.behind(refused, &places(surface, asked), ticket)
    }

    fn behind(
        &mut self,
        mut refused: Vec<Refused>,
        operations: &[(Operation, Kind)],
        ticket: Option<u64>,
    ) -> Vec<Refused> {
        for (operation, kind) in operations {
            if self.head(*operation, ticket).is_none() {
                continue;
            }
            match refused.iter_mut().find(|known| known.bound == operation.1) {
                Some(known) if known.reason == "ALREADY_COMMITTED" => {}
                Some(known) => known.until_ms = None,
                None => refused.push(Refused {
                    bound: operation.1,
                    value: operation.2,
                    kind: *kind,
                    reason: "BOUND_HELD",
                    fence: None,
                    until_ms: None,
                }),
            }
        }
        refused.sort_by_key(|refused| refused.bound);
        refused
    }

    /// Whether all that refuses can go in time.
    pub(super) fn may_go(refused: &[Refused], wait_ms: u64) -> bool {
        refused.iter().all(|refused| match refused.kind {
            Kind::Once(_) if refused.reason == "ALREADY_COMMITTED" => {
                refused.until_ms.is_some_and(|until_ms| until_ms < wait_ms)
            }
            // An amount above the limit is refused without a time, and so is what is held by redeemed
            // permits; the histories draw no amounts above a limit for those that wait.
            _ => true,
        })
    }

    pub(super) fn wait(
        &mut self,
        asking: &Asking,
        surface: Surface,
        wait_ms: u64,
        earlier: Option<&Waiter>,
        refused: &[Refused],
    ) -> String {
        let ticket = earlier.map_or(self.tickets + 1, |earlier| earlier.ticket);
        self.tickets = self.tickets.max(ticket);
        let waiter = Waiter {
            by: asking.by,
            key: asking.key,
            asked: asking.asked,
            operations: places(surface, asking.asked),
            version: self.version(),
            end_ms: asking.end_ms,
            wait_ms,
            ticket,
            since_ms: earlier.map_or(self.now_ms, |earlier| earlier.since_ms),
            offered: None,
            look_ms: self.next_look(refused),
        };
        if earlier != Some(&waiter) {
            self.leave(asking.by, asking.key);
            self.met.waiters.push(waiter.clone());
        }
        waiter.said(refused)
    }

    fn next_look(&self, refused: &[Refused]) -> Option<u64> {
        let (_, at_ms) = summary(refused);
        at_ms.filter(|at_ms| *at_ms > self.now_ms)
    }

    /// What stands in the way of one that waits; none if it is to be evaluated again.
    fn in_the_way(&mut self, waiter: &Waiter) -> Option<Vec<Refused>> {
        if waiter.version != self.version() {
            return None;
        }
        let surface = self.surface(waiter.asked.surface).unwrap();
        let refused = self.refused_or_behind(surface, waiter.asked, Some(waiter.ticket));
        let is_vain = !Self::may_go(&refused, waiter.wait_ms);
        (!refused.is_empty() && !is_vain).then_some(refused)
    }

    /// The answer to one that waits and only asks.
    pub(super) fn still_waiting(&mut self, waiter: &Waiter) -> Option<String> {
        if waiter.offered.is_some() {
            return None;
        }
        let refused = self.in_the_way(waiter)?;
        Some(waiter.said(&refused))
    }

    fn look_at(&mut self, waiter: &Waiter) {
        let mut next = waiter.clone();
        match self.in_the_way(waiter) {
            None => {
                let until_ms = (self.now_ms + OFFER_MS).min(waiter.wait_ms);
                next.offered = Some((until_ms, self.term));
                self.notes.push(match waiter.offered {
                    None => "an offer was made",
                    Some(_) => "an offer was made again under another leader",
                });
                next.look_ms = None;
            }
            Some(refused) => {
                next.offered = None;
                next.look_ms = self.next_look(&refused);
            }
        }
        let mut all = self.met.waiters.iter_mut();
        if let Some(known) = all.find(|known| known.ticket == waiter.ticket) {
            *known = next;
        }
    }

    /// What was let go is offered to the first that waits for it.
    pub(super) fn make_offers(&mut self) {
        while let Some(operation) = self.met.freed.pop_first() {
            if let Some(head) = self.head(operation, None)
                && head.offered.is_none()
            {
                self.look_at(&head);
            }
        }
    }

    /// Meets at most `limit` whose time has come.
    pub(super) fn meet_waiters(&mut self, limit: usize) {
        let mut due: Vec<(u64, u64)> = self
            .met
            .waiters
            .iter()
            .filter(|waiter| waiter.ends_ms() <= self.now_ms)
            .map(|waiter| (waiter.ends_ms(), waiter.ticket))
            .collect();
        due.sort_unstable();
        for (ends_ms, ticket) in due.into_iter().take(limit) {
            let mut all = self.met.waiters.iter();
            // Meeting one may have changed another.
            let is_it = |known: &&Waiter| known.ticket == ticket && known.ends_ms() == ends_ms;
            let Some(waiter) = all.find(is_it).cloned() else {
                continue;
            };
            if waiter.is_live(self.now_ms, self.term) {
                self.look_at(&waiter);
            } else {
                self.note_lapse(&waiter);
                self.leave(waiter.by, waiter.key);
            }
        }
    }

    pub(super) fn leave_queue(&mut self, by: &'static str, key: u64, off: u64) -> String {
        let waits = off == 0 && self.waiter(by, key).is_some();
        if waits {
            self.leave(by, key);
        }
        self.changes = true;
        replayed("done", !waits)
    }
}
