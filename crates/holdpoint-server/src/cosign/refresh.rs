//! Keeps the newest proven head near the end of the log also while nobody asks for a receipt: for
//! witnesses, followers, and snapshots, which wait for it.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::heads::ProvenHeads;
use super::prover::Want;

/// How long a log grows before its head is proven without anybody waiting for it.
const GATHER: Duration = Duration::from_millis(300);

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Wants the newest head of each namespace proven, again and again, until the node stops.
pub(crate) async fn run(
    mut applied: watch::Receiver<holdpoint_raft::Applied>,
    heads: ProvenHeads,
    wants: mpsc::Sender<Want>,
) {
    loop {
        sleep(GATHER).await;
        let sizes = applied.borrow_and_update().tree_sizes.clone();
        let mut is_proven = true;
        for (namespace, size) in sizes {
            if size == 0 || heads.covering(&namespace, size).is_some() {
                continue;
            }
            let (reply, answer) = oneshot::channel();
            let want = Want::Cover {
                namespace,
                size,
                reply,
            };
            if wants.send(want).await.is_err() {
                return;
            }
            is_proven &= matches!(timeout(ATTEMPT, answer).await, Ok(Ok(Ok(_))));
        }
        // What is not proven is wanted again a little later, whether the log grows or not.
        if is_proven && applied.changed().await.is_err() {
            return;
        }
    }
}
