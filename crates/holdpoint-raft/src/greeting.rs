//! How a node joins its group: it says hello before it takes part.
//!
//! ```text
//! data in the directory      asks everyone for a moment, then takes part; asks on behind
//! no data, one voter         founds the group at once
//! no data, others answer
//!   "I know you otherwise"   refused: this directory is not the one that was known
//!   "I know you"             the group was founded with this directory: takes part
//!   all "I am fresh too"     the lowest id founds the group with everyone's incarnation
//!   "you were removed"       takes no part, and says so
//!   anything else            waits, and asks again: so does a node that is to be added to a group
//! ```
//!
//! A fresh node neither votes nor acknowledges before it is through. So a node that comes back
//! empty under its old id never helps to elect a leader without the entries that it lost, and two
//! groups are never founded: the founder has heard from every voter, and each answers for one
//! directory.

mod waiting;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, future};
use holdpoint_core::limits::NODES_MAX;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::ask_answer::Answer;
use holdpoint_proto::peer::v1::ask_request::Question;
use holdpoint_proto::peer::v1::refusal::Reason;
use holdpoint_proto::peer::v1::{Envelope, Hello, HelloAnswer};
use openraft::async_runtime::WatchReceiver;
use tokio::time::{Instant, sleep, timeout};

use waiting::{Waiting, why};

use crate::applied_bytes::decode_applied;
use crate::disk::StateDisk;
use crate::error::GroupFault;
use crate::limits;
use crate::log_store::Log;
use crate::member::{ADDRESS_BYTES_MAX, Member};
use crate::net::{Lane, Net, NetError};
use crate::peers::{Peers, incarnation, incarnation_bytes};
use crate::types::{LogId, Raft};
use crate::wire::id_to_wire;

/// What this node's own disk says.
#[derive(Debug)]
pub(crate) struct OwnLog {
    pub(crate) log: Log,
    pub(crate) state: Arc<dyn StateDisk>,
}

impl OwnLog {
    /// The last entry, held, purged or covered by the state: after a snapshot was installed the state
    /// is ahead of the log for a moment.
    fn last(&self) -> io::Result<Option<LogId>> {
        let applied = self.state.applied().map_err(io::Error::other)?;
        let applied = decode_applied(&applied.unwrap_or_default())?;
        Ok([self.log.last()?, applied.last]
            .into_iter()
            .flatten()
            .max_by_key(|id| id.index))
    }

    /// Whether this node has never voted, appended or applied anything.
    fn fresh(&self) -> io::Result<bool> {
        let applied = self.state.applied().map_err(io::Error::other)?;
        Ok(self.last()?.is_none() && self.log.vote()?.is_none() && applied.is_none())
    }
}

/// Answers a greeting that was admitted.
pub(crate) fn answer(
    peers: &Peers,
    own: &OwnLog,
    raft: Option<&Raft>,
    envelope: &Envelope,
    hello: Hello,
) -> HelloAnswer {
    if let Some(incarnation) = incarnation(&envelope.from_incarnation) {
        let (peer_address, client_address) = (hello.peer_address, hello.client_address);
        peers.greeted(
            envelope.from,
            Member {
                incarnation,
                peer_address,
                client_address,
            },
        );
    }
    let local = &peers.local().member;
    HelloAnswer {
        incarnation: incarnation_bytes(local.incarnation),
        // A log that cannot be read is not fresh.
        fresh: own.fresh().unwrap_or(false),
        known_incarnation: peers
            .member(envelope.from)
            .map(|member| incarnation_bytes(member.incarnation)),
        acknowledged: raft
            .and_then(|raft| acknowledged(raft, envelope.from))
            .as_ref()
            .map(id_to_wire),
        peer_address: local.peer_address.clone(),
        client_address: local.client_address.clone(),
        members: peers
            .other_members()
            .into_iter()
            .map(|(node, peer_address)| wire::Neighbour { node, peer_address })
            .collect(),
    }
}

/// What `node` acknowledged to this leader and is committed, so that no later leader can have taken
/// it back. Known only while this node leads.
fn acknowledged(raft: &Raft, node: u64) -> Option<LogId> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let matched = (*metrics.replication.as_ref()?.get(&node)?)?;
    let committed = metrics.cluster_committed?;
    Some(if matched.index <= committed.index {
        matched
    } else {
        committed
    })
}

/// How a node takes part from now on.
#[derive(Debug)]
pub(crate) enum Joined {
    /// With the log that it has, or with what the leader will send.
    Resume,
    /// By founding the group with these members.
    Found(BTreeMap<u64, Member>),
}

/// The others, as the cluster's configuration names them.
#[derive(Clone, Debug)]
pub(crate) struct Greeter {
    pub(crate) peers: Arc<Peers>,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) own: Arc<OwnLog>,
    /// The other voters and their peer addresses.
    pub(crate) others: BTreeMap<u64, String>,
    /// Members that others told of, and whom the configuration does not name.
    pub(crate) heard_of: Arc<Mutex<BTreeMap<u64, String>>>,
}

/// What one peer's answer means to this node.
enum Heard {
    /// Nothing yet: no answer, or one that does not count; and why.
    Nothing(String),
    /// The peer has nothing either.
    Fresh(Member),
    /// The peer has data and knows this directory, or nothing against it.
    Settled { knows_me: bool },
}

impl Greeter {
    /// Joins the group.
    ///
    /// # Errors
    ///
    /// The cluster knows this node otherwise, or knows more of it than it does. Also a disk that
    /// cannot be read.
    pub(crate) async fn join(&self) -> Result<Joined, GroupFault> {
        if !self.own.fresh().map_err(unreadable)? {
            self.greet_briefly().await?;
            return Ok(Joined::Resume);
        }
        let mut waiting = Waiting::new(Instant::now());
        loop {
            let heard = self.greet_all().await?;
            if heard
                .values()
                .any(|heard| matches!(heard, Heard::Settled { knows_me: true }))
            {
                return Ok(Joined::Resume);
            }
            if let Some(members) = self.founders(&heard) {
                return Ok(Joined::Found(members));
            }
            waiting.tell(Instant::now(), &heard, &self.everyone());
            sleep(limits::GREETING_PERIOD).await;
        }
    }

    /// Asks those who have not answered yet until everyone has.
    ///
    /// # Errors
    ///
    /// As [`Self::join`], however late it is found.
    pub(crate) async fn greet_until_all_answered(&self) -> Result<(), GroupFault> {
        let mut left = self.everyone();
        let mut pause = limits::GREETING_PERIOD;
        while !left.is_empty() {
            let heard = self.greet(&left).await?;
            left.retain(|node, _| matches!(heard.get(node), None | Some(Heard::Nothing(_))));
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(limits::GREETING_PERIOD_MAX);
        }
        Ok(())
    }

    /// The members to found the group with: everyone is fresh and this node's id is the lowest.
    fn founders(&self, heard: &BTreeMap<u64, Heard>) -> Option<BTreeMap<u64, Member>> {
        let local = self.peers.local();
        let own = local.node.get();
        let mut members = BTreeMap::from([(own, local.member.clone())]);
        for (node, heard) in heard {
            let Heard::Fresh(member) = heard else {
                return None;
            };
            members.insert(*node, member.clone());
        }
        let lowest = members.keys().next() == Some(&own);
        (lowest && members.len() == self.others.len().saturating_add(1)).then_some(members)
    }

    async fn greet_briefly(&self) -> Result<(), GroupFault> {
        match timeout(limits::GREETING_WAIT, self.greet_all()).await {
            Ok(heard) => heard.map(|_| ()),
            // Who has not answered in time is asked on behind.
            Err(_) => Ok(()),
        }
    }

    async fn greet_all(&self) -> Result<BTreeMap<u64, Heard>, GroupFault> {
        self.greet(&self.everyone()).await
    }

    /// Whom to greet.
    fn everyone(&self) -> BTreeMap<u64, String> {
        let mut everyone = self.others.clone();
        let heard_of = self.heard_of.lock().unwrap_or_else(PoisonError::into_inner);
        everyone.extend(heard_of.iter().map(|(node, it)| (*node, it.clone())));
        everyone
    }

    /// Takes note of `members` that another node names. Who is named decides nothing: each speaks for
    /// itself when it is greeted.
    fn hear_of(&self, members: Vec<wire::Neighbour>) {
        let own = self.peers.local().node.get();
        let mut heard_of = self.heard_of.lock().unwrap_or_else(PoisonError::into_inner);
        for wire::Neighbour { node, peer_address } in members {
            let is_new = node != own && !self.others.contains_key(&node);
            let fits = heard_of.len() < NODES_MAX && peer_address.len() <= ADDRESS_BYTES_MAX;
            if is_new && (fits || heard_of.contains_key(&node)) {
                heard_of.insert(node, peer_address);
            }
        }
    }

    /// Says hello to `others` at once. The first answer that refuses this node ends it.
    async fn greet(
        &self,
        others: &BTreeMap<u64, String>,
    ) -> Result<BTreeMap<u64, Heard>, GroupFault> {
        let mut asked: FuturesUnordered<_> = others
            .iter()
            .map(|(node, address)| self.hello(*node, address))
            .collect();
        let mut heard = BTreeMap::new();
        while let Some((node, answer)) = asked.next().await {
            heard.insert(node, self.judge(node, answer)?);
        }
        Ok(heard)
    }

    async fn hello(&self, node: u64, address: &str) -> (u64, Result<Option<Answer>, NetError>) {
        let (Ok(fresh), Ok(last)) = (self.own.fresh(), self.own.last()) else {
            return future::ready((node, Ok(None))).await;
        };
        let local = &self.peers.local().member;
        let hello = Hello {
            fresh,
            last: last.as_ref().map(id_to_wire),
            peer_address: local.peer_address.clone(),
            client_address: local.client_address.clone(),
        };
        let envelope = Some(self.peers.envelope(node, None));
        let request = wire::AskRequest {
            envelope,
            question: Some(Question::Hello(hello)),
        };
        let answer = self
            .net
            .ask(address, Lane::Control, request, limits::ASK)
            .await;
        (node, answer.map(|answer| answer.answer))
    }

    fn judge(
        &self,
        node: u64,
        answer: Result<Option<Answer>, NetError>,
    ) -> Result<Heard, GroupFault> {
        match answer {
            Ok(Some(Answer::Hello(answer))) => self.judge_hello(node, answer),
            Ok(Some(Answer::Refusal(refusal))) => {
                self.peers.refused_by(node, &refusal);
                match known_in(&refusal) {
                    Some(known) => Err(self.refused(known)),
                    None => Ok(Heard::Nothing(refusal.detail)),
                }
            }
            Ok(_) => Ok(Heard::Nothing("it answered something else".to_owned())),
            Err(error) => Ok(Heard::Nothing(why(error))),
        }
    }

    fn judge_hello(&self, node: u64, answer: HelloAnswer) -> Result<Heard, GroupFault> {
        let Some(theirs) = incarnation(&answer.incarnation) else {
            return Ok(Heard::Nothing("it names no incarnation".to_owned()));
        };
        let local = self.peers.local();
        let own = local.member.incarnation;
        let known = answer.known_incarnation.as_deref().and_then(incarnation);
        if let Some(known) = known.filter(|known| *known != own) {
            return Err(self.refused(known));
        }
        let last = self.own.last().map_err(unreadable)?.map(|last| last.index);
        if let Some(acknowledged) = answer.acknowledged
            && last.is_none_or(|last| last < acknowledged.index)
        {
            let acknowledged = acknowledged.index;
            return Err(GroupFault::RolledBack {
                node: local.node,
                peer: node,
                acknowledged,
            });
        }
        let member = Member {
            incarnation: theirs,
            peer_address: answer.peer_address,
            client_address: answer.client_address,
        };
        self.peers.greeted(node, member.clone());
        if answer.fresh {
            Ok(Heard::Fresh(member))
        } else {
            self.hear_of(answer.members);
            Ok(Heard::Settled {
                knows_me: known.is_some(),
            })
        }
    }

    fn refused(&self, known: holdpoint_storage::Incarnation) -> GroupFault {
        let local = self.peers.local();
        GroupFault::IdentityRefused {
            node: local.node,
            known,
            own: local.member.incarnation,
        }
    }
}

/// The incarnation under which a refusing peer knows this node.
fn known_in(refusal: &wire::Refusal) -> Option<holdpoint_storage::Incarnation> {
    if refusal.reason() != Reason::SenderIncarnation {
        return None;
    }
    incarnation(&refusal.known_incarnation)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: io::Error) -> GroupFault {
    GroupFault::Stopped(format!("the log cannot be read: {error}"))
}
