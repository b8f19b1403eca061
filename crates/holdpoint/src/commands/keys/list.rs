//! `holdpoint keys list`: who signs, who signed, and which keys are marked.

use clap::Args;
use holdpoint_client::{Gate, KeyList, NodeKeys, NodeSigning};
use serde_json::{Value, json};

use crate::gate::{GateArgs, block_on, read_failed};
use crate::output::{Answer, Failure};
use crate::progress::showing;

/// List who signs the heads of the log
///
/// What a node tells: the proof is in `holdpoint keys export` and the statements of kind `keys`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    gate: GateArgs,
}

/// Lists them.
pub(crate) fn perform(args: &ListArgs) -> Result<Answer, Failure> {
    let list = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        fetch(&reached.gate).await
    })?;
    let nodes: Vec<Value> = list.nodes.iter().map(|node| member(node, &list)).collect();
    let epochs: Vec<Value> = list.epochs.iter().map(epoch).collect();
    let marks: Vec<Value> = list.marks.iter().map(mark).collect();
    let mut answer = Answer::new("keys-list")
        .member("nodes", nodes)
        .member("epochs", epochs)
        .member("marks", marks)
        .member("signers_required", list.signers_required)
        .member("handover_pending", list.is_handover_pending)
        .member("tree_size", list.tree_size);
    for node in &list.nodes {
        let state = state(node, &list);
        answer = answer.line(format!(
            "node {:<3}  {}  {state}",
            node.keys.node, node.keys.key_id
        ));
    }
    if let Some(newest) = list.epochs.last() {
        let pending = if list.is_handover_pending {
            "; not handed over to them yet"
        } else {
            ""
        };
        answer = answer.line(format!(
            "{} of {} sign heads from size {} on{pending}",
            newest.signers_needed,
            newest.signers.len(),
            newest.tree_size_from
        ));
    }
    for mark in &list.marks {
        answer = answer.line(format!(
            "revoked   {}  of node {}: not valid for heads larger than {}",
            mark.keys.key_id, mark.keys.node, mark.valid_to
        ));
    }
    Ok(answer)
}

/// Fetches the list.
pub(super) async fn fetch(gate: &Gate) -> Result<KeyList, Failure> {
    showing("fetching the keys", gate.list_keys())
        .await
        .map_err(|error| read_failed(&error))
}

fn state(node: &NodeSigning, list: &KeyList) -> &'static str {
    let is_marked = list.marks.iter().any(|mark| mark.keys == node.keys);
    match (is_marked, node.is_retired, node.signs, node.is_voter) {
        (true, ..) => "revoked",
        (_, true, ..) => "retired",
        (_, _, true, _) => "signs",
        (_, _, _, false) => "no voter",
        _ => "announced",
    }
}

fn shown(keys: &NodeKeys) -> Value {
    json!({ "node": keys.node.get(), "key_id": keys.key_id })
}

fn member(node: &NodeSigning, list: &KeyList) -> Value {
    json!({
        "node": node.keys.node.get(),
        "key_id": node.keys.key_id,
        "state": state(node, list),
        "voter": node.is_voter,
    })
}

fn epoch(epoch: &holdpoint_client::SignerEpoch) -> Value {
    json!({
        "tree_size_from": epoch.tree_size_from,
        "signers_needed": epoch.signers_needed,
        "signers": epoch.signers.iter().map(shown).collect::<Vec<_>>(),
        "leaf": epoch.leaf,
        "handed_over": epoch.is_handed_over,
    })
}

fn mark(mark: &holdpoint_client::KeyMark) -> Value {
    json!({
        "node": mark.keys.node.get(),
        "key_id": mark.keys.key_id,
        "valid_to": mark.valid_to,
        "recorded_at": mark.recorded_at,
    })
}
