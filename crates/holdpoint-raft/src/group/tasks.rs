//! The tasks behind a group, from its start to its end.

use std::future::Future;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use holdpoint_core::command::Bootstrap;
use holdpoint_storage::StoreError;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};
use tokio::sync::watch;

use super::Inner;
use crate::batcher::{self, Batcher};
use crate::clock::Clock;
use crate::clocks::Asker;
use crate::error::GroupFault;
use crate::greeting::{Greeter, Joined};
use crate::leadership;
use crate::membership::{GroupMembership, MemberPlace};
use crate::net::Net;
use crate::proof::ProofDoor;
use crate::reads::{self, Confirmer};
use crate::state_machine::Progress;
use crate::term::Ground;
use crate::types::Raft;

/// What only the tasks need.
pub(super) struct Parts {
    pub(super) net: Arc<dyn Net>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) greeter: Greeter,
    pub(super) queued: batcher::Queued,
    pub(super) reads_queued:
        tokio::sync::mpsc::Receiver<tokio::sync::oneshot::Sender<reads::Answer>>,
    pub(super) bootstrap: Bootstrap,
    pub(super) clock_period: Duration,
}

impl Inner {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(task);
    }

    pub(super) fn spawn_tasks(&self, parts: Parts) {
        let Parts {
            net,
            clock,
            greeter,
            queued,
            reads_queued,
            bootstrap,
            clock_period,
        } = parts;
        let raft = self.raft.clone();
        self.watch_for_faults();
        self.spawn(join(
            greeter,
            raft.clone(),
            Arc::clone(&self.joined),
            Arc::clone(&self.fault),
        ));
        let (peers, told) = (Arc::clone(&self.peers), Arc::clone(&self.leadership));
        self.spawn(leadership::follow(raft.clone(), peers.clone(), told));
        let asker = Asker {
            peers,
            net,
            clock,
            timekeeper: Arc::clone(&self.timekeeper),
            period: clock_period,
        };
        self.spawn(asker.run(raft.clone(), self.leadership.subscribe()));
        let group = self.peers.local().group;
        let ground = Ground {
            group,
            state: Arc::clone(&self.state),
            timekeeper: Arc::clone(&self.timekeeper),
            bootstrap,
            progress: Arc::clone(&self.progress),
        };
        let leadership = self.leadership.subscribe();
        self.spawn(
            Batcher {
                raft: raft.clone(),
                group,
                ground,
                leadership,
                queued,
            }
            .run(),
        );
        let leadership = self.leadership.subscribe();
        self.spawn(
            Confirmer {
                raft: raft.clone(),
                leadership,
                queued: reads_queued,
            }
            .run(),
        );
        self.spawn(Arc::clone(&self.changer).finish_what_was_begun());
        self.spawn(rest_once_removed(raft.clone(), self.peers.membership()));
        let (progress, door) = (Arc::clone(&self.progress), Arc::clone(&self.door));
        self.spawn(snapshot_in_time(raft, progress, door));
    }

    /// Reports the first fault of the store, and openraft's own end.
    fn watch_for_faults(&self) {
        let fault = Arc::clone(&self.fault);
        // The latch keeps its watchers, so this must not hold the store that holds the latch.
        self.state.faults().watch(move |first| {
            let first = Arc::clone(first);
            report(&fault, GroupFault::Store(StoreError::Poisoned { first }));
        });
        let (fault, raft) = (Arc::clone(&self.fault), self.raft.clone());
        self.spawn(async move {
            let mut metrics = raft.metrics();
            loop {
                let running = metrics.borrow_and_update().running_state.clone();
                if let Err(fatal) = running {
                    if !matches!(fatal, openraft::errors::Fatal::Stopped) {
                        report(&fault, GroupFault::Stopped(fatal.to_string()));
                    }
                    return;
                }
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Keeps the first fault.
fn report(told: &watch::Sender<Option<Arc<GroupFault>>>, fault: GroupFault) {
    told.send_if_modified(|first| {
        let is_first = first.is_none();
        if is_first {
            tracing::error!(%fault, "the group stops");
            *first = Some(Arc::new(fault));
        }
        is_first
    });
}

/// Joins the group, then goes on asking whom this node could not reach.
async fn join(
    greeter: Greeter,
    raft: Raft,
    joined: Arc<OnceLock<Raft>>,
    fault: Arc<watch::Sender<Option<Arc<GroupFault>>>>,
) {
    let taking_part = match greeter.join().await {
        Ok(taking_part) => taking_part,
        Err(refused) => return report(&fault, refused),
    };
    raft.run();
    if let Joined::Found(members) = taking_part {
        tracing::info!(voters = ?members.keys(), "founding the group");
        match raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(error) => return report(&fault, GroupFault::Stopped(error.to_string())),
        }
    }
    // From here on, frames of peers reach openraft.
    let _ = joined.set(raft);
    if let Err(refused) = greeter.greet_until_all_answered().await {
        report(&fault, refused);
    }
}

/// Keeps a node that was removed from asking for votes. Its own log may never say that it was.
async fn rest_once_removed(raft: Raft, mut membership: watch::Receiver<GroupMembership>) {
    let is_removed = |told: &GroupMembership| told.own == MemberPlace::Removed;
    if membership.wait_for(is_removed).await.is_ok() {
        raft.runtime_config().elect(false);
        tracing::error!(
            "this node was removed from the group, for ever: it takes no part any more"
        );
    }
}

/// Asks for a snapshot when enough bytes were applied, or when one that waited is proven; openraft
/// itself counts entries.
async fn snapshot_in_time(raft: Raft, progress: Arc<Progress>, door: Arc<ProofDoor>) {
    loop {
        tokio::select! {
            () = progress.snapshot_due.notified() => {}
            () = door.until_proven() => {}
        }
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}
