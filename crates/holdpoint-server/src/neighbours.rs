//! The other nodes, as a leader sees them from its client side.
//!
//! While this node leads it announces itself to the cluster, then asks every other node again and
//! again who it is. Whoever says so for the first time in a term is announced; who answered, and what
//! its clock said, is kept for the status. Until a node is announced nobody can verify what it signs,
//! so it signs nothing. Nothing here takes part in a decision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use holdpoint_core::command::{AnnounceNode, Command};
use holdpoint_core::{ApplyError, GroupId, Outcome, Query};
use holdpoint_proto::v1;
use holdpoint_proto::v1::cluster_client::ClusterClient;
use holdpoint_raft::Clock;
use holdpoint_receipt::NodeId;
use holdpoint_storage::StoreError;
use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::gate::Gate;
use crate::members::KnownNode;
use crate::pool::Pool;

/// How long another node may take to say who it is.
const ASK: Duration = Duration::from_millis(700);

/// How long an announcement may take to be committed.
const ANNOUNCE: Duration = Duration::from_secs(5);

/// How long to wait between two rounds of questions.
const PAUSE: Duration = Duration::from_secs(1);

/// The same while this node itself is not announced: nobody gets a receipt until it is.
const PAUSE_SELF: Duration = Duration::from_millis(100);

/// How long a leader of a new cluster waits for every other node before it announces those that there
/// are.
const TOGETHER: Duration = Duration::from_secs(10);

/// Age up to which an answer counts.
const SEEN_AGE: Duration = Duration::from_secs(4);

/// What another node's last answer showed.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    at: Instant,
    /// Milliseconds that its wall clock is ahead of this node's.
    pub(crate) clock_offset_ms: i64,
    /// Whether it signs, in its own words.
    pub(crate) signing: String,
}

/// Which other nodes answered lately.
#[derive(Debug, Default)]
pub(crate) struct Neighbours(Mutex<BTreeMap<NodeId, Seen>>);

impl Neighbours {
    /// The nodes that answered lately.
    pub(crate) fn seen(&self) -> BTreeMap<NodeId, Seen> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, seen| seen.at.elapsed() <= SEEN_AGE);
        seen.clone()
    }

    fn saw(&self, node: NodeId, seen: Seen) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node, seen);
    }

    /// Takes back that `node` answers: nothing listens there any more.
    fn lost(&self, node: NodeId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&node);
    }
}

/// Asks and announces whenever this node leads, for as long as its group lives.
pub(crate) async fn run(gate: Arc<Gate>, pool: Pool, clock: Arc<dyn Clock>) {
    let mut others = Vec::new();
    let mut leadership = gate.group().leadership();
    loop {
        let term = match leadership.wait_for(|now| now.leads().is_some()).await {
            Ok(now) => now.leads(),
            Err(_) => return,
        };
        // Nodes that said in this term who they are: what they say changes with a restart only, and
        // what matters of it never does.
        let mut announced = BTreeSet::new();
        let since = Instant::now();
        while leadership.borrow_and_update().leads() == term {
            let own = gate.own();
            others = others_now(&gate, others);
            let answers = ask_all(&gate, &*clock, &others).await;
            // The first who are announced sign alone until the others have joined them: all at once
            // leaves no moment in which the loss of one of them stops every proof.
            let is_complete = answers.len() == others.len() || since.elapsed() >= TOGETHER;
            if is_complete || gate.can_prove().await {
                // What this node says of itself is as new as what it has applied.
                let is_known = announced.contains(&own.node) || gate.recognised().await.is_err();
                if !is_known && announce(&gate, &pool, own.announcement()).await {
                    announced.insert(own.node);
                }
                announce_all(&gate, &pool, answers, &mut announced).await;
            }
            if announced.contains(&own.node) {
                tokio::time::sleep(PAUSE).await;
            } else {
                tokio::time::sleep(PAUSE_SELF).await;
            }
        }
    }
}

/// The other members, voters or not, with the channels that there are already. A channel connects at its
/// first use and again after it broke.
fn others_now(gate: &Gate, known: Vec<(KnownNode, Channel)>) -> Vec<(KnownNode, Channel)> {
    let mut known: BTreeMap<NodeId, (KnownNode, Channel)> = known
        .into_iter()
        .map(|(node, channel)| (node.id, (node, channel)))
        .collect();
    let nodes = gate.members().nodes().into_iter();
    nodes
        .filter(|node| node.id != gate.own().node)
        .filter_map(|node| match known.remove(&node.id) {
            Some(kept) if kept.0 == node => Some(kept),
            _ => {
                let channel = channel(&node)?;
                Some((node, channel))
            }
        })
        .collect()
}

/// Asks every other node once who it is.
async fn ask_all(
    gate: &Gate,
    clock: &dyn Clock,
    others: &[(KnownNode, Channel)],
) -> Vec<(NodeId, Box<v1::StatusResponse>)> {
    let answers = join_all(
        others
            .iter()
            .map(|(entry, channel)| ask(gate, entry, channel)),
    )
    .await;
    let mut answered = Vec::new();
    for ((entry, _), answer) in others.iter().zip(answers) {
        let answer = match answer {
            Asked::Answered(answer) => answer,
            Asked::Nobody => {
                gate.neighbours().lost(entry.id);
                continue;
            }
            Asked::Unclear => continue,
        };
        let seen = seen(entry.id, &answer, clock.wall_ms());
        gate.neighbours().saw(entry.id, seen);
        answered.push((entry.id, answer));
    }
    answered
}

/// Announces those that answered for the first time in this term.
async fn announce_all(
    gate: &Gate,
    pool: &Pool,
    answers: Vec<(NodeId, Box<v1::StatusResponse>)>,
    announced: &mut BTreeSet<NodeId>,
) {
    for (node, answer) in answers {
        if announced.contains(&node) {
            continue;
        }
        let Some(said) = announcement(node, *answer) else {
            continue;
        };
        if announce(gate, pool, said).await {
            announced.insert(node);
        }
    }
}

/// Says in the log what a node says of itself, unless the log says it already. Says whether it does.
async fn announce(gate: &Gate, pool: &Pool, node: AnnounceNode) -> bool {
    if is_known(gate, pool, node.clone()).await {
        return true;
    }
    let id = node.node;
    match gate
        .group()
        .propose(Command::AnnounceNode(node), ANNOUNCE)
        .await
    {
        Ok(committed) => match committed.value() {
            Outcome::Announced => {
                tracing::info!(node = %id, "announced a node to the cluster");
                true
            }
            refused => {
                tracing::error!(node = %id, ?refused, "a node cannot be announced; it cannot sign");
                // Repeating it would change nothing.
                true
            }
        },
        Err(error) => {
            tracing::debug!(node = %id, %error, "a node is not announced yet");
            false
        }
    }
}

async fn is_known(gate: &Gate, pool: &Pool, node: AnnounceNode) -> bool {
    let group = gate.group().clone();
    let read = pool.run(move || {
        let known = group.local_view(|view| {
            let known = Query::new(&view, GroupId::FIRST).node(node.node)?;
            Ok::<_, ApplyError<StoreError>>(known.is_some_and(|known| {
                known.incarnation == node.incarnation
                    && known.log_key == node.log_key
                    && known.cosign_key == node.cosign_key
                    && known.feature_level_max == node.feature_level_max
                    && known.evaluator_version == node.evaluator_version
            }))
        });
        known.is_ok_and(|known| known.unwrap_or(false))
    });
    read.await.unwrap_or(false)
}

/// What came of asking a node who it is.
enum Asked {
    /// It says so.
    Answered(Box<v1::StatusResponse>),
    /// Nothing can be reached there.
    Nobody,
    /// No answer in time, or none that counts.
    Unclear,
}

/// What an answer shows that came just now, when this node's clock said `wall_ms`.
fn seen(node: NodeId, answer: &v1::StatusResponse, wall_ms: u64) -> Seen {
    let offset = i128::from(answer.wall_ms) - i128::from(wall_ms);
    let own = answer.nodes.iter().find(|said| said.id == node.get());
    Seen {
        at: Instant::now(),
        clock_offset_ms: i64::try_from(offset).unwrap_or(i64::MAX),
        signing: own.map(|own| own.signing.clone()).unwrap_or_default(),
    }
}

/// Asks a node who it is.
async fn ask(gate: &Gate, entry: &KnownNode, channel: &Channel) -> Asked {
    let mut client = ClusterClient::new(channel.clone());
    let answer = match timeout(ASK, client.status(v1::StatusRequest {})).await {
        Ok(Ok(answer)) => answer.into_inner(),
        Ok(Err(status)) if status.code() == Code::Unavailable => return Asked::Nobody,
        Ok(Err(_)) | Err(_) => return Asked::Unclear,
    };
    let is_meant =
        answer.node_id == entry.id.get() && answer.cluster_id == gate.own().cluster.to_string();
    if !is_meant {
        tracing::warn!(node = %entry.id, address = %entry.client, "another node answers there");
    }
    if is_meant {
        Asked::Answered(Box::new(answer))
    } else {
        Asked::Nobody
    }
}

fn announcement(node: NodeId, answer: v1::StatusResponse) -> Option<AnnounceNode> {
    let said = answer.identity?;
    Some(AnnounceNode {
        node,
        incarnation: said.incarnation.try_into().ok()?,
        log_key: said.log_key.try_into().ok()?,
        cosign_key: said.cosign_key.try_into().ok()?,
        feature_level_max: said.feature_level_max,
        evaluator_version: said.evaluator_version,
    })
}

fn channel(entry: &KnownNode) -> Option<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", entry.client)).ok()?;
    Some(endpoint.connect_timeout(ASK).connect_lazy())
}
