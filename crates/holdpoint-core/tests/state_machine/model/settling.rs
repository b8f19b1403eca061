//! What the model answers to redeem, complete, revoke and release.

use super::bounds::Holds;
use super::{Event, Grant, Kind, Model, Result, Wrong, replayed};

/// Contradictions of one permit that are stated.
const STATED_MAX: usize = 8;

impl Grant {
    fn may_be_used_by(&self, who: &str) -> bool {
        let mut executors = self.surface.executors.iter();
        executors.any(|executor| match *executor {
            "caller" => self.by == who,
            named => named == who,
        })
    }

    fn contradictions(&self) -> Vec<(Result, &'static str)> {
        let events = self.story.iter();
        events
            .filter_map(|(_, event)| match event {
                Event::Contradicted { result, by } => Some((*result, *by)),
                _ => None,
            })
            .collect()
    }
}

impl Model {
    /// Something happens that a permit may let its bounds go for.
    pub(super) fn happens(&mut self, fence: u64, event: Event) {
        let grant = self.grant(fence).unwrap().clone();
        let before = self.holds(&grant);
        self.happened(fence, event);
        let after = self.holds(self.grant(fence).unwrap());
        self.free(&grant, before, after);
        self.note_end(fence);
        self.changes = true;
    }

    pub(super) fn redeem(&mut self, fence: u64, by: &'static str, id: u8, wrong: Wrong) -> String {
        let Some(grant) = self.grant(fence) else {
            return "refused UNKNOWN_PERMIT".to_owned();
        };
        if !grant.may_be_used_by(by) {
            return "refused NOT_EXECUTOR".to_owned();
        }
        if wrong != Wrong::Nothing {
            return "refused REQUEST_MISMATCH".to_owned();
        }
        if grant
            .redeemed()
            .is_some_and(|(who, with, _)| (who, with) == (by, id))
        {
            return format!("{} (replay)", self.stands(fence));
        }
        let honours = self
            .surface(grant.surface.name)
            .is_some_and(|surface| surface.honours);
        // Granted after it was committed, also if it was forgotten since.
        let after = grant.after.and_then(|fence| self.grant(fence));
        let waits = after.is_some_and(|after| after.state(self.now_ms) != "COMMITTED");
        let is_closed = grant.session.is_some_and(|session| self.is_closed(session));
        let refused = match grant.state(self.now_ms) {
            "REDEEMED" | "COMMITTED" | "ABORTED" => Some("ALREADY_REDEEMED"),
            "ISSUED" if grant.version != self.version() && !honours => Some("STALE_POLICY"),
            "ISSUED" if waits || is_closed => Some("STALE_CONTEXT"),
            "ISSUED" => None,
            ended => Some(ended),
        };
        if let Some(reason) = refused {
            return format!("refused {reason}");
        }
        let until_ms = self.now_ms + grant.surface.within_ms;
        self.stated(Some(fence));
        self.happens(fence, Event::Redeemed { by, id, until_ms });
        self.stands(fence)
    }

    pub(super) fn is_committed(&self, fence: u64) -> bool {
        self.grant(fence)
            .is_some_and(|grant| grant.state(self.now_ms) == "COMMITTED")
    }

    pub(super) fn complete(
        &mut self,
        fence: u64,
        by: &'static str,
        result: Result,
        is_operator: bool,
    ) -> String {
        let Some(grant) = self.grant(fence) else {
            return "refused UNKNOWN_PERMIT".to_owned();
        };
        let may = match grant.redeemed() {
            Some((who, _, _)) => who == by,
            None => grant.may_be_used_by(by),
        };
        if !may && !is_operator {
            return "refused NOT_EXECUTOR".to_owned();
        }
        let is_offline = grant.surface.is_offline;
        match grant.state(self.now_ms) {
            "REDEEMED" => self.settle(fence, result),
            "COMMITTED" | "ABORTED" => self.say_again(fence, by, result, "OUTCOME_CONFLICT"),
            "ISSUED" | "EXPIRED" if is_offline => self.settle(fence, result),
            "ISSUED" => "refused NOT_REDEEMED".to_owned(),
            ended @ ("REVOKED" | "SUPERSEDED") if is_offline => {
                self.say_late(fence, by, result, ended)
            }
            "RELEASED" => self.say_late(fence, by, result, "RELEASED"),
            ended => format!("refused {ended}"),
        }
    }

    fn say(&mut self, fence: u64, result: Result, is_settled: bool) {
        let before = self.holds(self.grant(fence).unwrap());
        self.happens(fence, Event::Said { result, is_settled });
        if result.is_committed {
            self.consume(fence, before);
        }
    }

    fn settle(&mut self, fence: u64, result: Result) -> String {
        self.stated(Some(fence));
        self.say(fence, result, true);
        self.stands(fence)
    }

    /// An outcome of what had ended without one.
    fn say_late(&mut self, fence: u64, by: &'static str, result: Result, ended: &str) -> String {
        if self.grant(fence).unwrap().said().is_some() {
            return self.say_again(fence, by, result, ended);
        }
        if !result.is_committed {
            return self.settle(fence, result);
        }
        let recorded = self.contradict(fence, by, result);
        self.say(fence, result, false);
        format!("refused {ended}{recorded}")
    }

    fn say_again(&mut self, fence: u64, by: &'static str, result: Result, reason: &str) -> String {
        let grant = self.grant(fence).unwrap();
        let (said, is_settled) = grant.said().unwrap();
        if is_settled && said.covers(result) {
            return format!("{} (replay)", self.stands(fence));
        }
        let known = grant.contradictions();
        if known[..known.len().min(STATED_MAX)]
            .iter()
            .any(|(said, who)| said.covers(result) && *who == by)
        {
            return format!("refused {reason} (recorded)");
        }
        let recorded = self.contradict(fence, by, result);
        format!("refused {reason}{recorded}")
    }

    fn contradict(&mut self, fence: u64, by: &'static str, result: Result) -> &'static str {
        let count = self.grant(fence).unwrap().contradictions().len();
        self.happened(fence, Event::Contradicted { result, by });
        self.changes = true;
        if count >= STATED_MAX {
            return "";
        }
        self.stated(Some(fence));
        " (recorded)"
    }

    pub(super) fn revoke(&mut self, fence: u64, by: &str, is_operator: bool) -> String {
        let Some(grant) = self.grant(fence) else {
            return "refused UNKNOWN_PERMIT".to_owned();
        };
        if grant.by != by && !is_operator {
            return "refused FORBIDDEN".to_owned();
        }
        match grant.state(self.now_ms) {
            "ISSUED" => {
                self.stated(Some(fence));
                self.happens(fence, Event::Revoked);
                self.stands(fence)
            }
            "REVOKED" => replayed(&self.stands(fence), true),
            "REDEEMED" => "refused ALREADY_REDEEMED".to_owned(),
            "COMMITTED" | "ABORTED" => "refused NOT_ALLOWED".to_owned(),
            ended => format!("refused {ended}"),
        }
    }

    pub(super) fn release(&mut self, fence: u64, is_operator: bool) -> String {
        if !is_operator {
            return "refused FORBIDDEN".to_owned();
        }
        let Some(grant) = self.grant(fence) else {
            return "refused UNKNOWN_PERMIT".to_owned();
        };
        let bounds = grant.surface.bounds;
        let is_once = bounds.iter().any(|bound| matches!(bound.1, Kind::Once(_)));
        match grant.state(self.now_ms) {
            "RELEASED" => replayed(&self.stands(fence), true),
            _ if !grant.is_in_doubt(self.now_ms) => "refused NOT_IN_DOUBT".to_owned(),
            "REDEEMED" if !grant.surface.is_offline && !is_once => {
                self.let_doubt_go(fence);
                self.stands(fence)
            }
            _ => "refused NOT_ALLOWED".to_owned(),
        }
    }

    /// The bounds of a permit in doubt are given up.
    pub(super) fn let_doubt_go(&mut self, fence: u64) {
        self.stated(Some(fence));
        self.happens(fence, Event::Released);
        assert_eq!(self.holds(self.grant(fence).unwrap()), Holds::Nothing);
    }
}
