//! The composition root: one node with everything that it is made of, from start to stop.
//!
//! ```text
//! home (identity, stores, keys) ─▶ group (raft) ─▶ cosigner ─▶ gate ─▶ client listener
//!                                     ▲                        ▲
//!                               peer listener            quorum, neighbours
//! ```
//!
//! Stopping goes the other way and every step of it is bounded: nothing new is admitted, what is
//! admitted gets its answer, leadership is handed over, the state is flushed.

mod parts;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use holdpoint_raft::{Clock, Group, Leadership, SystemClock, TonicNet};
use holdpoint_receipt::NodeId;
use holdpoint_storage::Owner;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::config::ClusterFile;
use crate::error::RunError;
use crate::evaluate::{ByPolicy, Evaluator};
use crate::events::{Event, Events, Listener};
use crate::gate::Gate;
use crate::home::is_released;
use crate::key_files::KeySealing;
use crate::limits::{CLOSE, DRAIN, RELEASE};
use crate::recognition;
use crate::stop::{StopSender, stop};
use crate::tasks::{self, Listeners};

pub(crate) use parts::Beside;
use parts::{build_gate, group_spec, open_home};

/// How often a state that is about to come is looked for.
const POLL: Duration = Duration::from_millis(10);

/// What a node is started with.
#[derive(Debug)]
pub struct NodeOptions {
    /// The cluster.
    pub cluster: ClusterFile,
    /// Which of its nodes this is.
    pub node: NodeId,
    /// Whether the cluster is a single node for development, which every receipt then says.
    pub is_dev: bool,
    /// What its keys are encrypted under in its data directory, if they are.
    pub sealing: Option<KeySealing>,
    /// Listens for clients, at the address of the cluster file.
    pub client: TcpListener,
    /// Listens for the other nodes.
    pub peer: TcpListener,
    /// The node's clocks: those of the machine, unless a test has others.
    pub clock: Arc<dyn Clock>,
    /// Asks the policies: [`ByPolicy`], unless a test has one that lies.
    pub evaluator: Arc<dyn Evaluator>,
}

impl NodeOptions {
    /// Listens on the addresses that the cluster file has for `node`. Its keys are plain, whatever the
    /// file says; [`SealingFile::read`](crate::key_files::SealingFile::read) gives what they may be
    /// encrypted under.
    ///
    /// # Errors
    ///
    /// The file does not list the node, or an address is taken.
    pub async fn listen(cluster: ClusterFile, node: NodeId) -> Result<Self, RunError> {
        let entry = cluster.node(node)?;
        let client = listen(entry.client).await?;
        let peer = listen(entry.peer).await?;
        Ok(Self {
            cluster,
            node,
            is_dev: false,
            sealing: None,
            client,
            peer,
            clock: Arc::new(SystemClock::new()),
            evaluator: Arc::new(ByPolicy),
        })
    }
}

/// Listens on `address`.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, RunError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| RunError::Listen { address, source })
}

/// A node that runs. Dropping it stops it without ceremony, as a crash would.
pub struct Node {
    gate: Arc<Gate>,
    client: SocketAddr,
    events: Events,
    started: Instant,
    stop: StopSender,
    cut: StopSender,
    /// Each ends with what ended it.
    tasks: JoinSet<RunError>,
    root: PathBuf,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node. It takes part and answers clients when this returns; whether it can decide is
    /// for its group to say.
    ///
    /// # Errors
    ///
    /// [`RunError`]; nothing runs then.
    pub async fn start(options: NodeOptions, listener: Listener) -> Result<Self, RunError> {
        let (started, events) = (Instant::now(), Events::new(listener));
        let NodeOptions {
            cluster,
            node,
            is_dev,
            sealing,
            client,
            peer,
            clock,
            evaluator,
        } = options;
        let entry = cluster.node(node)?.clone();
        let home = open_home(
            &entry,
            Owner {
                cluster: cluster.cluster,
                node,
            },
            sealing,
        )
        .await?;
        events.tell(Event::Opened {
            cluster: cluster.cluster,
            node,
            data_dir: home.root.clone(),
            is_new: home.is_new,
        });
        let root = home.root.clone();
        let spec = group_spec(&cluster, &entry, &home, is_dev);
        let net = Arc::new(TonicNet::new());
        let (log_store, state_store) = (Arc::clone(&home.log), Arc::clone(&home.state));
        let group = Group::start(spec, net, Arc::clone(&clock), log_store, state_store).await?;
        let (gate, beside) =
            build_gate(&cluster, group.clone(), home, Arc::clone(&clock), evaluator)?;
        // What was committed is applied by now, so most of what can be wrong is seen here.
        if let Err(refused) = recognition::recognise(&group, gate.own()) {
            group.shutdown().await;
            drop((gate, beside, group));
            released(&root).await;
            return Err(refused.into());
        }
        let gate = Arc::new(gate);
        let told = (address(&client, entry.client), address(&peer, entry.peer));
        let ((stop_sender, stopped), (cut_sender, cut)) = (stop(), stop());
        let tasks = tasks::spawn(
            &gate,
            beside,
            clock,
            Listeners { client, peer },
            (&stopped, cut),
        );
        events.tell(Event::Listening {
            client: told.0,
            peer: told.1,
        });
        Ok(Self {
            gate,
            client: told.0,
            events,
            started,
            stop: stop_sender,
            cut: cut_sender,
            tasks,
            root,
        })
    }

    /// Where clients are answered.
    #[must_use]
    pub fn client_address(&self) -> SocketAddr {
        self.client
    }

    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    pub(crate) fn tell(&self, event: Event) {
        self.events.tell(event);
    }

    /// Waits until this node can decide and prove, or knows who can.
    pub async fn ready(&self) {
        let mut leadership = self.gate.group().leadership();
        loop {
            let known = leadership.wait_for(|now| *now != Leadership::Unknown).await;
            let Ok(leads) = known.map(|known| known.leads().is_some()) else {
                // The group has stopped; whoever waits for its fault learns why.
                return std::future::pending().await;
            };
            if !leads || self.gate.can_prove().await {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        let status = self.gate.group().status();
        if let Some(leader) = status
            .leader
            .and_then(|leader| NodeId::new(leader.node).ok())
        {
            let is_self = leader.get() == status.node;
            self.tell(Event::LeaderKnown {
                leader,
                is_self,
                term: status.term,
            });
        }
    }

    /// Says that the node is ready, and since when it was starting.
    pub(crate) fn tell_ready(&self) {
        self.tell(Event::Ready {
            after: self.started.elapsed(),
        });
    }

    /// Resolves when the node cannot go on, with the cause. Nothing is flushed then: the disk may be
    /// what failed.
    pub async fn failed(&mut self) -> RunError {
        let fault = self.gate.group().fault();
        tokio::select! {
            fault = fault => RunError::Fault(fault),
            ended = self.tasks.join_next() => match ended {
                Some(Ok(error)) => error,
                Some(Err(_)) => RunError::Task("a task panicked"),
                None => RunError::Task("nothing runs"),
            },
        }
    }

    /// Stops in good order: admits nothing, answers what waits, hands leadership over, flushes.
    ///
    /// Bounded: whatever does not end in its time is cut off.
    pub async fn stop(mut self, cause: &str) {
        self.tell(Event::Stopping {
            cause: cause.to_owned(),
        });
        self.gate.close();
        if timeout(DRAIN, self.gate.drained()).await.is_err() {
            tracing::warn!(
                "requests were still waiting when the node stopped; they may be decided"
            );
        }
        self.gate.group().shutdown().await;
        self.stop.stop();
        let closed = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(CLOSE, closed).await.is_err() {
            tracing::debug!("clients kept their connections open; they are cut off");
        }
        self.cut.stop();
        self.tasks.shutdown().await;
        let Self {
            gate, events, root, ..
        } = self;
        drop(gate);
        released(&root).await;
        events.tell(Event::Stopped);
    }

    /// Lets go of everything without flushing anything, for a moment at most: a database that is still
    /// at work when the process exits would abort it.
    async fn abandon(self, error: RunError) -> RunError {
        let Self {
            gate,
            cut,
            mut tasks,
            root,
            ..
        } = self;
        cut.stop();
        tasks.shutdown().await;
        drop(gate);
        released(&root).await;
        error
    }

    /// Prepares, then runs until `stopped` or until the node cannot go on.
    pub(crate) async fn run(
        mut self,
        prepare: impl AsyncFnOnce(&Self) -> Result<(), RunError>,
        stopped: impl Future<Output = ()>,
    ) -> Result<(), RunError> {
        tokio::pin!(stopped);
        let prepared = {
            let gate = Arc::clone(&self.gate);
            tokio::select! {
                prepared = prepare(&self) => prepared.map(|()| true),
                () = &mut stopped => Ok(false),
                fault = gate.group().fault() => Err(RunError::Fault(fault)),
                refused = recognition::refused(Arc::clone(&gate)) => Err(refused.into()),
                () = gate.removed() => Err(RunError::Removed {
                    node: gate.own().node,
                    data_dir: gate.own().root.clone(),
                }),
            }
        };
        let is_prepared = match prepared {
            Ok(is_prepared) => is_prepared,
            Err(error) => return Err(self.abandon(error).await),
        };
        let mut cause = "told to stop".to_owned();
        if is_prepared {
            self.tell_ready();
            let gate = Arc::clone(&self.gate);
            tokio::select! {
                () = &mut stopped => (),
                () = gate.removed() => cause = removed(gate.own().node),
                error = self.failed() => return Err(self.abandon(error).await),
            }
        }
        self.stop(&cause).await;
        Ok(())
    }
}

/// Why a node stops that the cluster has taken out.
fn removed(node: NodeId) -> String {
    format!(
        "node {node} was removed from the cluster; its id is never used again, and nothing needs its \
         directory any more"
    )
}

/// Waits, but not for long, until nobody uses the directory any more.
async fn released(root: &Path) {
    let released = async {
        while !is_released(root) {
            tokio::time::sleep(POLL).await;
        }
    };
    if timeout(CLOSE, released).await.is_err() {
        // Connections of other nodes hold it; nobody waits for it but the next process.
        tracing::debug!("the data directory is released only when the process ends");
    }
}

/// Waits until nobody uses a node's data directory any more, at most [`RELEASE`](crate::limits::RELEASE). For a process that is
/// about to exit, after its runtime is gone; blocks the thread.
pub fn until_released(root: &Path) {
    let until = std::time::Instant::now() + RELEASE;
    while !is_released(root) && std::time::Instant::now() < until {
        std::thread::sleep(POLL);
    }
}

fn address(listener: &TcpListener, configured: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(configured)
}
