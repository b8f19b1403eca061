//! What the model answers to an attempt.

use std::fmt::Write as _;

use super::{Asked, Attempt, Bound, Event, Freshness, Grant, Model, Op, Surface, shown, value};

impl Model {
    fn replay(&self, attempt: &Attempt) -> String {
        let what = match &attempt.decided {
            Ok(fence) => format!("PERMIT {}", self.stands(*fence)),
            Err(denial) => denial.clone(),
        };
        format!("{what} v{} (replay)", attempt.version)
    }

    fn latest(&self, by: &str, key: u8) -> Option<Attempt> {
        let mut newest_first = self.attempts.iter().rev();
        newest_first
            .find(|attempt| attempt.by == by && attempt.key == key)
            .cloned()
    }

    /// The issued permit that deciding again under another version replaces.
    pub(crate) fn replaced(&self, by: &str, key: u8) -> Option<u64> {
        let latest = self.latest(by, key)?;
        let fence = latest.decided.ok()?;
        let is_issued = self.grant(fence)?.state(self.now_ms) == "ISSUED";
        (is_issued && latest.version != self.version()).then_some(fence)
    }

    /// The answer to an attempt that is not to be decided now, if it is not.
    fn undecided(&self, op: &Op) -> Option<String> {
        let Op::Authorize {
            by,
            key,
            asked,
            end_ms,
            freshness,
            ..
        } = op.clone()
        else {
            unreachable!("only authorize comes here");
        };
        let is_over = self.now_ms >= end_ms;
        if let Some(latest) = self.latest(by, key) {
            if latest.asked != asked || (latest.end_ms != end_ms && !is_over) {
                return Some("SILENCE IDEMPOTENCY_KEY_REUSED".to_owned());
            }
            let is_looking = [Freshness::Fresh, Freshness::Lookup].contains(&freshness);
            let is_settled = is_looking && self.is_final(&latest);
            if is_over || latest.version == self.version() || is_settled {
                return Some(self.replay(&latest));
            }
        }
        if is_over {
            return Some("SILENCE ATTEMPT_EXPIRED".to_owned());
        }
        if self.activations.is_empty() {
            return Some("SILENCE NO_ACTIVE_POLICY".to_owned());
        }
        let reason = match freshness {
            Freshness::OldVersion | Freshness::Lookup => "POLICY_MOVED",
            Freshness::OldTime | Freshness::WrongFacts => "FACTS_MOVED",
            Freshness::Fresh => return None,
        };
        let replaced = self.replaced(by, key).map_or("", |_| ", supersedes");
        Some(format!(
            "evaluate again: {reason} (active v{}{replaced})",
            self.version()
        ))
    }

    pub(super) fn authorize(&mut self, op: &Op) -> String {
        if let Some(answer) = self.undecided(op) {
            return answer;
        }
        let Op::Authorize {
            by,
            key,
            asked,
            end_ms,
            denies,
            after,
            ..
        } = op.clone()
        else {
            unreachable!("only authorize comes here");
        };
        let replaced = self.replaced(by, key);
        let Some(surface) = self.surface(asked.0) else {
            return "rejected: the evaluation does not fit: the bundle does not register the \
                    surface"
                .to_owned();
        };
        let has_to_wait = after.is_some_and(|fence| {
            self.grant(fence)
                .is_none_or(|grant| grant.state(self.now_ms) != "COMMITTED")
        });
        if has_to_wait && !denies {
            return "SILENCE PREREQUISITE_NOT_COMMITTED".to_owned();
        }
        if let Some(fence) = replaced {
            self.happened(fence, Event::Superseded);
        }
        let denial = if denies {
            Some("DENY POLICY codes=TOO_LATE".to_owned())
        } else {
            self.refusal(asked, surface)
        };
        let version = self.version();
        let (text, decided) = if let Some(denial) = denial {
            (denial.clone(), Err(denial))
        } else {
            self.grants.push(Grant {
                by,
                asked,
                surface,
                version,
                expires_ms: self.now_ms + surface.life_ms,
                after,
                story: Vec::new(),
            });
            let fence = self.grants.len() as u64;
            (format!("PERMIT {}", self.stands(fence)), Ok(fence))
        };
        self.attempts.push(Attempt {
            by,
            key,
            asked,
            end_ms,
            version,
            decided,
        });
        format!("{text} v{version}")
    }

    pub(super) fn is_final(&self, attempt: &Attempt) -> bool {
        attempt.decided.as_ref().is_ok_and(|fence| {
            let state = self.grant(*fence).unwrap().state(self.now_ms);
            ["REDEEMED", "COMMITTED", "REVOKED"].contains(&state)
        })
    }

    /// The denial for bounds that cannot be had.
    fn refusal(&self, asked: Asked, surface: Surface) -> Option<String> {
        let mut refused = String::new();
        let mut reason = "BOUND_HELD";
        let mut retry_ms = Some(0);
        for Bound(name, is_once, _) in surface.bounds {
            let on_key = |grant: &&Grant| grant.claims(surface.name, name, value(asked, name));
            let fence_of = |wanted: &Grant| {
                let place = self
                    .grants
                    .iter()
                    .position(|grant| std::ptr::eq(grant, wanted));
                place.unwrap() + 1
            };
            let all = || self.grants.iter().filter(on_key);
            // What was committed while the bound was not `once` is not counted later.
            let committed = all().find(|grant| {
                grant
                    .surface
                    .bounds
                    .iter()
                    .any(|bound| bound.0 == *name && bound.1)
                    && grant.state(self.now_ms) == "COMMITTED"
            });
            let live = all().find(|grant| grant.is_live(self.now_ms));
            let (why, holder) = match (committed, live) {
                (Some(grant), _) if *is_once => ("ALREADY_COMMITTED", grant),
                (_, Some(grant)) => ("BOUND_HELD", grant),
                _ => continue,
            };
            let key = format!("{name}/{}", value(asked, name));
            write!(refused, " [{key} {why} by fence={}]", fence_of(holder)).unwrap();
            if why == "ALREADY_COMMITTED" {
                reason = why;
            }
            retry_ms = match (retry_ms, holder.state(self.now_ms)) {
                (Some(before), "ISSUED") => Some(holder.expires_ms.max(before)),
                _ => None,
            };
        }
        if refused.is_empty() {
            return None;
        }
        let retry = retry_ms.map(|at| format!(" try again at {}", shown(at)));
        Some(format!(
            "DENY {reason}{refused}{}",
            retry.unwrap_or_default()
        ))
    }
}
