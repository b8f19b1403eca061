//! `holdpoint dev`: a persistent single node in one folder, for trying things out.
//!
//! The first start makes everything: cluster identity, data directory, keys, the starter policy (copied
//! to `policy/` to be changed, and put in force), `client.toml` and `keys.json`. Later starts keep all
//! of it and write only the two files anew. A start that was interrupted is finished by the next one.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdpoint_core::command::ActivationMode;
use holdpoint_policy::{Bundle, directory, starter};
use holdpoint_proto::convert::NAMESPACE_DEFAULT;
use holdpoint_raft::SystemClock;
use holdpoint_receipt::{Caller, ClusterId, Digest, Name, PolicyVersion};
use holdpoint_storage::OpenError;
use tokio::net::TcpListener;

use crate::admit::{Admitted, Lane};
use crate::api::{ActivateCall, PutCall};
use crate::config::{ClusterFile, DevOptions, NodeEntry, require_loopback};
use crate::error::RunError;
use crate::evaluate::ByPolicy;
use crate::events::{Event, Listener};
use crate::home::{HomeError, cluster_of, new_cluster, only_node};
use crate::key_files::SealingFile;
use crate::limits::DEADLINE_MAX;
use crate::node::{Node, NodeOptions, listen};
use crate::refused::Refused;

/// Where the policy is copied to, to be changed.
const POLICY: &str = "policy";

/// Tells clients in this folder where the node is and which keys to believe.
const CLIENT: &str = "client.toml";

/// The published keys.
const KEYS: &str = "keys.json";

/// Runs a development node until `stopped`.
///
/// # Errors
///
/// [`RunError`] if it does not start, or cannot go on.
pub async fn dev(
    options: DevOptions,
    listener: Listener,
    stopped: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let node = start(&options, listener).await?;
    let folder = options.dir;
    node.run(async |node| prepare(node, &folder).await, stopped)
        .await
}

/// Starts the node of a development folder. It has no policy before [`prepare`].
async fn start(options: &DevOptions, listener: Listener) -> Result<Node, RunError> {
    require_loopback(options.client)?;
    let sealing = options.sealing.as_ref().map(SealingFile::read);
    let sealing = sealing.transpose().map_err(HomeError::from)?;
    let client = listen(options.client).await?;
    // Nobody answers here, and nobody asks: a cluster of one has no peers.
    let peer = listen((options.client.ip(), 0).into()).await?;
    let dir = options.dir.clone();
    let cluster = tokio::task::spawn_blocking(move || find_or_draw_cluster(&dir)).await;
    let cluster = cluster.map_err(|_| RunError::Task("the folder was being opened"))??;
    let cluster = describe(cluster, &options.dir, &client, &peer)?;
    Node::start(
        NodeOptions {
            cluster,
            node: only_node(),
            is_dev: true,
            sealing,
            client,
            peer,
            clock: Arc::new(SystemClock::new()),
            evaluator: Arc::new(ByPolicy),
        },
        listener,
    )
    .await
}

fn find_or_draw_cluster(dir: &Path) -> Result<ClusterId, HomeError> {
    match cluster_of(dir) {
        Ok(Some(cluster)) => Ok(cluster),
        Ok(None) => Ok(new_cluster()?),
        Err(error) => Err(OpenError::into(error)),
    }
}

/// The cluster file that there would be.
fn describe(
    cluster: ClusterId,
    dir: &Path,
    client: &TcpListener,
    peer: &TcpListener,
) -> Result<ClusterFile, RunError> {
    let address =
        |listener: &TcpListener| listener.local_addr().map_err(|error| failed(dir, &error));
    let entry = NodeEntry {
        id: only_node(),
        client: address(client)?,
        peer: address(peer)?,
        data_dir: dir.to_owned(),
        sealing: None,
    };
    Ok(ClusterFile {
        path: dir.join("identity.json"),
        cluster,
        nodes: vec![entry],
        witnesses: Vec::new(),
        audit: true,
    })
}

/// Finishes what a first start makes, once the node can decide.
async fn prepare(node: &Node, folder: &Path) -> Result<(), RunError> {
    node.ready().await;
    let active = put_in_force(node, folder).await?;
    node.tell(active);
    let keys = folder.join(KEYS);
    let admitted = admit(node, &keys)?;
    let exported = node.gate().published_keys(&admitted).await;
    let exported = exported.map_err(|refused| not_done(&keys, refused))?;
    write(&keys, &exported.keys_json)?;
    let client = format!(
        "# Written by `holdpoint dev` at each start: commands in this folder talk to that node.\n\
         endpoints = [\"{}\"]\n\
         keys = \"{KEYS}\"\n",
        node.client_address()
    );
    write(&folder.join(CLIENT), client.as_bytes())
}

/// Puts the policy of the folder in force, unless one is.
async fn put_in_force(node: &Node, folder: &Path) -> Result<Event, RunError> {
    let path = folder.join(POLICY);
    let (gate, admitted) = (node.gate(), admit(node, &path)?);
    let namespace = name(&path, NAMESPACE_DEFAULT)?;
    let status = gate.status().await.map_err(|error| failed(&path, &error))?;
    if status.policy_version > 0 {
        let digest = digest(&path, &status.policy_digest)?;
        return in_force(&path, &status.policy_name, status.policy_version, digest);
    }
    let bundle = copied_starter(&path)?;
    let caller = Caller::new("loopback:dev").map_err(|error| failed(&path, &error))?;
    let files = bundle
        .files()
        .map(|(path, content)| (path.to_owned(), content.to_vec()));
    let put = PutCall {
        namespace: namespace.clone(),
        files: files.collect(),
    };
    let put = gate
        .put_policy(caller.clone(), put, &admitted)
        .await
        .map_err(|refused| not_done(&path, refused))?;
    if let Some(problem) = put.problems.first() {
        return Err(RunError::Dev {
            path,
            problem: problem.clone(),
        });
    }
    let digest = digest(&path, &put.digest)?;
    let expected = PolicyVersion::default();
    let activate = ActivateCall {
        namespace,
        digest,
        expected,
        mode: ActivationMode::Refuse,
    };
    let activated = gate.activate_policy(caller, activate, &admitted).await;
    let activated = activated.map_err(|refused| not_done(&path, refused))?;
    if let Some(refusal) = activated.refusal {
        return Err(RunError::Dev {
            path,
            problem: refusal.sentence,
        });
    }
    let status = gate.status().await.map_err(|error| failed(&path, &error))?;
    in_force(&path, &status.policy_name, activated.version, digest)
}

fn in_force(path: &Path, bundle: &str, version: u64, digest: Digest) -> Result<Event, RunError> {
    let version = PolicyVersion::new(version).map_err(|error| failed(path, &error))?;
    Ok(Event::PolicyInForce {
        name: name(path, bundle)?,
        version,
        digest,
    })
}

/// The bundle in the folder; the starter bundle is copied there if it does not exist.
fn copied_starter(path: &Path) -> Result<Bundle, RunError> {
    if !path.exists() {
        // Copied beside and then renamed, so that an interrupted copy is never taken for a policy.
        let copy = path.with_extension("new");
        if copy.exists() {
            fs::remove_dir_all(&copy).map_err(|error| failed(&copy, &error))?;
        }
        for (file, content) in starter::FILES {
            write_file(&copy.join(file), content.as_bytes())?;
        }
        fs::rename(&copy, path).map_err(|error| failed(path, &error))?;
    }
    directory::read(path).map_err(|error| failed(path, &error))
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), RunError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    }
    fs::write(path, content).map_err(|error| failed(path, &error))
}

/// Replaces a file at once: a reader sees the old one or the new one.
fn write(path: &Path, content: &[u8]) -> Result<(), RunError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    write_file(&beside, content)?;
    fs::rename(&beside, path).map_err(|error| failed(path, &error))
}

fn admit(node: &Node, path: &Path) -> Result<Admitted, RunError> {
    node.gate()
        .admit(Lane::Read, DEADLINE_MAX)
        .map_err(|refused| not_done(path, refused))
}

fn name(path: &Path, text: &str) -> Result<Name, RunError> {
    Name::new(text).map_err(|error| failed(path, &error))
}

fn digest(path: &Path, bytes: &[u8]) -> Result<Digest, RunError> {
    holdpoint_proto::convert::digest("digest", bytes).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &impl std::fmt::Display) -> RunError {
    RunError::Dev {
        path: path.to_owned(),
        problem: error.to_string(),
    }
}

fn not_done(path: &Path, refused: Refused) -> RunError {
    RunError::Dev {
        path: path.to_owned(),
        problem: refused.into_refusal().sentence,
    }
}
