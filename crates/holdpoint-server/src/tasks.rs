//! The long-lived tasks of a node, and what ends them.

use std::future::Future;
use std::sync::Arc;

use holdpoint_raft::{Clock, serve_peers};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::error::RunError;
use crate::gate::Gate;
use crate::node::Beside;
use crate::stop::Stop;
use crate::{audit, housekeeping, neighbours, recognition, transport, witnesses};

/// What the tasks listen on.
pub(crate) struct Listeners {
    /// For clients.
    pub(crate) client: TcpListener,
    /// For the other nodes.
    pub(crate) peer: TcpListener,
}

/// Starts every task. Each ends with `stop`; the listeners then finish what is in flight, until
/// `cut`. One that ends before is a fault, which it returns.
pub(crate) fn spawn(
    gate: &Arc<Gate>,
    beside: Beside,
    clock: Arc<dyn Clock>,
    listeners: Listeners,
    (stop, cut): (&Stop, Stop),
) -> JoinSet<RunError> {
    let mut tasks = JoinSet::new();
    let clients = transport::serve(listeners.client, Arc::clone(gate), stop.clone(), cut);
    tasks.spawn(async move {
        clients
            .await
            .map_or_else(RunError::from, |()| RunError::Task("the client listener"))
    });
    let peers = serve_peers(listeners.peer, gate.group().peer_handler(), stopped(stop));
    tasks.spawn(async move {
        peers
            .await
            .map_or_else(RunError::from, |()| RunError::Task("the peer listener"))
    });
    let watched = Arc::clone(gate);
    tasks.spawn(until(stop, async move {
        watched.watch_quorum().await;
        RunError::Task("the quorum watch")
    }));
    let announcing = neighbours::run(Arc::clone(gate), gate.reads().clone(), clock);
    tasks.spawn(until(stop, async move {
        announcing.await;
        RunError::Task("the neighbour watch")
    }));
    let keeping = housekeeping::run(Arc::clone(gate));
    tasks.spawn(until(stop, async move {
        keeping.await;
        RunError::Task("housekeeping")
    }));
    let witnessing = witnesses::run(Arc::clone(gate));
    tasks.spawn(until(stop, async move {
        witnessing.await;
        RunError::Task("the task that asks witnesses")
    }));
    let Beside { proving, disputed } = beside;
    let auditing = audit::run(Arc::clone(gate), disputed);
    tasks.spawn(until(stop, async move {
        auditing.await;
        RunError::Task("the audit of verdicts")
    }));
    tasks.spawn(until(stop, async move {
        proving.run().await;
        RunError::Task("proving")
    }));
    let refused = recognition::refused(Arc::clone(gate));
    tasks.spawn(until(stop, async move { RunError::from(refused.await) }));
    tasks
}

fn stopped(stop: &Stop) -> impl Future<Output = ()> + Send + use<> {
    let mut stop = stop.clone();
    async move { stop.stopped().await }
}

/// Does `work` until the node stops. Nothing it does needs an end.
fn until<W: Future<Output = RunError> + Send>(
    stop: &Stop,
    work: W,
) -> impl Future<Output = RunError> + Send + use<W> {
    let stopped = stopped(stop);
    async move {
        tokio::select! {
            ended = work => ended,
            () = stopped => RunError::Task("a task that ends with the node"),
        }
    }
}
