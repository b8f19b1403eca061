//! What stands around a request: approvals, sessions, freezes, and the list of what is missing.

use super::{Asked, Asking, Model, Op, replayed, shown};

/// How long an approval given again is taken for a retry, unless it could not let anything through.
const REPEAT_MS: u64 = 60_500;
/// How long a listed request is not listed anew.
const REFRESH_MS: u64 = 60_000;
const LISTED_MS: u64 = 86_400_000;
/// How long an approval is kept after its end.
pub(super) const RETENTION_MIN_MS: u64 = 86_400_000 + 600_000 + 5_500 + 60_500;

#[derive(Default)]
pub(crate) struct Context {
    pub(crate) approvals: Vec<Approval>,
    sessions: Vec<Session>,
    is_frozen: bool,
    frozen: Vec<&'static str>,
    listed: Vec<Listed>,
}

/// An approval, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Approval {
    pub(crate) quorum: u8,
    pub(crate) subject: u8,
    pub(crate) by: &'static str,
    given_ms: u64,
    expires_ms: u64,
    version: u64,
    pub(crate) leaf: u64,
    spent_by: Option<u64>,
    is_revoked: bool,
    /// Whether a later one of the same name, or retention, has taken its place.
    pub(crate) is_gone: bool,
}

impl Approval {
    fn is_named(&self, quorum: u8, subject: u8, by: &str) -> bool {
        !self.is_gone && self.quorum == quorum && self.subject == subject && self.by == by
    }

    pub(crate) fn counts(&self, now_ms: u64, superseded: Option<u64>) -> bool {
        let is_free = self.spent_by.is_none() || self.spent_by == superseded;
        !self.is_gone && !self.is_revoked && is_free && now_ms < self.expires_ms
    }

    /// Whether it lets something through, or has.
    fn stands(&self, now_ms: u64) -> bool {
        self.spent_by.is_some() || self.counts(now_ms, None)
    }

    /// Whether something may still ask for its statement.
    pub(super) fn is_asked_for(&self, now_ms: u64) -> bool {
        now_ms < self.expires_ms + RETENTION_MIN_MS
    }

    fn said(&self, is_replay: bool) -> String {
        let what = if self.is_revoked {
            "REVOKED".to_owned()
        } else if self.spent_by.is_some() {
            "SPENT".to_owned()
        } else {
            format!("until {}", shown(self.expires_ms))
        };
        let text = format!("q{} approved by {} {what}", self.quorum, self.by);
        replayed(&text, is_replay)
    }
}

struct Session {
    number: u8,
    owner: &'static str,
    used_ms: u64,
    is_closed: bool,
}

struct Listed {
    asked: Asked,
    asked_ms: u64,
    version: u64,
}

impl Model {
    pub(super) fn answer_in_context(&mut self, op: Op) -> String {
        match op {
            Op::Approve {
                quorum,
                subject,
                by,
                for_ms,
                is_moved,
            } => self.approve((quorum, subject, by), for_ms, is_moved),
            Op::RevokeApproval {
                quorum,
                subject,
                by,
                principal,
                is_operator,
            } => self.revoke_approval((quorum, subject, by), is_operator || by == principal),
            Op::Ask {
                asked, is_moved, ..
            } => self.ask(asked, is_moved),
            Op::Close {
                session,
                by,
                is_operator,
            } => self.close(session, by, is_operator),
            Op::Freeze { surface, is_frozen } => self.freeze(surface, is_frozen),
            other => self.answer_about_keys(other),
        }
    }

    fn approve(
        &mut self,
        (quorum, subject, by): (u8, u8, &'static str),
        for_ms: u64,
        is_moved: bool,
    ) -> String {
        let now_ms = self.now_ms;
        let version = self.version();
        let all = &mut self.context.approvals;
        let known = all
            .iter_mut()
            .find(|known| known.is_named(quorum, subject, by));
        if let Some(known) = &known
            && !is_moved
            && known.stands(now_ms)
            && known.version == version
            && now_ms - known.given_ms < REPEAT_MS
        {
            return known.said(true);
        }
        if is_moved || version == 0 {
            return "refused POLICY_MOVED".to_owned();
        }
        if self.surface("pay").is_none() {
            return "refused UNKNOWN_SURFACE".to_owned();
        }
        let leaf = self.stated(None);
        for known in &mut self.context.approvals {
            known.is_gone |= known.is_named(quorum, subject, by);
        }
        let approval = Approval {
            quorum,
            subject,
            by,
            given_ms: now_ms,
            expires_ms: now_ms + for_ms,
            version,
            leaf,
            spent_by: None,
            is_revoked: false,
            is_gone: false,
        };
        let said = approval.said(false);
        self.context.approvals.push(approval);
        said
    }

    fn revoke_approval(
        &mut self,
        (quorum, subject, by): (u8, u8, &'static str),
        may: bool,
    ) -> String {
        let all = &mut self.context.approvals;
        let Some(known) = all
            .iter_mut()
            .find(|known| known.is_named(quorum, subject, by))
        else {
            return "refused UNKNOWN_APPROVAL".to_owned();
        };
        if !may {
            return "refused FORBIDDEN".to_owned();
        }
        if known.is_revoked {
            return known.said(true);
        }
        if known.spent_by.is_some() {
            return "refused APPROVAL_SPENT".to_owned();
        }
        known.is_revoked = true;
        let said = known.said(false);
        self.stated(None);
        said
    }

    /// Whether what an evaluation uses is so, for the attempt that it is of.
    pub(super) fn do_approvals_hold(&self, asking: &Asking) -> bool {
        let replaced = self.replaced(asking.by, asking.key);
        let replaced = replaced.filter(|fence| self.gives_back(*fence));
        asking
            .approvals
            .iter()
            .all(|(place, _)| self.context.approvals[*place].counts(self.now_ms, replaced))
    }

    pub(super) fn spend(&mut self, asking: &Asking, fence: u64) -> Vec<usize> {
        let mut spent = Vec::new();
        for (place, is_spent) in &asking.approvals {
            let approval = &mut self.context.approvals[*place];
            assert!(approval.counts(self.now_ms, None), "it was found to hold");
            if *is_spent {
                self.notes.push("an approval was spent");
                approval.spent_by = Some(fence);
                spent.push(*place);
            }
        }
        spent
    }

    /// Whether what a superseded permit has spent comes back: not where it may have been used.
    fn gives_back(&self, fence: u64) -> bool {
        !self.grant(fence).unwrap().surface.is_offline
    }

    /// What a superseded permit has spent comes back.
    pub(super) fn give_back(&mut self, fence: u64) {
        if !self.gives_back(fence) {
            return;
        }
        for place in self.grant(fence).unwrap().spent.clone() {
            if self.context.approvals[place].spent_by == Some(fence) {
                self.context.approvals[place].spent_by = None;
                self.notes.push("an approval came back");
            }
        }
    }

    pub(super) fn is_closed(&self, session: u8) -> bool {
        let mut sessions = self.context.sessions.iter();
        sessions.any(|known| known.number == session && known.is_closed)
    }

    pub(super) fn name_session(&mut self, session: Option<u8>, by: &'static str) {
        let Some(number) = session else { return };
        let used_ms = self.now_ms;
        let mut sessions = self.context.sessions.iter_mut();
        match sessions.find(|known| known.number == number) {
            Some(known) => known.used_ms = used_ms,
            None => self.context.sessions.push(Session {
                number,
                owner: by,
                used_ms,
                is_closed: false,
            }),
        }
    }

    fn close(&mut self, number: u8, by: &'static str, is_operator: bool) -> String {
        let sessions = self.context.sessions.iter();
        let known = sessions.clone().find(|known| known.number == number);
        if known.is_some_and(|known| known.owner != by) && !is_operator {
            return "refused FORBIDDEN".to_owned();
        }
        if known.is_some_and(|known| known.is_closed) {
            return "done (replay)".to_owned();
        }
        self.stated(None);
        self.name_session(Some(number), by);
        for known in &mut self.context.sessions {
            known.is_closed |= known.number == number;
        }
        "done".to_owned()
    }

    pub(crate) fn is_frozen(&self, surface: &str) -> bool {
        self.context.is_frozen || self.context.frozen.contains(&surface)
    }

    pub(crate) fn closed(&self, session: Option<u8>) -> bool {
        session.is_some_and(|session| self.is_closed(session))
    }

    fn freeze(&mut self, surface: Option<&'static str>, is_frozen: bool) -> String {
        let found = match surface {
            None => self.context.is_frozen,
            Some(surface) => self.context.frozen.contains(&surface),
        };
        if found == is_frozen {
            return "done (replay)".to_owned();
        }
        match surface {
            None => self.context.is_frozen = is_frozen,
            Some(surface) if !is_frozen => self.context.frozen.retain(|known| *known != surface),
            Some(surface) if self.surface(surface).is_none() => {
                return "refused UNKNOWN_SURFACE".to_owned();
            }
            Some(surface) => self.context.frozen.push(surface),
        }
        self.stated(None);
        "done".to_owned()
    }

    /// Freezes a surface whether or not it is registered or frozen.
    pub(super) fn freeze_disputed(&mut self, surface: &'static str) {
        if !self.context.frozen.contains(&surface) {
            self.context.frozen.push(surface);
        }
    }

    fn ask(&mut self, asked: Asked, is_moved: bool) -> String {
        let version = self.version();
        if is_moved || version == 0 {
            return "refused POLICY_MOVED".to_owned();
        }
        let now_ms = self.now_ms;
        self.changes = true;
        let mut all = self.context.listed.iter_mut();
        let Some(known) = all.find(|known| known.asked == asked) else {
            self.context.listed.push(Listed {
                asked,
                asked_ms: now_ms,
                version,
            });
            return "done".to_owned();
        };
        if known.version != version || now_ms - known.asked_ms >= REFRESH_MS {
            known.asked_ms = now_ms;
            known.version = version;
            return "done".to_owned();
        }
        "done (replay)".to_owned()
    }

    pub(super) fn unlist(&mut self, asked: Asked) {
        self.context.listed.retain(|known| known.asked != asked);
    }

    /// What nothing can ask for any more goes.
    pub(super) fn sweep_context(&mut self) {
        let now_ms = self.now_ms;
        for known in &mut self.context.approvals {
            if !known.is_gone && known.expires_ms + RETENTION_MIN_MS <= now_ms {
                known.is_gone = true;
                self.notes.push("an approval was forgotten");
            }
        }
        let listed = &mut self.context.listed;
        let count = listed.len();
        listed.retain(|known| now_ms < known.asked_ms + LISTED_MS);
        if listed.len() < count {
            self.notes.push("a listed request was forgotten");
        }
        if let Some(kept_ms) = self.kept.sessions_ms {
            let sessions = &mut self.context.sessions;
            let count = sessions.len();
            sessions.retain(|known| now_ms < known.used_ms + kept_ms);
            if sessions.len() < count {
                self.notes.push("a session was forgotten");
            }
        }
    }

    /// How many requests are listed.
    pub(crate) fn listed_count(&self) -> usize {
        self.context.listed.len()
    }
}
