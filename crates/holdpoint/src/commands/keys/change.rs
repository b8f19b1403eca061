//! `holdpoint keys rotate`, `retire`, `revoke` and `require`: other keys, and other numbers of them.

use clap::Args;
use holdpoint_client::{CallError, KeyList, KeysChanged, NodeKeys};
use holdpoint_receipt::NodeId;
use serde_json::Value;

use super::list::fetch;
use crate::exit::Exit;
use crate::gate::{GateArgs, Reached, block_on, call_failed};
use crate::output::{Answer, Failure};
use crate::progress::showing;

/// Give a node new keys, or every node in turn
///
/// The node makes them itself, and its secret keys never leave it. The change is done when the signers
/// before and after it have both signed; no request fails meanwhile. A node that was retired signs
/// again.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The node
    #[arg(long, value_name = "ID", required_unless_present = "all")]
    node: Option<NodeId>,
    /// Every voter, one after the other
    #[arg(long, conflicts_with = "node")]
    all: bool,
    #[command(flatten)]
    with: With,
}

/// Let a node sign no more
///
/// It votes on. `holdpoint keys rotate` lets it sign again, with new keys.
#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// The node
    #[arg(long, value_name = "ID")]
    node: NodeId,
    #[command(flatten)]
    with: With,
}

/// Mark keys as compromised
///
/// Heads larger than `--after` that they sign do not count any more, nor do receipts under them:
/// `holdpoint receipt refresh` gives those a new proof. A mark is never taken back. If the node still
/// signs with the keys, rotate them first.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The node
    #[arg(long, value_name = "ID")]
    node: NodeId,
    /// Which of its keys, as `holdpoint keys list` names them [default: the present ones]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The largest head that they sign validly
    #[arg(long, value_name = "SIZE")]
    after: u64,
    #[command(flatten)]
    with: With,
}

/// Say how many nodes must sign
#[derive(Debug, Args)]
pub(crate) struct RequireArgs {
    /// How many
    #[arg(long, value_name = "COUNT", required_unless_present = "majority")]
    signers: Option<u32>,
    /// A majority of the voters, which it never falls below
    #[arg(long, conflicts_with = "signers")]
    majority: bool,
    #[command(flatten)]
    with: With,
}

#[derive(Debug, Args)]
struct With {
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

impl With {
    async fn reach(&self) -> Result<(Reached, KeyList), Failure> {
        let reached = showing("connecting", self.gate.reach()).await?;
        let list = fetch(&reached.gate).await?;
        Ok((reached, list))
    }

    fn failed(&self, error: &CallError) -> Failure {
        call_failed(error, &self.gate.again)
    }
}

/// Gives nodes new keys.
pub(crate) fn rotate(args: &RotateArgs) -> Result<Answer, Failure> {
    block_on(async {
        let (reached, list) = args.with.reach().await?;
        let present: Vec<NodeKeys> = if let Some(node) = args.node {
            vec![present(&list, node)?]
        } else {
            let voters = list.nodes.iter().filter(|node| node.is_voter);
            voters.map(|node| node.keys.clone()).collect()
        };
        if args.with.dry_run {
            let ids: Vec<String> = present.iter().map(|keys| keys.node.to_string()).collect();
            let line = format!("node {} would be given new keys", ids.join(", "));
            return Ok(would(&list, &line, !list.is_handover_pending));
        }
        let mut answer = Answer::new("keys-rotate");
        let mut rotated = Vec::new();
        for keys in &present {
            let call = reached.gate.rotate_keys(keys);
            let changed = showing("changing the keys", call).await;
            let changed = changed.map_err(|error| args.with.failed(&error))?;
            let now = self::present(&fetch(&reached.gate).await?, keys.node)?;
            answer = answer.line(format!(
                "ROTATED  node {}: {} in the place of {}{}",
                keys.node,
                now.key_id,
                keys.key_id,
                before(&changed)
            ));
            answer = receipt(answer, &reached, &changed);
            rotated.push(Value::from(now.key_id));
        }
        Ok(answer.member("key_ids", rotated))
    })
}

/// Takes a node out of those that sign.
pub(crate) fn retire(args: &RetireArgs) -> Result<Answer, Failure> {
    let node = args.node;
    block_on(async {
        let (reached, list) = args.with.reach().await?;
        if args.with.dry_run {
            present(&list, node)?;
            let line = format!("node {node} would sign no more");
            return Ok(would(&list, &line, can_miss(&list, node)));
        }
        let changed = showing("changing the keys", reached.gate.retire_keys(node)).await;
        let changed = changed.map_err(|error| args.with.failed(&error))?;
        let line = format!("RETIRED  node {node}{}", before(&changed));
        Ok(receipt(
            Answer::new("keys-retire").line(line),
            &reached,
            &changed,
        ))
    })
}

/// Marks keys.
pub(crate) fn revoke(args: &RevokeArgs) -> Result<Answer, Failure> {
    let (node, after) = (args.node, args.after);
    block_on(async {
        let (reached, list) = args.with.reach().await?;
        let now = present(&list, node)?;
        let keys = match &args.key {
            Some(key) => of_id(&list, node, key)?,
            None => now.clone(),
        };
        if args.with.dry_run {
            let line = format!(
                "keys {} of node {node} would not be valid for heads larger than {after}",
                keys.key_id
            );
            let fits = after <= list.tree_size && (keys != now || can_miss(&list, node));
            return Ok(would(&list, &line, fits));
        }
        let call = reached.gate.revoke_keys(&keys, after);
        let changed = showing("changing the keys", call).await;
        let changed = changed.map_err(|error| args.with.failed(&error))?;
        // A mark that stands is not moved.
        let mark = list.marks.iter().find(|mark| mark.keys == keys);
        let after = mark.map_or(after, |mark| mark.valid_to);
        let line = format!(
            "REVOKED  keys {} of node {node} for heads larger than {after}{}",
            keys.key_id,
            before(&changed)
        );
        let answer = Answer::new("keys-revoke")
            .line(line)
            .member("key_id", keys.key_id);
        Ok(receipt(answer, &reached, &changed))
    })
}

/// Says how many must sign.
pub(crate) fn require(args: &RequireArgs) -> Result<Answer, Failure> {
    let shown = args.signers.map_or_else(
        || "a majority of the voters".to_owned(),
        |signers| format!("at least {signers}"),
    );
    block_on(async {
        let (reached, list) = args.with.reach().await?;
        if args.with.dry_run {
            let signing = list.nodes.iter().filter(|node| node.signs).count();
            let fits = args.signers.is_none_or(|needed| needed as usize <= signing);
            return Ok(would(&list, &format!("{shown} would have to sign"), fits));
        }
        let call = reached.gate.require_signers(args.signers);
        let changed = showing("changing the number", call).await;
        let changed = changed.map_err(|error| args.with.failed(&error))?;
        let line = format!("REQUIRED  {shown}{}", before(&changed));
        let answer = Answer::new("keys-require")
            .line(line)
            .member("signers", args.signers);
        Ok(receipt(answer, &reached, &changed))
    })
}

/// The present keys of a node.
fn present(list: &KeyList, node: NodeId) -> Result<NodeKeys, Failure> {
    let found = list.nodes.iter().find(|known| known.keys.node == node);
    found.map(|known| known.keys.clone()).ok_or_else(|| {
        let message = format!("the cluster does not know node {node}; see `holdpoint keys list`");
        Failure::says(Exit::Failure, message)
    })
}

/// The keys of a node that have this name.
fn of_id(list: &KeyList, node: NodeId, key: &str) -> Result<NodeKeys, Failure> {
    let present = list.nodes.iter().map(|known| &known.keys);
    let earlier = list.epochs.iter().flat_map(|epoch| &epoch.signers);
    let mut all = present.chain(earlier);
    let found = all.find(|keys| keys.node == node && keys.key_id == key);
    found.cloned().ok_or_else(|| {
        let message = format!(
            "node {node} never had keys `{key}`; `holdpoint keys list --output json` names them all"
        );
        Failure::says(Exit::Failure, message)
    })
}

/// Whether enough would sign without `node`.
fn can_miss(list: &KeyList, node: NodeId) -> bool {
    let others = list
        .nodes
        .iter()
        .filter(|known| known.signs && known.keys.node != node);
    let needed = list.epochs.last().map_or(1, |epoch| epoch.signers_needed);
    others.count() >= needed as usize
}

/// What a change would do.
fn would(list: &KeyList, line: &str, fits: bool) -> Answer {
    let pending = if list.is_handover_pending {
        " once the change before it is handed over"
    } else {
        ""
    };
    let refused = if fits {
        ""
    } else {
        ", which the gate would refuse now"
    };
    Answer::new("dry-run")
        .line(format!("{line}{pending}{refused}; nothing was changed"))
        .member("would_succeed", fits)
}

const fn before(changed: &KeysChanged) -> &'static str {
    if changed.is_replay {
        "   (it was before)"
    } else {
        ""
    }
}

fn receipt(answer: Answer, reached: &Reached, changed: &KeysChanged) -> Answer {
    let answer = match &changed.receipt {
        Some(receipt) => {
            let leaf = receipt.statement().place.leaf_index();
            reached
                .shelf
                .kept(answer, &format!("keys-leaf-{leaf}"), receipt)
        }
        None => answer.member("receipt", Value::Null),
    };
    answer.member("replay", changed.is_replay)
}
