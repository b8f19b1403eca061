//! What the model answers to redeem, complete and revoke.

use super::{Event, Model, Wrong};

impl Model {
    pub(super) fn redeem(&mut self, fence: u64, by: &'static str, id: u8, wrong: Wrong) -> String {
        let Some(grant) = self.grant(fence) else {
            return "refused UNKNOWN_PERMIT".to_owned();
        };
        let may = grant
            .surface
            .executors
            .iter()
            .any(|executor| match *executor {
                "caller" => grant.by == by,
                named => named == by,
            });
        if !may {
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
        let waits = grant.after.is_some_and(|fence| {
            self.grant(fence)
                .is_none_or(|grant| grant.state(self.now_ms) != "COMMITTED")
        });
        let refused = match grant.state(self.now_ms) {
            "REDEEMED" | "COMMITTED" | "ABORTED" => Some("ALREADY_REDEEMED"),
            "ISSUED" if grant.version != self.version() && !honours => Some("STALE_POLICY"),
            "ISSUED" if waits => Some("STALE_CONTEXT"),
            "ISSUED" => None,
            ended => Some(ended),
        };
        if let Some(reason) = refused {
            return format!("refused {reason}");
        }
        let until_ms = self.now_ms + grant.surface.within_ms;
        self.happened(fence, Event::Redeemed { by, id, until_ms });
        self.stands(fence)
    }

    pub(super) fn complete(
        &mut self,
        fence: u64,
        by: &str,
        is_committed: bool,
        is_operator: bool,
    ) -> String {
        let Some(grant) = self.grant(fence) else {
            return "refused UNKNOWN_PERMIT".to_owned();
        };
        let may = match grant.redeemed() {
            Some((who, _, _)) => who == by,
            None => grant
                .surface
                .executors
                .iter()
                .any(|executor| match *executor {
                    "caller" => grant.by == by,
                    named => named == by,
                }),
        };
        if !may && !is_operator {
            return "refused NOT_EXECUTOR".to_owned();
        }
        let (event, state) = if is_committed {
            (Event::Committed, "COMMITTED")
        } else {
            (Event::Aborted, "ABORTED")
        };
        match grant.state(self.now_ms) {
            "REDEEMED" => {
                self.happened(fence, event);
                self.stands(fence)
            }
            "ISSUED" => "refused NOT_REDEEMED".to_owned(),
            same if same == state => format!("{} (replay)", self.stands(fence)),
            "COMMITTED" | "ABORTED" => "refused OUTCOME_CONFLICT (recorded)".to_owned(),
            ended => format!("refused {ended}"),
        }
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
                self.happened(fence, Event::Revoked);
                self.stands(fence)
            }
            "REVOKED" => format!("{} (replay)", self.stands(fence)),
            "REDEEMED" => "refused ALREADY_REDEEMED".to_owned(),
            "COMMITTED" | "ABORTED" => "refused NOT_ALLOWED".to_owned(),
            ended => format!("refused {ended}"),
        }
    }
}
