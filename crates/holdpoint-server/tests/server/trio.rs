//! Three nodes in one process, each with its own directory, listeners and runtime: what a node leaves
//! running when it stops ends with its runtime, as it would with its process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdpoint_policy::{Evaluation, Input, Policy};
use holdpoint_proto::v1;
use holdpoint_proto::v1::cluster_client::ClusterClient;
use holdpoint_proto::v1::gate_client::GateClient;
use holdpoint_proto::v1::history_client::HistoryClient;
use holdpoint_proto::v1::policy_client::PolicyClient;
use holdpoint_raft::{Clock, SystemClock};
use holdpoint_receipt::{ClusterId, NodeId, Request};
use holdpoint_server::config::{ClusterFile, NodeEntry};
use holdpoint_server::{Evaluator, Node, NodeOptions, RunError, until_released};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Channel;

use crate::support::{LONG, channel};

/// How often a state that must come is looked for.
const POLL: Duration = Duration::from_millis(20);

/// This machine's clocks, of which the wall clock can be put forward.
#[derive(Debug, Default)]
struct Shifted {
    ahead_ms: AtomicU64,
}

impl Clock for Shifted {
    fn wall_ms(&self) -> u64 {
        SystemClock::new().wall_ms() + self.ahead_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        SystemClock::new().monotonic()
    }
}

/// Says what the policy says, unless it is told to lie: then it evaluates another request.
#[derive(Debug, Default)]
struct Tampered {
    /// The words of the request that it takes for others.
    lie: Mutex<Option<(&'static str, &'static str)>>,
}

impl Evaluator for Tampered {
    fn evaluate(&self, policy: &Policy, input: Input<'_>) -> Evaluation {
        let Some((words, others)) = *self.lie.lock().unwrap() else {
            return policy.evaluate(input);
        };
        let request = input.request.to_canonical().replace(words, others);
        let request = Request::parse_canonical(request.as_bytes()).unwrap();
        let request = &request;
        policy.evaluate(Input { request, ..input })
    }
}

/// A node and what would be its process.
#[derive(Debug)]
struct Running {
    node: Node,
    runtime: Runtime,
}

/// A cluster of three whose nodes are started and stopped one by one.
#[derive(Debug)]
pub(crate) struct Trio {
    file: ClusterFile,
    nodes: BTreeMap<u64, Running>,
    clocks: BTreeMap<u64, Arc<Shifted>>,
    evaluators: BTreeMap<u64, Arc<Tampered>>,
    _scratch: tempfile::TempDir,
}

impl Trio {
    /// Nothing runs yet.
    pub(crate) async fn prepared() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut nodes = Vec::new();
        for id in 1..=3 {
            // Taken now, so that no two are the same; the nodes listen on them again.
            let [client, peer] = [free().await, free().await];
            nodes.push(NodeEntry {
                id: NodeId::new(id).unwrap(),
                client: client.local_addr().unwrap(),
                peer: peer.local_addr().unwrap(),
                data_dir: scratch.path().join(format!("node-{id}")),
                sealing: None,
            });
        }
        let file = ClusterFile {
            path: scratch.path().join("cluster.toml"),
            cluster: ClusterId::from_bytes([3; 16]),
            nodes,
            witnesses: Vec::new(),
            audit: true,
        };
        Self {
            file,
            nodes: BTreeMap::new(),
            clocks: (1..=3).map(|id| (id, Arc::default())).collect(),
            evaluators: (1..=3).map(|id| (id, Arc::default())).collect(),
            _scratch: scratch,
        }
    }

    /// The cluster file, for as long as nothing runs.
    pub(crate) fn file(&mut self) -> &mut ClusterFile {
        assert!(self.nodes.is_empty(), "nodes have read the file");
        &mut self.file
    }

    /// All three, with the starter policy in force.
    pub(crate) async fn deciding() -> Self {
        Self::prepared().await.decide().await
    }

    /// The same from a file that was changed.
    pub(crate) async fn decide(self) -> Self {
        let mut trio = self;
        for id in [3, 1, 2] {
            trio.start(id).await;
        }
        let leader = trio.leader().await;
        let files = holdpoint_policy::starter::FILES
            .iter()
            .map(|(path, content)| v1::BundleFile {
                path: (*path).to_owned(),
                content: content.as_bytes().to_vec(),
            });
        let mut policy = PolicyClient::new(trio.channel(leader));
        let put = v1::PutPolicyRequest {
            files: files.collect(),
            ..Default::default()
        };
        let put = policy.put(put).await.unwrap().into_inner();
        assert!(put.refusal.is_none(), "{:?}", put.refusal);
        let activate = v1::ActivatePolicyRequest {
            digest: put.digest,
            ..Default::default()
        };
        let activated = policy.activate(activate).await.unwrap().into_inner();
        assert_eq!(activated.version, 1, "{:?}", activated.refusal);
        trio
    }

    pub(crate) fn dir(&self, id: u64) -> PathBuf {
        self.file
            .node(NodeId::new(id).unwrap())
            .unwrap()
            .data_dir
            .clone()
    }

    /// Starts a node; the threads of its earlier life may need a moment to let its directory go.
    pub(crate) async fn start(&mut self, id: u64) {
        let started = async {
            loop {
                match self.try_start(id).await {
                    Ok(()) => return,
                    Err(RunError::Home(error)) if error.to_string().contains("in use") => {
                        tokio::time::sleep(POLL).await;
                    }
                    Err(error) => panic!("node {id} does not start: {error}"),
                }
            }
        };
        tokio::time::timeout(LONG, started)
            .await
            .expect("the node starts in time");
    }

    /// Starts a node, which may refuse.
    pub(crate) async fn try_start(&mut self, id: u64) -> Result<(), RunError> {
        let (file, node) = (self.file.clone(), NodeId::new(id).unwrap());
        let clock = Arc::clone(self.clocks.get(&id).unwrap());
        let evaluator = Arc::clone(self.evaluators.get(&id).unwrap());
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let started = runtime.spawn(async move {
            let options = NodeOptions {
                clock,
                evaluator,
                ..NodeOptions::listen(file, node).await?
            };
            Node::start(options, Box::new(|_| ())).await
        });
        let started = started.await.unwrap();
        match started {
            Ok(node) => {
                self.nodes.insert(id, Running { node, runtime });
                Ok(())
            }
            Err(error) => {
                end(runtime, self.dir(id)).await;
                Err(error)
            }
        }
    }

    /// Has a node take some words of each request for others when it evaluates; none tells the truth.
    pub(crate) fn tamper(&self, id: u64, lie: Option<(&'static str, &'static str)>) {
        *self.evaluators.get(&id).unwrap().lie.lock().unwrap() = lie;
    }

    /// Puts a node's wall clock forward, so that it is ahead of this machine's by so much.
    pub(crate) fn put_forward(&self, id: u64, by: Duration) {
        let ahead_ms = u64::try_from(by.as_millis()).unwrap();
        self.clocks
            .get(&id)
            .unwrap()
            .ahead_ms
            .store(ahead_ms, Ordering::SeqCst);
    }

    /// The same of all of them, so that cluster time follows at once.
    pub(crate) fn put_all_forward(&self, by: Duration) {
        for id in 1..=3 {
            self.put_forward(id, by);
        }
    }

    /// Stops a node in good order.
    pub(crate) async fn stop(&mut self, id: u64) {
        let running = self.nodes.remove(&id);
        let Running { node, runtime } = running.unwrap();
        runtime
            .spawn(async { node.stop("the test says so").await })
            .await
            .unwrap();
        end(runtime, self.dir(id)).await;
    }

    /// Why a node cannot go on.
    pub(crate) async fn failed(&mut self, id: u64) -> RunError {
        let running = self.nodes.get_mut(&id).unwrap();
        tokio::time::timeout(LONG, running.node.failed())
            .await
            .unwrap()
    }

    /// Where a node answers clients.
    pub(crate) fn address(&self, id: u64) -> String {
        let entry = self.file.node(NodeId::new(id).unwrap());
        entry.unwrap().client.to_string()
    }

    pub(crate) fn channel(&self, id: u64) -> Channel {
        channel(&self.address(id))
    }

    pub(crate) fn gate(&self, id: u64) -> GateClient<Channel> {
        GateClient::new(self.channel(id))
    }

    pub(crate) fn history(&self, id: u64) -> HistoryClient<Channel> {
        HistoryClient::new(self.channel(id))
    }

    pub(crate) async fn status(&self, id: u64) -> v1::StatusResponse {
        let mut client = ClusterClient::new(self.channel(id));
        client
            .status(v1::StatusRequest {})
            .await
            .unwrap()
            .into_inner()
    }

    /// The node that can decide and prove, once there is one.
    pub(crate) async fn leader(&self) -> u64 {
        let found = async {
            loop {
                for id in 1..=3_u64 {
                    let runs = self.nodes.contains_key(&id);
                    if runs && can_answer(&self.status(id).await) {
                        return id;
                    }
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(LONG, found)
            .await
            .expect("a node leads in time")
    }

    /// Waits until a node's status is as wanted.
    pub(crate) async fn until(&self, id: u64, wanted: impl Fn(&v1::StatusResponse) -> bool) {
        let reached = async {
            while !wanted(&self.status(id).await) {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(LONG, reached)
            .await
            .expect("the status is reached in time");
    }
}

/// Ends everything that still runs, and waits for it as the end of a process does: the threads of the
/// store are not the runtime's, and write for a moment after it is gone.
async fn end(runtime: Runtime, data_dir: PathBuf) {
    let ended = tokio::task::spawn_blocking(move || {
        runtime.shutdown_timeout(LONG);
        until_released(&data_dir);
    });
    ended.await.unwrap();
}

impl Drop for Trio {
    /// Waits for the stores: one that is at work when the process exits aborts it.
    fn drop(&mut self) {
        let running = std::mem::take(&mut self.nodes).into_iter();
        let ends: Vec<_> = running
            .map(|(id, Running { node, runtime })| {
                let data_dir = self.dir(id);
                // A runtime is not waited for within another one.
                std::thread::spawn(move || {
                    runtime.shutdown_timeout(LONG);
                    drop(node);
                    until_released(&data_dir);
                })
            })
            .collect();
        for end in ends {
            // A panic there was told, and the test has its own verdict.
            let _ = end.join();
        }
    }
}

/// Whether the node that says this decides, and can prove it.
fn can_answer(status: &v1::StatusResponse) -> bool {
    let own = status.nodes.iter().find(|node| node.id == status.node_id);
    status.serving && own.is_some_and(|own| own.signing == "ok")
}

async fn free() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}
