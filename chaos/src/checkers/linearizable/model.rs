//! What the operations of one key mean, one at a time (`SPEC` section 4).
//!
//! The model never knows more than clients do: that a permit expired is seen when something follows from
//! it, and where cluster time is unknown it may be anything between the operations around.

use super::collect::{Key, Meaning, Operation};
use crate::history::{Answered, Bound, Event, Op, Outcome, PermitState};
use crate::story::{Attempt, Granted, StepKind};

/// The state of a permit, as far as operations showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Local {
    Unissued,
    Issued,
    Expired,
    Redeemed,
    Committed,
    Aborted,
    Revoked,
    Superseded,
}

/// The state of a key.
#[derive(Debug)]
pub(super) struct State {
    /// By the place of the permit.
    pub(super) permits: Vec<Local>,
    /// Permits that count, or did until time let them go.
    pub(super) held: Vec<usize>,
    /// Cluster time of the last operation whose time is known.
    pub(super) time_ms: u64,
}

/// What takes an operation back.
#[derive(Debug)]
pub(super) struct Undo {
    pub(super) changed: Vec<(usize, Local)>,
    held: Option<Vec<usize>>,
    time_ms: u64,
}

impl State {
    pub(super) fn new(key: &Key<'_>) -> Self {
        Self {
            permits: vec![Local::Unissued; key.permits.len()],
            held: Vec::new(),
            time_ms: 0,
        }
    }

    pub(super) fn local(&self, permit: usize) -> Local {
        self.permits.get(permit).copied().unwrap_or(Local::Unissued)
    }

    /// Does an operation, if it can be the next one. `until_ms` is the cluster time of the next operation
    /// whose time is known.
    pub(super) fn take(
        &mut self,
        key: &Key<'_>,
        operation: &Operation<'_>,
        until_ms: u64,
    ) -> Option<Undo> {
        if operation.at_ms.is_some_and(|at_ms| at_ms < self.time_ms) {
            return None;
        }
        match operation.meaning {
            Meaning::Issue(permit) => self.issue(key, permit),
            Meaning::Deny { .. } => self.deny(key, operation),
            Meaning::Step { permit, kind } => self.step(key, permit, kind, operation.at_ms),
            Meaning::Supersede(permit) => {
                (self.local(permit) == Local::Issued).then(|| self.end(permit, Local::Superseded))
            }
            Meaning::Look { permit, event } => {
                let expires_at_ms = key.permits.get(permit)?.expires_at_ms;
                match seen(event, self.local(permit)) {
                    Seen::Fits => Some(self.unchanged()),
                    Seen::FitsExpired if expires_at_ms <= until_ms => {
                        let undo = self.unchanged();
                        self.time_ms = self.time_ms.max(expires_at_ms);
                        Some(undo)
                    }
                    Seen::FitsExpired | Seen::No => None,
                }
            }
        }
    }

    /// Whether an operation that changes nothing, not even the time, can be the next one.
    pub(super) fn explains(&self, key: &Key<'_>, operation: &Operation<'_>) -> bool {
        let Meaning::Look { permit, event } = operation.meaning else {
            return false;
        };
        match seen(event, self.local(permit)) {
            Seen::Fits => true,
            Seen::FitsExpired => key
                .permits
                .get(permit)
                .is_some_and(|permit| permit.expires_at_ms <= self.time_ms),
            Seen::No => false,
        }
    }

    /// Takes an operation back.
    pub(super) fn undo(&mut self, undo: Undo) {
        for (permit, local) in undo.changed.into_iter().rev() {
            if let Some(place) = self.permits.get_mut(permit) {
                *place = local;
            }
        }
        if let Some(held) = undo.held {
            self.held = held;
        }
        self.time_ms = undo.time_ms;
    }

    fn unchanged(&self) -> Undo {
        Undo {
            changed: Vec::new(),
            held: None,
            time_ms: self.time_ms,
        }
    }

    fn set(&mut self, undo: &mut Undo, permit: usize, local: Local) {
        if let Some(place) = self.permits.get_mut(permit) {
            undo.changed.push((permit, *place));
            *place = local;
        }
    }

    /// A permit becomes something that no longer counts.
    fn end(&mut self, permit: usize, local: Local) -> Undo {
        let mut undo = self.unchanged();
        undo.held = Some(self.held.clone());
        self.set(&mut undo, permit, local);
        self.held.retain(|held| *held != permit);
        undo
    }

    /// Those who count at `at_ms` for somebody else than the attempt that asks, which replaces its own
    /// permit of an earlier policy.
    fn counting(&self, key: &Key<'_>, asker: &Asker<'_>) -> Vec<(usize, Option<Local>)> {
        let end = |permit: &usize| {
            let granted = key.permits.get(*permit)?;
            if self.local(*permit) != Local::Issued {
                None
            } else if granted.expires_at_ms <= asker.at_ms {
                Some(Local::Expired)
            } else if granted.attempt == asker.attempt && granted.version != asker.version {
                Some(Local::Superseded)
            } else {
                None
            }
        };
        self.held
            .iter()
            .map(|permit| (*permit, end(permit)))
            .collect()
    }

    fn issue(&mut self, key: &Key<'_>, permit: usize) -> Option<Undo> {
        let granted = key.permits.get(permit)?;
        if self.local(permit) != Local::Unissued || self.is_overtaken(key, permit) {
            return None;
        }
        let asker = Asker::of(granted);
        let counting = self.counting(key, &asker);
        if !fits(key, &counting, &asker) {
            return None;
        }
        let mut undo = self.unchanged();
        undo.held = Some(self.held.clone());
        for (ended, local) in counting {
            if let Some(local) = local {
                self.set(&mut undo, ended, local);
                self.held.retain(|held| *held != ended);
            }
        }
        self.set(&mut undo, permit, Local::Issued);
        self.held.push(permit);
        self.time_ms = granted.issued_at_ms;
        Some(undo)
    }

    /// Whether a permit with a lower fence is still to be issued: fences are the order of issue.
    fn is_overtaken(&self, key: &Key<'_>, permit: usize) -> bool {
        let Some(before) = permit.checked_sub(1) else {
            return false;
        };
        let fence = |place: usize| key.permits.get(place).map(|granted| granted.fence);
        self.local(before) == Local::Unissued && fence(before) < fence(permit)
    }

    fn deny(&mut self, key: &Key<'_>, operation: &Operation<'_>) -> Option<Undo> {
        let Meaning::Deny { denied, excused } = operation.meaning else {
            return None;
        };
        let at_ms = operation.at_ms.unwrap_or(self.time_ms);
        let asker = Asker {
            attempt: denied.attempt,
            version: denied.version,
            amount: denied.amount,
            at_ms,
        };
        let counting = self.counting(key, &asker);
        let is_right = match denied.reason {
            "ALREADY_COMMITTED" => {
                let mut held = self.held.iter();
                excused || held.any(|permit| self.local(*permit) == Local::Committed)
            }
            "BOUND_HELD" | "BOUND_EXHAUSTED" => excused || !fits(key, &counting, &asker),
            // The policy denied it.
            _ => true,
        };
        if !is_right {
            return None;
        }
        let mut undo = self.unchanged();
        undo.held = Some(self.held.clone());
        for (ended, local) in counting {
            if local == Some(Local::Superseded) {
                self.set(&mut undo, ended, Local::Superseded);
                self.held.retain(|held| *held != ended);
            }
        }
        self.time_ms = at_ms;
        Some(undo)
    }

    fn step(
        &mut self,
        key: &Key<'_>,
        permit: usize,
        kind: StepKind,
        at_ms: Option<u64>,
    ) -> Option<Undo> {
        let granted = key.permits.get(permit)?;
        let is_live = at_ms.unwrap_or(self.time_ms) < granted.expires_at_ms;
        let keeps = matches!(key.bound, Bound::Once {} | Bound::Budget { .. });
        let mut undo = match (kind, self.local(permit)) {
            (StepKind::Redeem, Local::Issued) if is_live => {
                let mut undo = self.unchanged();
                self.set(&mut undo, permit, Local::Redeemed);
                undo
            }
            (StepKind::Commit, Local::Redeemed) if keeps => {
                let mut undo = self.unchanged();
                self.set(&mut undo, permit, Local::Committed);
                undo
            }
            (StepKind::Commit, Local::Redeemed) => self.end(permit, Local::Committed),
            (StepKind::Abort, Local::Redeemed) => self.end(permit, Local::Aborted),
            (StepKind::Revoke, Local::Issued) if is_live => self.end(permit, Local::Revoked),
            _ => return None,
        };
        undo.time_ms = self.time_ms;
        self.time_ms = at_ms.unwrap_or(self.time_ms);
        Some(undo)
    }
}

/// Who claims a key, and when.
struct Asker<'s> {
    attempt: Attempt<'s>,
    version: u64,
    amount: u64,
    at_ms: u64,
}

impl<'s> Asker<'s> {
    const fn of(granted: &Granted<'s>) -> Self {
        Self {
            attempt: granted.attempt,
            version: granted.version,
            amount: granted.amount,
            at_ms: granted.issued_at_ms,
        }
    }
}

/// Whether a claim fits beside those who still count.
fn fits(key: &Key<'_>, counting: &[(usize, Option<Local>)], asker: &Asker<'_>) -> bool {
    let left = counting.iter().filter(|(_, ended)| ended.is_none());
    match key.bound {
        Bound::Exclusive {} | Bound::Once {} => left.count() == 0,
        Bound::Capacity { limit } => (left.count() as u64) < limit,
        Bound::Budget { limit, window_ms } => {
            let window = |at_ms: u64| at_ms.checked_div(window_ms);
            let sum = left
                .filter_map(|(permit, _)| key.permits.get(*permit))
                .filter(|granted| window(granted.issued_at_ms) == window(asker.at_ms))
                .fold(asker.amount, |sum, granted| {
                    sum.saturating_add(granted.amount)
                });
            sum <= limit
        }
    }
}

/// Whether an answer fits a state.
enum Seen {
    /// It does.
    Fits,
    /// It does if cluster time has passed the permit's expiry.
    FitsExpired,
    /// It does not.
    No,
}

fn seen(event: &Event, local: Local) -> Seen {
    let fits = |fits: bool| if fits { Seen::Fits } else { Seen::No };
    let expired = match local {
        Local::Expired => Seen::Fits,
        Local::Issued => Seen::FitsExpired,
        _ => Seen::No,
    };
    match &event.answer {
        Answered::Absent {} => fits(local == Local::Unissued),
        Answered::State { state } => match state {
            PermitState::Issued => fits(local == Local::Issued),
            PermitState::Redeemed => fits(local == Local::Redeemed),
            PermitState::Committed => fits(local == Local::Committed),
            PermitState::Aborted => fits(local == Local::Aborted),
            PermitState::Revoked => fits(local == Local::Revoked),
            PermitState::Superseded => fits(local == Local::Superseded),
            PermitState::Expired => expired,
        },
        Answered::Refused { reason } => match reason.as_str() {
            "UNKNOWN_PERMIT" => fits(local == Local::Unissued),
            "EXPIRED" => expired,
            "REVOKED" => fits(local == Local::Revoked),
            "SUPERSEDED" => fits(local == Local::Superseded),
            "NOT_REDEEMED" | "STALE_POLICY" | "STALE_CONTEXT" => fits(local == Local::Issued),
            "ALREADY_REDEEMED" => fits(match event.op {
                Op::Revoke => local == Local::Redeemed,
                _ => matches!(local, Local::Redeemed | Local::Committed | Local::Aborted),
            }),
            "OUTCOME_CONFLICT" => fits(match event.outcome {
                Some(Outcome::Committed) => local == Local::Aborted,
                Some(Outcome::Aborted) => local == Local::Committed,
                None => false,
            }),
            "NOT_ALLOWED" => fits(matches!(local, Local::Committed | Local::Aborted)),
            // About the caller or what it showed, not about the state.
            _ => fits(local != Local::Unissued),
        },
        _ => fits(true),
    }
}
