//! What only time brings about, and how long what has ended is kept.

use std::fmt::Write as _;

use super::bounds::Holds;
use super::context::RETENTION_MIN_MS;
use super::{Event, Grant, Kept, Model, replayed};

/// How long an attempt is kept after its end.
const ATTEMPT_KEPT_MS: u64 = 60_500;
const DAY_MS: u64 = 86_400_000;
const FOR_EVER_MS: u64 = 100 * 366 * DAY_MS;
/// Of each kind, one sweep meets so many.
const MET_MAX: usize = 256;

pub(super) const KEPT_AT_FIRST: Kept = Kept {
    permits_ms: Some(90 * DAY_MS),
    disclosures_ms: Some(90 * DAY_MS),
    statements_ms: None,
    sessions_ms: Some(90 * DAY_MS),
};

/// How far sweeps have come.
#[derive(Default)]
pub(super) struct Swept {
    fence: u64,
    leaf: u64,
    disclosed: u64,
}

impl Model {
    /// When a permit ended, so that it holds nothing and nobody waits for its outcome.
    pub(super) fn ended_ms(&self, grant: &Grant) -> Option<u64> {
        let at = |wanted: fn(&Event) -> bool| {
            let mut story = grant.story.iter();
            story.find(|(_, event)| wanted(event)).map(|(at, _)| *at)
        };
        let said = at(|event| matches!(event, Event::Said { .. }));
        let released = at(|event| matches!(event, Event::Released));
        let taken = at(|event| matches!(event, Event::Revoked | Event::Superseded));
        let is_let_go = self.met.let_go.contains(&grant.fence);
        let has_expired = self.met.expired.contains(&grant.fence);
        if released.is_some() {
            return released;
        }
        match (taken, grant.surface.is_offline) {
            (Some(at), false) => Some(at),
            (Some(_), true) if is_let_go => Some(grant.held_until_ms()),
            (None, false) if has_expired => Some(grant.expires_ms),
            _ => said,
        }
    }

    /// A permit may have ended that retention has passed over.
    pub(super) fn note_end(&mut self, fence: u64) {
        let is_noted = self.met.noted.iter().any(|(known, _)| *known == fence);
        let Some(grant) = self.grant(fence) else {
            return;
        };
        let Some(ended_ms) = self.ended_ms(grant) else {
            return;
        };
        if fence <= self.swept.fence && !is_noted {
            self.met.noted.push((fence, ended_ms));
        }
    }

    pub(super) fn first_kept_leaf(&self) -> u64 {
        self.swept.leaf
    }

    /// Whether the statement at `leaf` is still there.
    pub(crate) fn keeps(&self, leaf: u64) -> bool {
        let (_, fence) = self.leaves[usize::try_from(leaf).unwrap()];
        leaf >= self.swept.leaf || fence.is_some_and(|fence| self.grant(fence).is_some())
    }

    pub(super) fn retain(&mut self, kept: Kept) -> String {
        let times = [
            kept.permits_ms,
            kept.disclosures_ms,
            kept.statements_ms,
            kept.sessions_ms,
        ];
        if times.iter().flatten().any(|time| *time > FOR_EVER_MS) {
            return "refused INVALID_REQUEST".to_owned();
        }
        let is_short = times.iter().flatten().any(|time| *time < RETENTION_MIN_MS);
        let goes_first = kept.statements_ms.is_some_and(|statements| {
            let others = [kept.permits_ms, kept.disclosures_ms];
            others
                .iter()
                .any(|other| other.is_none_or(|other| statements < other))
        });
        if is_short || goes_first {
            return "refused RETENTION_TOO_SHORT".to_owned();
        }
        let is_replay = self.kept == kept;
        self.kept = kept;
        self.changes = true;
        replayed("done", is_replay)
    }

    pub(super) fn sweep(&mut self) -> String {
        self.changes = true;
        self.meet_due(MET_MAX);
        let released_count = self.release_due();
        self.meet_waiters(MET_MAX);
        let activated = self.step_drain();
        for attempt in &mut self.attempts {
            if !attempt.is_gone && attempt.end_ms + ATTEMPT_KEPT_MS <= self.now_ms {
                attempt.is_gone = true;
                self.notes.push("an attempt was forgotten");
            }
        }
        self.sweep_context();
        self.clear_graves();
        self.sweep_permits();
        self.sweep_disclosures();
        self.sweep_statements();
        let mut text = "swept".to_owned();
        if released_count > 0 {
            write!(text, " released={released_count}").unwrap();
        }
        if let Some(activated) = activated {
            write!(text, " {activated}").unwrap();
        }
        text
    }

    fn release_due(&mut self) -> usize {
        let mut due = Vec::new();
        for grant in &self.grants {
            if let (Some((_, _, until_ms)), Some(release_ms)) =
                (grant.redeemed(), grant.surface.release_ms)
                && grant.state(self.now_ms) == "REDEEMED"
                && until_ms + release_ms <= self.now_ms
            {
                due.push((until_ms + release_ms, grant.fence));
            }
        }
        due.sort_unstable();
        for (_, fence) in &due {
            self.let_doubt_go(*fence);
        }
        due.len()
    }

    fn sweep_permits(&mut self) {
        let Some(kept_ms) = self.kept.permits_ms else {
            return;
        };
        let noted = std::mem::take(&mut self.met.noted);
        for (fence, ended_ms) in noted {
            if ended_ms + kept_ms > self.now_ms {
                self.met.noted.push((fence, ended_ms));
            } else {
                self.forget_or_note(fence);
            }
        }
        while let Some(grant) = self.grants.get(usize::try_from(self.swept.fence).unwrap()) {
            if grant.issued_ms + kept_ms > self.now_ms {
                return;
            }
            self.swept.fence += 1;
            self.forget_or_note(self.swept.fence);
        }
    }

    fn forget_or_note(&mut self, fence: u64) {
        let place = usize::try_from(fence).unwrap() - 1;
        let grant = &self.grants[place];
        let kept_ms = self.kept.permits_ms.unwrap_or(FOR_EVER_MS);
        match self.ended_ms(grant) {
            Some(ended_ms) if ended_ms + kept_ms <= self.now_ms => {
                assert_eq!(self.holds(grant), Holds::Nothing, "what holds is kept");
                self.grants[place].is_gone = true;
                self.notes.push("a permit was forgotten");
                for attempt in &mut self.attempts {
                    attempt.is_gone |= attempt.decided == Ok(fence);
                }
            }
            Some(_) => self.note_end(fence),
            None => self.notes.push("retention passed a permit over"),
        }
    }

    /// Whether what a statement without a permit discloses is still there, erased or not.
    pub(super) fn discloses(&self, leaf: u64) -> bool {
        leaf >= self.swept.disclosed.max(self.swept.leaf)
    }

    fn sweep_disclosures(&mut self) {
        let Some(kept_ms) = self.kept.disclosures_ms else {
            return;
        };
        let old = self.leaves.iter().map(|(at_ms, _)| at_ms + kept_ms);
        let count = old.take_while(|until_ms| *until_ms <= self.now_ms).count();
        self.swept.disclosed = self.swept.disclosed.max(count as u64);
    }

    fn sweep_statements(&mut self) {
        let Some(kept_ms) = self.kept.statements_ms else {
            return;
        };
        while let Some((at_ms, _)) = self.leaves.get(usize::try_from(self.swept.leaf).unwrap()) {
            let approvals = self.context.approvals.iter();
            let may_count = approvals
                .clone()
                .any(|known| known.leaf == self.swept.leaf && known.is_asked_for(self.now_ms));
            if at_ms + kept_ms > self.now_ms || may_count {
                return;
            }
            self.swept.leaf += 1;
            self.notes.push("a statement was forgotten");
        }
    }
}
