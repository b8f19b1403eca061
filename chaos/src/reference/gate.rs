//! The gate: one state, one operation at a time.

use std::collections::{BTreeMap, VecDeque};

use holdpoint_receipt::merkle::{Frontier, leaf_of};
use holdpoint_receipt::{Digest, sha256};

use crate::history::{Answered, Bound, Event, Op, Outcome, PermitState, Proof, bound_name};

/// When the cluster began.
const BEGAN_MS: u64 = 1_700_000_000_000;
/// Cluster time moves in such steps.
const STEP_MS: u64 = 5;
/// How long a permit lives.
pub(super) const LIFE_MS: u64 = 400;

/// A gate.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) bounds: BTreeMap<String, Bound>,
    pub(super) spaces: BTreeMap<String, Space>,
}

/// One namespace.
#[derive(Debug, Default)]
pub(super) struct Space {
    version: u64,
    fence: u64,
    pub(super) leaves: Vec<Digest>,
    permits: BTreeMap<String, Permit>,
    /// The decision of each attempt, with the policy version and the digest of its request.
    attempts: BTreeMap<(String, String), (Answered, u64)>,
    by_key: BTreeMap<String, Vec<String>>,
    /// Issued permits by the time at which they expire.
    expiring: VecDeque<(u64, String)>,
}

#[derive(Debug)]
struct Permit {
    state: PermitState,
    version: u64,
    amount: u64,
    issued_at_ms: u64,
    expires_at_ms: u64,
    /// The redemption id and its statement.
    redemption: Option<(String, Proof)>,
    ended: Option<Proof>,
}

/// Cluster time at a time of the history's clock.
pub(super) fn cluster_ms(now_us: u64) -> u64 {
    let ms = BEGAN_MS.saturating_add(now_us / 1_000);
    ms.saturating_sub(ms % STEP_MS)
}

fn refused(reason: &str) -> Answered {
    Answered::Refused {
        reason: reason.to_owned(),
    }
}

impl Gate {
    /// What the gate answers to `asked` if it takes effect at `now_us`.
    pub(super) fn take(&mut self, asked: &Event, now_us: u64) -> Answered {
        let at_ms = cluster_ms(now_us);
        let key = asked.key.as_deref().unwrap_or_default();
        let bound = self.bounds.get(bound_name(key)).copied();
        let bound = bound.unwrap_or(Bound::Exclusive {});
        let space = self.spaces.entry(asked.namespace.clone()).or_default();
        space.expire(key, at_ms);
        match asked.op {
            Op::Authorize => space.authorize(asked, &bound, at_ms),
            Op::Redeem => space.redeem(asked, at_ms),
            Op::Complete => space.complete(asked, at_ms),
            Op::Revoke => space.revoke(asked, at_ms),
            Op::Activate => {
                space.version = space.version.saturating_add(1);
                Answered::Done {
                    version: Some(space.version),
                    receipt: Some(space.state(&asked.namespace, "activated", at_ms)),
                }
            }
            Op::Read => space.read(asked),
        }
    }
}

impl Space {
    /// Appends a statement.
    fn state(&mut self, namespace: &str, what: &str, at_ms: u64) -> Proof {
        let leaf = self.leaves.len() as u64;
        let hash = sha256(format!("{namespace} {leaf} {what} {at_ms}").as_bytes());
        self.leaves.push(hash);
        Proof {
            leaf,
            hash: hash.to_string(),
            at_ms,
            verifies: true,
        }
    }

    /// The head of the log's first leaves.
    pub(super) fn head(&self, size: usize) -> Answered {
        let mut tree = Frontier::new();
        for hash in self.leaves.iter().take(size) {
            if tree.append(leaf_of(hash)).is_err() {
                break;
            }
        }
        Answered::Head {
            size: tree.size(),
            root: tree.root().to_string(),
        }
    }

    /// Lets go what has expired, and forgets who no longer counts for a key.
    fn expire(&mut self, key: &str, at_ms: u64) {
        // All live equally long, so the oldest expires first.
        while let Some((expires_at_ms, id)) = self.expiring.front()
            && *expires_at_ms <= at_ms
        {
            if let Some(permit) = self.permits.get_mut(id)
                && permit.state == PermitState::Issued
            {
                permit.state = PermitState::Expired;
            }
            self.expiring.pop_front();
        }
        let permits = &self.permits;
        if let Some(ids) = self.by_key.get_mut(key) {
            ids.retain(|id| {
                permits.get(id).is_some_and(|permit| {
                    matches!(
                        permit.state,
                        PermitState::Issued | PermitState::Redeemed | PermitState::Committed
                    )
                })
            });
        }
    }

    fn authorize(&mut self, asked: &Event, bound: &Bound, at_ms: u64) -> Answered {
        let name = (asked.client.clone(), asked.idem.clone().unwrap_or_default());
        if let Some((decision, version)) = self.attempts.get(&name) {
            let id = match decision {
                Answered::Permit { permit, .. } => permit.clone(),
                _ => String::new(),
            };
            let state = self.permits.get(&id).map(|permit| permit.state);
            let stands = *version == self.version
                || matches!(
                    state,
                    Some(PermitState::Redeemed | PermitState::Committed | PermitState::Revoked)
                );
            if stands {
                return decision.clone();
            }
            if let Some(permit) = self.permits.get_mut(&id)
                && permit.state == PermitState::Issued
            {
                permit.state = PermitState::Superseded;
            }
        }
        let amount = asked.amount.unwrap_or(1);
        let key = asked.key.clone().unwrap_or_default();
        let decision = match self.refuses(&key, bound, amount, at_ms) {
            Some(reason) => Answered::Deny {
                reason: reason.to_owned(),
                version: self.version,
                receipt: Some(self.state(&asked.namespace, reason, at_ms)),
            },
            None => self.grant(&asked.namespace, key, amount, at_ms),
        };
        self.attempts.insert(name, (decision.clone(), self.version));
        decision
    }

    /// Why a claim does not fit.
    fn refuses(&self, key: &str, bound: &Bound, amount: u64, at_ms: u64) -> Option<&'static str> {
        let ids = self.by_key.get(key);
        let holders = || {
            ids.into_iter()
                .flatten()
                .filter_map(|id| self.permits.get(id))
        };
        let is_live =
            |one: &&Permit| matches!(one.state, PermitState::Issued | PermitState::Redeemed);
        let live = holders().filter(is_live).count() as u64;
        match bound {
            Bound::Exclusive {} => (live > 0).then_some("BOUND_HELD"),
            Bound::Once {} => {
                let is_committed = holders().any(|one| one.state == PermitState::Committed);
                let held = (live > 0).then_some("BOUND_HELD");
                is_committed.then_some("ALREADY_COMMITTED").or(held)
            }
            Bound::Capacity { limit } => (live >= *limit).then_some("BOUND_EXHAUSTED"),
            Bound::Budget { limit, window_ms } => {
                let window = |at_ms: u64| at_ms.checked_div(*window_ms);
                let charged: u64 = holders()
                    .filter(|one| is_live(one) || one.state == PermitState::Committed)
                    .filter(|one| window(one.issued_at_ms) == window(at_ms))
                    .map(|one| one.amount)
                    .sum();
                (charged.saturating_add(amount) > *limit).then_some("BOUND_EXHAUSTED")
            }
        }
    }

    fn grant(&mut self, namespace: &str, key: String, amount: u64, at_ms: u64) -> Answered {
        self.fence = self.fence.saturating_add(1);
        let id = format!("pmt_{namespace}_{:06}", self.fence);
        let proof = self.state(namespace, &id, at_ms);
        let permit = Permit {
            state: PermitState::Issued,
            version: self.version,
            amount,
            issued_at_ms: at_ms,
            expires_at_ms: at_ms.saturating_add(LIFE_MS),
            redemption: None,
            ended: None,
        };
        let decision = Answered::Permit {
            permit: id.clone(),
            fence: self.fence,
            issued_at_ms: at_ms,
            expires_at_ms: permit.expires_at_ms,
            version: self.version,
            receipt: Some(proof),
        };
        self.by_key.entry(key).or_default().push(id.clone());
        self.expiring.push_back((permit.expires_at_ms, id.clone()));
        self.permits.insert(id, permit);
        decision
    }

    fn redeem(&mut self, asked: &Event, at_ms: u64) -> Answered {
        let version = self.version;
        let id = asked.permit.clone().unwrap_or_default();
        let Some(permit) = self.permits.get(&id) else {
            return refused("UNKNOWN_PERMIT");
        };
        let idem = asked.idem.clone().unwrap_or_default();
        match (&permit.redemption, permit.state) {
            (Some((first, proof)), _) if *first == idem => Answered::Done {
                version: None,
                receipt: Some(proof.clone()),
            },
            (Some(_), _) => refused("ALREADY_REDEEMED"),
            (None, PermitState::Expired) => refused("EXPIRED"),
            (None, PermitState::Revoked) => refused("REVOKED"),
            (None, PermitState::Superseded) => refused("SUPERSEDED"),
            (None, _) if permit.version != version => refused("STALE_POLICY"),
            (None, _) => {
                let proof = self.state(&asked.namespace, &format!("redeemed {id}"), at_ms);
                if let Some(permit) = self.permits.get_mut(&id) {
                    permit.state = PermitState::Redeemed;
                    permit.redemption = Some((idem, proof.clone()));
                }
                Answered::Done {
                    version: None,
                    receipt: Some(proof),
                }
            }
        }
    }

    fn complete(&mut self, asked: &Event, at_ms: u64) -> Answered {
        let id = asked.permit.clone().unwrap_or_default();
        let state = match asked.outcome {
            Some(Outcome::Committed) => PermitState::Committed,
            _ => PermitState::Aborted,
        };
        let Some(permit) = self.permits.get(&id) else {
            return refused("UNKNOWN_PERMIT");
        };
        match permit.state {
            PermitState::Redeemed => self.end(asked, &id, state, at_ms),
            now if now == state => Answered::Done {
                version: None,
                receipt: permit.ended.clone(),
            },
            PermitState::Committed | PermitState::Aborted => refused("OUTCOME_CONFLICT"),
            PermitState::Issued => refused("NOT_REDEEMED"),
            PermitState::Expired => refused("EXPIRED"),
            PermitState::Revoked => refused("REVOKED"),
            PermitState::Superseded => refused("SUPERSEDED"),
        }
    }

    fn revoke(&mut self, asked: &Event, at_ms: u64) -> Answered {
        let id = asked.permit.clone().unwrap_or_default();
        let Some(permit) = self.permits.get(&id) else {
            return refused("UNKNOWN_PERMIT");
        };
        match permit.state {
            PermitState::Issued => self.end(asked, &id, PermitState::Revoked, at_ms),
            PermitState::Revoked => Answered::Done {
                version: None,
                receipt: permit.ended.clone(),
            },
            PermitState::Redeemed => refused("ALREADY_REDEEMED"),
            PermitState::Committed | PermitState::Aborted => refused("NOT_ALLOWED"),
            PermitState::Expired => refused("EXPIRED"),
            PermitState::Superseded => refused("SUPERSEDED"),
        }
    }

    fn end(&mut self, asked: &Event, id: &str, state: PermitState, at_ms: u64) -> Answered {
        let proof = self.state(&asked.namespace, &format!("{state:?} {id}"), at_ms);
        if let Some(permit) = self.permits.get_mut(id) {
            permit.state = state;
            permit.ended = Some(proof.clone());
        }
        Answered::Done {
            version: None,
            receipt: Some(proof),
        }
    }

    fn read(&self, asked: &Event) -> Answered {
        if let Some(leaf) = asked.leaf {
            let hash = usize::try_from(leaf)
                .ok()
                .and_then(|leaf| self.leaves.get(leaf));
            return hash.map_or(Answered::Absent {}, |hash| Answered::Leaf {
                leaf,
                hash: hash.to_string(),
            });
        }
        let Some(id) = &asked.permit else {
            return Answered::Version {
                version: self.version,
            };
        };
        let permit = self.permits.get(id);
        permit.map_or(Answered::Absent {}, |permit| Answered::State {
            state: permit.state,
        })
    }
}
