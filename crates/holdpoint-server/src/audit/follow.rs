//! The way along the log: what was applied since the last look, batch after batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_policy::EVALUATOR_VERSION;
use holdpoint_raft::{Group, GroupMembership, MemberPlace};
use holdpoint_receipt::Name;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use super::again::look_at_fresh;
use super::batch::{Asked, Found, Looked, look};
use super::findings::{Audit, Counts, Duty};
use super::fresh::{Next, Run};
use crate::evaluate::Engine;
use crate::gate::Gate;
use crate::limits::AUDIT_BATCH_MAX;
use crate::policies::Policies;

/// How long entries gather before they are looked at: a batch wakes the thread once.
const GATHER: Duration = Duration::from_millis(20);

/// Follows the log for as long as the group lives. Begins with what is applied after the node's start.
pub(super) async fn run(gate: &Gate, found: Sender<Found>) {
    let mut applied = gate.group().applied();
    let mut walk = Walk {
        gate,
        policies: Arc::default(),
        next: applied.borrow().tree_sizes.clone(),
        own_term: None,
        meets_foreign: false,
    };
    loop {
        let sizes = applied.borrow_and_update().tree_sizes.clone();
        let leads = gate.group().leadership().borrow().leads();
        walk.own_term = leads.or(walk.own_term);
        let is_done = match gate.audit_duty() {
            Duty::On => {
                gate.audit().set_audits(true);
                walk.round(&sizes, &found).await
            }
            Duty::Off | Duty::Alone | Duty::NoVote => {
                gate.audit().set_audits(false);
                walk.next = sizes;
                true
            }
            // Nothing is passed over before it is known whose decisions these are.
            Duty::Unknown => true,
        };
        if is_done {
            if applied.changed().await.is_err() {
                return;
            }
            sleep(GATHER).await;
        }
    }
}

impl Gate {
    /// Whether this node audits the verdicts of leaders.
    pub(crate) fn audit_duty(&self) -> Duty {
        duty(self.audit(), &self.group().membership().borrow())
    }
}

fn duty(audit: &Audit, membership: &GroupMembership) -> Duty {
    if !audit.is_wanted() {
        return Duty::Off;
    }
    match membership.own {
        MemberPlace::Outside => Duty::Unknown,
        MemberPlace::Learner | MemberPlace::Removed => Duty::NoVote,
        MemberPlace::Voter if membership.voters.len() < 2 => Duty::Alone,
        MemberPlace::Voter => Duty::On,
    }
}

/// How far this node has looked.
struct Walk<'a> {
    gate: &'a Gate,
    policies: Arc<Policies>,
    /// The first leaf of each namespace that was not looked at.
    next: BTreeMap<Name, u64>,
    /// The last term in which this node led.
    own_term: Option<u64>,
    /// Whether the last decisions were another evaluator's.
    meets_foreign: bool,
}

impl Walk<'_> {
    /// A batch of each namespace. Says whether nothing is left.
    async fn round(&mut self, sizes: &BTreeMap<Name, u64>, found: &Sender<Found>) -> bool {
        let mut is_done = true;
        for (namespace, size) in sizes {
            let from = self.next.get(namespace).copied().unwrap_or(0);
            if from >= *size {
                continue;
            }
            let fresh = self.gate.audit().fresh();
            let looked = match fresh.next(namespace, from, *size, self.own_term) {
                Next::Fresh { runs, to } => self.look_at_fresh(namespace, from, runs, to).await,
                Next::Stored { to } => {
                    let asked = Asked {
                        namespace: namespace.clone(),
                        from,
                        to,
                        own_term: self.own_term,
                    };
                    self.look(asked).await
                }
            };
            assert!(looked.next > from, "each look gets on");
            is_done &= looked.next >= *size;
            self.gate.audit().looked(looked.counts);
            self.tell_foreign(looked.counts);
            for disputed in looked.found {
                alarm(self.gate, &disputed);
                // While so many are being told, nothing else is looked at.
                if found.send(disputed).await.is_err() {
                    return true;
                }
            }
            self.next.insert(namespace.clone(), looked.next);
            self.gate.audit().reached(namespace, looked.next);
        }
        is_done
    }

    /// Says when decisions of another version of the evaluator begin: usual while nodes are upgraded, and
    /// otherwise a leader's way past the audit.
    fn tell_foreign(&mut self, counts: Counts) {
        if counts.foreign > 0 && !self.meets_foreign {
            tracing::warn!(
                own = EVALUATOR_VERSION,
                "the leader's decisions name another version of the evaluator, and are not audited; if \
                 no upgrade is under way, somebody evades the audit"
            );
        }
        if counts.foreign > 0 || counts.checked > 0 {
            self.meets_foreign = counts.foreign > 0;
        }
    }

    async fn look(&self, asked: Asked) -> Looked {
        let to = asked.to.min(asked.from.saturating_add(AUDIT_BATCH_MAX));
        let (from, namespace) = (asked.from, asked.namespace.clone());
        let work = move |group: &Group, engine: Engine<'_>| look(group, engine, &asked);
        self.run(&namespace, (from, to), work).await
    }

    async fn look_at_fresh(&self, namespace: &Name, from: u64, runs: Vec<Run>, to: u64) -> Looked {
        if runs.is_empty() {
            return nothing(to);
        }
        let name = namespace.clone();
        let work = move |group: &Group, engine: Engine<'_>| {
            look_at_fresh(group, engine, &name, (&runs, to))
        };
        self.run(namespace, (from, to), work).await
    }

    /// Looks at the leaves of `from` and before `to` on the thread of the audit.
    async fn run(
        &self,
        namespace: &Name,
        (from, to): (u64, u64),
        look: impl FnOnce(&Group, Engine<'_>) -> Looked + Send + 'static,
    ) -> Looked {
        let Some(thread) = self.gate.audit().thread() else {
            return nothing(to);
        };
        let (group, policies) = (self.gate.group().clone(), Arc::clone(&self.policies));
        let evaluator = Arc::clone(self.gate.evaluator());
        let work = move || {
            let engine = Engine {
                policies: &policies,
                evaluator: &*evaluator,
            };
            look(&group, engine)
        };
        let looked = thread.run(work).await;
        looked.unwrap_or_else(|error| {
            tracing::error!(%namespace, from, %error, "these leaves were not audited");
            let counts = Counts {
                skipped: to.saturating_sub(from),
                ..Counts::default()
            };
            Looked {
                counts,
                ..nothing(to)
            }
        })
    }
}

/// Nothing was to be looked at before `next`.
fn nothing(next: u64) -> Looked {
    Looked {
        next,
        counts: Counts::default(),
        found: Vec::new(),
    }
}

/// Says that a decision is wrong, once.
fn alarm(gate: &Gate, found: &Found) {
    gate.audit().disagreed();
    let Found {
        namespace,
        leaf,
        term,
        surface,
        disagreement,
    } = found;
    tracing::error!(
        %namespace, leaf, term, %surface, %disagreement,
        "ALARM: the leader of this term decided otherwise than this node evaluates; the decision is \
         disputed, its surface will be frozen"
    );
}
