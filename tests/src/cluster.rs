//! Real nodes: one process each, on loopback, killed when their handle drops.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::command::{bare, holdpoint};
use crate::deadline::until_blocking;
use crate::ports;
use crate::scratch::Scratch;
use crate::shell::Group;

/// How long a node may take to come up on a loaded machine.
const START_WITHIN: Duration = Duration::from_mins(1);

/// One node's process, or the place where one can be started.
#[derive(Debug)]
struct Node {
    id: u64,
    client: String,
    /// The cluster file that it is started with.
    file: PathBuf,
    process: Option<Child>,
}

/// Three nodes that are started from one cluster file, and those that come later.
#[derive(Debug)]
pub struct Cluster {
    scratch: Scratch,
    /// The newest cluster file; earlier nodes keep theirs.
    text: String,
    nodes: Vec<Node>,
}

impl Cluster {
    /// Three nodes, not started.
    #[must_use]
    pub fn prepared() -> Self {
        Self::prepared_in(Scratch::new())
    }

    fn prepared_in(scratch: Scratch) -> Self {
        let mut cluster = Self {
            scratch,
            text: String::from("cluster_id = \"5f0e0000000000000000000000000001\"\n"),
            nodes: Vec::new(),
        };
        cluster.list(&ports::free(6));
        cluster.scratch.write("cluster.toml", &cluster.text);
        cluster
    }

    /// Lists one more node in a cluster file that only it is started with, and returns its id. It is not
    /// started.
    pub fn newcomer(&mut self) -> u64 {
        self.list(&ports::free(2));
        let file = format!("cluster-{}.toml", self.nodes.len());
        let file = self.scratch.write(&file, &self.text);
        let Some(node) = self.nodes.last_mut() else {
            return 0;
        };
        node.file = file;
        node.id
    }

    /// Gives each two of `ports` to a new node.
    fn list(&mut self, ports: &[String]) {
        let first = self
            .nodes
            .last()
            .map_or(1, |node| node.id.saturating_add(1));
        for (id, pair) in (first..).zip(ports.chunks_exact(2)) {
            let [client, peer] = pair else { continue };
            let _ = write!(
                self.text,
                "\n[[node]]\nid = {id}\nclient = \"{client}\"\npeer = \"{peer}\"\ndata_dir = \"node-{id}\"\n"
            );
            self.nodes.push(Node {
                id,
                client: client.clone(),
                file: self.scratch.join("cluster.toml"),
                process: None,
            });
        }
    }

    /// Three nodes that decide, with the bundle in `policy` in force.
    #[must_use]
    pub fn deciding(policy: &Path) -> Self {
        Self::deciding_in(Scratch::new(), policy)
    }

    /// The same with its directories in `scratch`.
    #[must_use]
    pub fn deciding_in(scratch: Scratch, policy: &Path) -> Self {
        let mut cluster = Self::prepared_in(scratch);
        // Any order must do; this one is not the order of the file.
        for id in [3, 1, 2] {
            cluster.start(id);
        }
        let _ = cluster.wait_for_leader();
        cluster.activate(policy);
        cluster
    }

    /// Puts the bundle in `policy` in force.
    pub fn activate(&self, policy: &Path) {
        let endpoints = self.endpoints().join(",");
        let policy = policy.display().to_string();
        let put = self
            .cli(&[
                "policy",
                "put",
                &policy,
                "--endpoint",
                &endpoints,
                "--output",
                "json",
            ])
            .exits(0)
            .json();
        let digest = put
            .get("digest")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        let _ = self
            .cli(&["policy", "activate", digest, "--endpoint", &endpoints])
            .exits(0);
    }

    /// Starts node `id`; does nothing when it runs.
    ///
    /// # Panics
    ///
    /// If the process cannot be started.
    #[expect(clippy::expect_used, reason = "a test without its node cannot go on")]
    pub fn start(&mut self, id: u64) {
        let log = self.log_file(id);
        let directory = self.scratch.path().to_path_buf();
        let Some(node) = self.nodes.iter_mut().find(|node| node.id == id) else {
            return;
        };
        if node.process.is_some() {
            return;
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log can be opened");
        let process = bare(&directory)
            .args(["serve", "--config"])
            .arg(&node.file)
            .args(["--node", &id.to_string()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a node can be started");
        node.process = Some(process);
    }

    /// SIGKILL, and the process is gone when this returns.
    pub fn kill(&mut self, id: u64) {
        let Some(node) = self.nodes.iter_mut().find(|node| node.id == id) else {
            return;
        };
        if let Some(mut process) = node.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// SIGKILL from beside others who use the cluster; [`Cluster::kill`] clears up after it.
    pub fn strike(&self, id: u64) {
        self.signal(id, rustix::process::Signal::KILL);
    }

    /// SIGSTOP: the process stands still with all its connections, as on a machine that sleeps.
    pub fn pause(&self, id: u64) {
        self.signal(id, rustix::process::Signal::STOP);
    }

    /// SIGCONT after [`Cluster::pause`].
    pub fn resume(&self, id: u64) {
        self.signal(id, rustix::process::Signal::CONT);
    }

    #[expect(
        clippy::panic,
        reason = "a test that cannot reach its node cannot go on"
    )]
    fn signal(&self, id: u64, signal: rustix::process::Signal) {
        let node = self.nodes.iter().find(|node| node.id == id);
        let Some(process) = node.and_then(|node| node.process.as_ref()) else {
            return;
        };
        let pid = rustix::process::Pid::from_child(process);
        if let Err(error) = rustix::process::kill_process(pid, signal) {
            panic!("node {id} could not be signalled: {error}");
        }
    }

    /// SIGTERM; returns the exit code once the node has drained.
    ///
    /// # Panics
    ///
    /// If the node cannot be signalled.
    #[expect(clippy::panic, reason = "a node that ignores SIGTERM fails the test")]
    pub fn terminate(&mut self, id: u64) -> i32 {
        let Some(node) = self.nodes.iter_mut().find(|node| node.id == id) else {
            return -1;
        };
        let Some(mut process) = node.process.take() else {
            return -1;
        };
        let pid = rustix::process::Pid::from_child(&process);
        if let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM) {
            panic!("node {id} could not be signalled: {error}");
        }
        until_blocking("the node drained", START_WITHIN, || {
            match process.try_wait() {
                Ok(Some(status)) => Ok(status.code().unwrap_or(-1)),
                Ok(None) => Err("still running".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    /// Waits until node `id` has exited by itself and returns its code.
    pub fn wait_for_exit(&mut self, id: u64) -> i32 {
        let Some(node) = self.nodes.iter_mut().find(|node| node.id == id) else {
            return -1;
        };
        let Some(mut process) = node.process.take() else {
            return -1;
        };
        until_blocking(
            "the node exited by itself",
            START_WITHIN,
            || match process.try_wait() {
                Ok(Some(status)) => Ok(status.code().unwrap_or(-1)),
                Ok(None) => Err("still running".to_owned()),
                Err(error) => Err(error.to_string()),
            },
        )
    }

    /// Waits until one running node says which node leads, and that node says the same.
    #[must_use]
    pub fn wait_for_leader(&self) -> u64 {
        until_blocking("a leader was elected", START_WITHIN, || {
            self.leader().ok_or_else(|| "no node leads".to_owned())
        })
    }

    /// The node that says of itself that it leads and can decide, if one does.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        self.nodes
            .iter()
            .filter(|node| node.process.is_some())
            .find_map(|node| {
                let run = self.cli(&[
                    "status",
                    "--endpoint",
                    &node.client,
                    "--this-node",
                    "--output",
                    "json",
                ]);
                let status: serde_json::Value = serde_json::from_str(&run.stdout).ok()?;
                let leads = status.get("leader_id")?.as_str()? == node.id.to_string();
                let serves = status.get("serving")?.as_bool()?;
                (leads && serves).then_some(node.id)
            })
    }

    /// Client addresses of all nodes, running or not.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.client.clone()).collect()
    }

    /// The client address of node `id`; empty if there is no such node.
    #[must_use]
    pub fn endpoint(&self, id: u64) -> String {
        let node = self.nodes.iter().find(|node| node.id == id);
        node.map(|node| node.client.clone()).unwrap_or_default()
    }

    /// The processes of the nodes that run.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let running = self.nodes.iter().filter_map(|node| node.process.as_ref());
        running.map(Child::id).collect()
    }

    /// The directory of node `id`.
    #[must_use]
    pub fn data_dir(&self, id: u64) -> PathBuf {
        self.scratch.join(&format!("node-{id}"))
    }

    /// What node `id` wrote to stderr.
    #[must_use]
    pub fn log(&self, id: u64) -> String {
        std::fs::read_to_string(self.log_file(id)).unwrap_or_default()
    }

    /// A directory for the test's own files.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Runs the command line in the cluster's scratch directory.
    #[must_use]
    pub fn cli(&self, words: &[&str]) -> crate::command::Run {
        holdpoint(self.scratch.path(), words)
    }

    /// Starts `holdpoint authorize WORDS… --wait 4m` as a process of its own, which is killed when the
    /// handle drops.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn waiter(&self, words: &[&str]) -> Group {
        let mut command = bare(self.scratch.path());
        command
            .arg("authorize")
            .args(words)
            .args(["--wait", "4m", "--endpoint", &self.endpoints().join(",")])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Group::start(command)
    }

    fn log_file(&self, id: u64) -> PathBuf {
        self.scratch.join(&format!("node-{id}.stderr"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let ids: Vec<u64> = self.nodes.iter().map(|node| node.id).collect();
        for id in ids {
            self.kill(id);
        }
        if std::thread::panicking() {
            for node in &self.nodes {
                let log = self.log(node.id);
                let tail: Vec<&str> = log.lines().rev().take(40).collect();
                eprintln!("--- last lines of node {}", node.id);
                for line in tail.iter().rev() {
                    eprintln!("{line}");
                }
            }
        }
    }
}
