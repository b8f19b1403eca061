//! What the model answers to an attempt.

use super::bounds::{Refused, summary};
use super::waiting::Waiter;
use super::{Asked, Asking, Attempt, Event, Freshness, Grant, Model, Surface, shown};

impl Model {
    fn replay(&self, attempt: &Attempt) -> String {
        let what = match &attempt.decided {
            Ok(fence) => format!("PERMIT {}", self.stands(*fence)),
            Err(denial) => denial.clone(),
        };
        format!("{what} v{} (replay)", attempt.version)
    }

    fn latest(&self, by: &str, key: u64) -> Option<Attempt> {
        let mut newest_first = self.attempts.iter().rev();
        newest_first
            .find(|attempt| attempt.by == by && attempt.key == key && !attempt.is_gone)
            .cloned()
    }

    /// The end that the attempt has given itself, if it is known.
    pub(crate) fn end_of(&self, by: &str, key: u64) -> Option<u64> {
        let waiter = self.waiter(by, key).map(|waiter| waiter.end_ms);
        waiter.or_else(|| self.latest(by, key).map(|attempt| attempt.end_ms))
    }

    /// Attempts of which the next step is worth a look: those whose turn it is, those that another
    /// policy replaces, and those that wait.
    pub(crate) fn worth_a_retry(&self) -> Vec<(&'static str, u64, Asked)> {
        let waiters = self.waiters();
        let attempts = self.attempts.iter().rev().take(12);
        let attempts = attempts.map(|known| (known.by, known.key, known.asked));
        let replaced = attempts.filter(|(by, key, _)| self.replaced(by, *key).is_some());
        replaced.chain(waiters).collect()
    }

    /// The issued permit that deciding again under another version replaces.
    pub(crate) fn replaced(&self, by: &str, key: u64) -> Option<u64> {
        let latest = self.latest(by, key)?;
        let fence = latest.decided.ok()?;
        let is_issued = self.grant(fence)?.state(self.now_ms) == "ISSUED";
        (is_issued && latest.version != self.version()).then_some(fence)
    }

    /// Whether deciding again does not change what was decided.
    fn is_final(&self, attempt: &Attempt) -> bool {
        attempt.decided.as_ref().is_ok_and(|fence| {
            let grant = self.grant(*fence).unwrap();
            match grant.state(self.now_ms) {
                "REDEEMED" | "COMMITTED" | "REVOKED" | "RELEASED" => true,
                "EXPIRED" => grant.is_in_doubt(self.now_ms),
                _ => false,
            }
        })
    }

    /// The answer to an attempt that is not to be decided now, if it is not.
    fn undecided(&mut self, asking: &Asking, waiter: Option<&Waiter>) -> Option<String> {
        let is_over = self.now_ms >= asking.end_ms;
        let reused = || Some("SILENCE IDEMPOTENCY_KEY_REUSED".to_owned());
        let latest = self.latest(asking.by, asking.key);
        if let Some(latest) = &latest {
            if latest.asked != asking.asked || (latest.end_ms != asking.end_ms && !is_over) {
                return reused();
            }
            if is_over {
                return Some(self.replay(latest));
            }
        }
        if is_over {
            return Some("SILENCE ATTEMPT_EXPIRED".to_owned());
        }
        if waiter
            .is_some_and(|waiter| waiter.asked != asking.asked || waiter.end_ms != asking.end_ms)
        {
            return reused();
        }
        if self.activations.is_empty() {
            return Some("SILENCE NO_ACTIVE_POLICY".to_owned());
        }
        if let Some(latest) = &latest
            && latest.version == self.version()
        {
            return Some(self.replay(latest));
        }
        if let Some(waiter) = waiter
            && asking.freshness == Freshness::Lookup
            && let Some(answer) = self.still_waiting(waiter)
        {
            return Some(answer);
        }
        if let Some(latest) = &latest
            && let Ok(fence) = latest.decided
        {
            self.meet(fence);
        }
        let is_moved = match asking.freshness {
            Freshness::OldVersion => Some("POLICY_MOVED"),
            Freshness::OldTime | Freshness::WrongFacts => Some("FACTS_MOVED"),
            Freshness::Fresh if !self.do_approvals_hold(asking) => Some("FACTS_MOVED"),
            Freshness::Fresh | Freshness::Lookup => None,
        };
        if let Some(reason) = is_moved {
            return Some(self.again(asking, reason));
        }
        if let Some(latest) = latest
            && self.is_final(&latest)
        {
            return Some(self.replay(&latest));
        }
        let is_lookup = asking.freshness == Freshness::Lookup;
        is_lookup.then(|| self.again(asking, "POLICY_MOVED"))
    }

    fn again(&self, asking: &Asking, reason: &str) -> String {
        let replaced = self.replaced(asking.by, asking.key);
        let replaced = replaced.map_or("", |_| ", supersedes");
        let version = self.version();
        format!("evaluate again: {reason} (active v{version}{replaced})")
    }

    pub(super) fn authorize(&mut self, asking: &Asking) -> String {
        let waiter = self.live_waiter(asking.by, asking.key);
        if let Some(answer) = self.undecided(asking, waiter.as_ref()) {
            return answer;
        }
        let Some(surface) = self.surface(asking.asked.surface) else {
            return "rejected: the evaluation does not fit: the bundle does not register the \
                    surface"
                .to_owned();
        };
        if !asking.denies {
            if let Some(reason) = self.stands_still(asking) {
                return format!("SILENCE {reason}");
            }
            self.make_room(surface, asking.asked);
        }
        if let Some(fence) = self.replaced(asking.by, asking.key) {
            self.stated(Some(fence));
            self.notes.push("a permit was superseded");
            self.give_back(fence);
            self.happens(fence, Event::Superseded);
        }
        self.changes = true;
        if asking.denies {
            return self.decided(asking, Err("DENY POLICY codes=TOO_LATE".to_owned()));
        }
        let ticket = waiter.as_ref().map(|waiter| waiter.ticket);
        let refused = self.refused_or_behind(surface, asking.asked, ticket);
        if refused.is_empty() {
            if let Some(waiter) = &waiter {
                self.notes.push(waiter.turn());
            }
            return self.granted(asking, surface);
        }
        let wait_ms = waiter
            .as_ref()
            .map_or(asking.wait_ms, |waiter| Some(waiter.wait_ms));
        match wait_ms {
            Some(wait_ms) if self.now_ms < wait_ms && Self::may_go(&refused, wait_ms) => {
                self.wait(asking, surface, wait_ms, waiter.as_ref(), &refused)
            }
            _ => self.decided(asking, Err(denial(&refused))),
        }
    }

    /// Why nothing is granted, whatever policy says.
    fn stands_still(&self, asking: &Asking) -> Option<&'static str> {
        let surface = asking.asked.surface;
        if self.is_frozen(surface) {
            return Some("FROZEN");
        }
        if self.is_draining(surface) {
            return Some("DRAINING");
        }
        if asking
            .session
            .is_some_and(|session| self.is_closed(session))
        {
            return Some("SESSION_CLOSED");
        }
        let after = asking.after?;
        (!self.is_committed(after)).then_some("PREREQUISITE_NOT_COMMITTED")
    }

    fn granted(&mut self, asking: &Asking, surface: Surface) -> String {
        let fence = self.grants.len() as u64 + 1;
        let spent = self.spend(asking, fence);
        self.grants.push(Grant {
            fence,
            by: asking.by,
            asked: asking.asked,
            surface,
            version: self.version(),
            issued_ms: self.now_ms,
            expires_ms: self.now_ms + surface.life_ms,
            after: asking.after,
            session: asking.session,
            spent,
            story: Vec::new(),
            leaves: Vec::new(),
            is_gone: false,
        });
        self.unlist(asking.asked);
        self.decided(asking, Ok(fence))
    }

    fn decided(&mut self, asking: &Asking, decided: Result<u64, String>) -> String {
        let fence = decided.as_ref().ok().copied();
        let leaf = self.stated(fence);
        self.remember(leaf, asking.asked, asking.end_ms, fence);
        self.leave(asking.by, asking.key);
        self.name_session(asking.session, asking.by);
        let version = self.version();
        let text = match &decided {
            Ok(fence) => format!("PERMIT {}", self.stands(*fence)),
            Err(denial) => denial.clone(),
        };
        self.attempts.push(Attempt {
            by: asking.by,
            key: asking.key,
            asked: asking.asked,
            end_ms: asking.end_ms,
            version,
            decided,
            is_gone: false,
        });
        format!("{text} v{version}")
    }
}

fn denial(refused: &[Refused]) -> String {
    let (reason, retry_ms) = summary(refused);
    let listed: String = refused.iter().map(Refused::said).collect();
    let retry = retry_ms.map(|at_ms| format!(" try again at {}", shown(at_ms)));
    format!("DENY {reason}{listed}{}", retry.unwrap_or_default())
}
