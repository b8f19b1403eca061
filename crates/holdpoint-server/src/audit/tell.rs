//! Tells the leader what this node disputes, until the log shows it.
//!
//! The leader's answer is not believed: a leader that was tampered with could say anything. What
//! counts is what this node has applied. Raft lets only a leader give leadership up, so of one that
//! will not put a dispute into the log a follower can do no more than go on and raise the alarm.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use holdpoint_core::{GroupId, Query};
use holdpoint_policy::EVALUATOR_VERSION;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::dispute_answer::Answer;
use holdpoint_raft::{Leadership, NodeAnswer, NodeQuestion};
use holdpoint_receipt::NodeId;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::batch::Found;
use crate::gate::Gate;
use crate::limits::DISPUTES_TOLD_MAX;

/// How long the leader has to put a dispute into the log, and this node to apply it.
const RECORDED: Duration = Duration::from_millis(500);

/// The pause before a leader is asked again that has refused so often.
const REFUSED: Duration = Duration::from_secs(10);

/// Refusals after which the leader counts as one that refuses.
const REFUSALS: u32 = 3;

/// Tells whatever is found, some of it at once.
pub(super) async fn run(gate: &Gate, mut found: Receiver<Found>) {
    let found = stream::poll_fn(move |context| found.poll_recv(context));
    found
        .for_each_concurrent(DISPUTES_TOLD_MAX, |found| tell(gate, found))
        .await;
}

/// Tells one, until the log shows it or the decision is not kept any more.
async fn tell(gate: &Gate, found: Found) {
    let mut refusals = 0_u32;
    // Another node may have been quicker.
    while !is_settled(gate, &found).await {
        let until = Instant::now() + RECORDED;
        let said = timeout_at(until, ask(gate, &found)).await;
        let why = match said {
            Ok(Ok(())) => "it said that it did".to_owned(),
            Ok(Err(why)) => why,
            Err(_) => "it did not answer in time".to_owned(),
        };
        if is_shown(gate, &found, until).await {
            break;
        }
        refusals = refusals.saturating_add(1);
        let (namespace, leaf) = (&found.namespace, found.leaf);
        if refusals >= REFUSALS {
            tracing::error!(
                %namespace, leaf, refusals, why,
                "ALARM: the leader does not put a disputed decision into the log; its surface is not \
                 frozen. Take the leader away"
            );
            sleep(REFUSED).await;
        } else {
            tracing::warn!(%namespace, leaf, why, "a dispute is not in the log yet; told again");
        }
    }
    gate.audit().told();
}

/// Asks whoever leads.
async fn ask(gate: &Gate, found: &Found) -> Result<(), String> {
    let group = gate.group();
    let mut leadership = group.leadership();
    let known = leadership.wait_for(|known| *known != Leadership::Unknown);
    let leader = match &*known.await.map_err(|_| "the node is stopping".to_owned())? {
        Leadership::Follows(leader) => leader.node,
        Leadership::Leads { .. } | Leadership::Unknown => group.local().node.get(),
    };
    let leader = NodeId::new(leader).map_err(|error| error.to_string())?;
    let question = NodeQuestion::Dispute(wire::Dispute {
        namespace: found.namespace.to_string(),
        leaf: found.leaf,
        evaluator_version: EVALUATOR_VERSION,
    });
    match group.ask_node(leader, question, RECORDED).await {
        Ok(NodeAnswer::Dispute(wire::DisputeAnswer {
            answer: Some(Answer::Recorded(_)),
        })) => Ok(()),
        Ok(NodeAnswer::Dispute(wire::DisputeAnswer {
            answer: Some(Answer::Declined(declined)),
        })) => Err(declined.detail),
        Ok(_) => Err("it answered something else".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether this node's own state shows the dispute by `until`, or the decision any more at all.
async fn is_shown(gate: &Gate, found: &Found, until: Instant) -> bool {
    let mut applied = gate.group().applied();
    loop {
        applied.borrow_and_update();
        if is_settled(gate, found).await {
            return true;
        }
        let left = until.saturating_duration_since(Instant::now());
        match timeout(left, applied.changed()).await {
            Ok(Ok(())) => (),
            Ok(Err(_)) | Err(_) => return false,
        }
    }
}

async fn is_settled(gate: &Gate, found: &Found) -> bool {
    let (group, found) = (gate.group().clone(), found.clone());
    let read = gate.reads().run(move || {
        let read = group.local_view(|view| {
            let state = Query::new(&view, GroupId::FIRST);
            let Some(log) = state.namespace(&found.namespace)? else {
                return Ok(false);
            };
            Ok(log.dispute(found.leaf)?.is_some() || log.statement(found.leaf)?.is_none())
        });
        read.ok()
            .and_then(Result::<bool, crate::evaluate::ReadFault>::ok)
    });
    read.await.ok().flatten().unwrap_or(false)
}
