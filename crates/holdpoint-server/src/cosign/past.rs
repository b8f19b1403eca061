//! What this node signed before it was started, as the others know it.
//!
//! A disk that was put back to an earlier time has forgotten what its node signed. So before its first
//! signature a node asks all voters until a majority of them, itself included, has answered, and signs
//! nothing that does not continue the largest head that it hears of. A disk that was put back together
//! with peers that are away, or were put back too, is beyond this.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use holdpoint_receipt::{Name, NodeId};
use tokio::time::sleep;

use super::heads::Head;
use super::nodes::{Nodes, Past};
use super::threads::Desk;

/// How long a node may take to answer.
const ASK: Duration = Duration::from_millis(700);

/// How long to wait before those who did not answer are asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks until a majority has answered, then lets the signer begin.
pub(crate) async fn learn(nodes: Arc<dyn Nodes>, desk: Desk, namespaces: Vec<Name>) {
    let mut heard: BTreeMap<NodeId, BTreeMap<Name, Head>> = BTreeMap::new();
    loop {
        let others = nodes.other_voters();
        let missing = others.iter().filter(|node| !heard.contains_key(node));
        let mut asked: FuturesUnordered<_> = missing
            .map(|node| ask(&nodes, *node, &namespaces))
            .collect();
        while let Some((node, known)) = asked.next().await {
            if let Some(known) = known {
                heard.insert(node, known);
            }
        }
        let voters = others.len().saturating_add(1);
        let answered = others
            .iter()
            .filter(|node| heard.contains_key(node))
            .count();
        if answered.saturating_add(1) > voters / 2 {
            break;
        }
        sleep(PAUSE).await;
    }
    let mut past: BTreeMap<Name, Head> = BTreeMap::new();
    for (namespace, head) in heard.into_values().flatten() {
        let known = past.entry(namespace).or_insert(head);
        if known.size < head.size {
            *known = head;
        }
    }
    if let Err(error) = desk.learn_past(past.into_iter().collect()).await {
        tracing::error!(%error, "this node cannot remember what it signed; it signs nothing");
    }
}

/// What `node` knows of each namespace; none unless it answered about all.
async fn ask(
    nodes: &Arc<dyn Nodes>,
    node: NodeId,
    namespaces: &[Name],
) -> (NodeId, Option<BTreeMap<Name, Head>>) {
    let mut known = BTreeMap::new();
    for namespace in namespaces {
        match nodes.signed_before(node, namespace.clone(), ASK).await {
            Past::Signed(head) => drop(known.insert(namespace.clone(), head)),
            Past::Nothing => (),
            Past::Unheard => return (node, None),
        }
    }
    (node, Some(known))
}
