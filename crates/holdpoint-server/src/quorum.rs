//! Whether a majority still confirms that this node leads: asked again and again while it does.
//!
//! What health and status rest on. No decision does: each proposal and each read has its own proof.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdpoint_raft::Group;

/// How long a majority may take to confirm.
const CONFIRM: Duration = Duration::from_secs(1);

/// How long to wait between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// The last answer.
#[derive(Debug, Default)]
pub(crate) struct Quorum(AtomicBool);

impl Quorum {
    /// Whether the last question was answered by a majority.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks while this node leads, until the group has stopped.
    pub(crate) async fn watch(&self, group: &Group) {
        let mut leadership = group.leadership();
        loop {
            let known = leadership
                .wait_for(|now| now.leads().is_some() || !self.is_unset())
                .await;
            let Ok(leads) = known.map(|now| now.leads().is_some()) else {
                return self.set(false);
            };
            let is_confirmed = leads && group.read_index(CONFIRM).await.is_ok();
            self.set(is_confirmed);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether there is nothing to take back.
    fn is_unset(&self) -> bool {
        !self.is_confirmed()
    }

    fn set(&self, is_confirmed: bool) {
        if self.0.swap(is_confirmed, Ordering::Relaxed) != is_confirmed {
            tracing::info!(is_confirmed, "a majority confirms that this node leads");
        }
    }
}
