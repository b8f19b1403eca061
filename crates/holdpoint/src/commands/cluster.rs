//! `holdpoint cluster`: which nodes there are, and letting nodes come and go.

use clap::{Args, Subcommand};
use holdpoint_client::{ClusterStatus, MemberChange, MembersAnswer, NodeReport, Reach};
use holdpoint_receipt::NodeId;
use serde_json::{Value, json};

use crate::commands::serve::parse_node;
use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, call_failed, not_connected};
use crate::output::{Answer, Failure, number};
use crate::progress::showing;

/// Show the members, and let nodes come and go
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    Members(MembersArgs),
    Add(AddArgs),
    Promote(PromoteArgs),
    Remove(RemoveArgs),
}

/// Show who belongs to the cluster, who has a vote, and which ids were used before
#[derive(Debug, Args)]
pub(crate) struct MembersArgs {
    #[command(flatten)]
    gate: GateArgs,
}

/// Let a new node get the log, without a vote
///
/// The node must run, with a cluster file that lists it beside the members and an empty data directory.
/// Its id must never have been used before.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    which: Which,
}

/// Give a node that was added a vote
///
/// Waits, at most half of --deadline, until it has caught up and the cluster knows its keys.
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    #[command(flatten)]
    which: Which,
}

/// Take a node out, for ever
///
/// Its process ends by itself. Its id and its directory are never used again; a machine that is to
/// come back gets a new id.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// The node
    #[arg(long, value_name = "N", value_parser = parse_node)]
    node: NodeId,
    /// Ask the leader whether it could be done now, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// Does it.
pub(crate) fn perform(command: &ClusterCommand) -> Result<Answer, Failure> {
    match command {
        ClusterCommand::Members(args) => members(args),
        ClusterCommand::Add(args) => change(&args.which, MemberChange::Add),
        ClusterCommand::Promote(args) => change(&args.which, MemberChange::Promote),
        ClusterCommand::Remove(args) => change(&args.which, MemberChange::Remove),
    }
}

fn members(args: &MembersArgs) -> Result<Answer, Failure> {
    let status = block_on(async {
        let builder = args.gate.builder(&args.gate.found()?)?;
        showing("asking the nodes", builder.status(Reach::Learned))
            .await
            .map_err(|error| not_connected(&error))
    })?;
    let report = newest(&status)
        .ok_or_else(|| Failure::says(Exit::Unreachable, "UNREACHABLE: no node answered"))?;
    Ok(listed(report))
}

/// Who knows best: the leader, or whoever heard of the newest term.
fn newest(status: &ClusterStatus) -> Option<&NodeReport> {
    let newest = || status.reports().max_by_key(|report| report.term);
    status.leader().or_else(newest)
}

fn listed(report: &NodeReport) -> Answer {
    let mut answer = Answer::new("cluster-members");
    for member in &report.members {
        let lag = member.lag.map(|lag| format!(", {lag} entries behind"));
        answer = answer.line(format!(
            "{:<4} {:<8} {}{}",
            member.id,
            member.role,
            member.client,
            lag.filter(|_| member.lag > Some(0)).unwrap_or_default()
        ));
    }
    if report.is_membership_changing {
        answer = answer.line("a change is half way; the leader finishes it");
    }
    if !report.removed_nodes.is_empty() {
        let removed: Vec<String> = report.removed_nodes.iter().map(NodeId::to_string).collect();
        answer = answer.line(format!(
            "removed, never to be used again: {}",
            removed.join(", ")
        ));
    }
    let rows = report.members.iter().map(|member| {
        json!({
            "id": number(member.id.get()),
            "role": member.role,
            "address": member.client,
            "lag": member.lag.map(number),
            "signing": member.signing,
        })
    });
    answer
        .member("members", rows.collect::<Value>())
        .member("removed", numbers(&report.removed_nodes))
        .member("changing", report.is_membership_changing)
}

fn change(which: &Which, change: MemberChange) -> Result<Answer, Failure> {
    let made = block_on(async {
        let reached = showing("connecting", which.gate.reach()).await?;
        let call = reached
            .gate
            .change_members(change, which.node, which.dry_run);
        showing("changing the members", call)
            .await
            .map_err(|error| call_failed(&error, &which.gate.again))
    })?;
    Ok(said(which.node, change, which.dry_run, &made))
}

fn said(node: NodeId, change: MemberChange, is_dry_run: bool, made: &MembersAnswer) -> Answer {
    let (schema, word, now) = match change {
        MemberChange::Add => ("cluster-add", "ADDED", "is a member"),
        MemberChange::Promote => ("cluster-promote", "PROMOTED", "has a vote"),
        MemberChange::Remove => ("cluster-remove", "REMOVED", "is no member"),
    };
    let line = match (is_dry_run, made.is_replay) {
        (true, true) => format!("node {node} {now} already; nothing was changed"),
        (true, false) => format!(
            "node {node} could be {} now; nothing was changed",
            word.to_lowercase()
        ),
        (false, true) => format!("{word}  node {node}   (it was before)"),
        (false, false) => format!("{word}  node {node}"),
    };
    let answer = if is_dry_run {
        Answer::new("dry-run").member("would_change", !made.is_replay)
    } else {
        Answer::new(schema).member("replay", made.is_replay)
    };
    let shown = |nodes: &[NodeId]| match nodes {
        [] => "none".to_owned(),
        nodes => {
            let nodes: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
            nodes.join(", ")
        }
    };
    answer
        .line(line)
        .line(format!(
            "voters {}; learners {}",
            shown(&made.voters),
            shown(&made.learners)
        ))
        .member("node", number(node.get()))
        .member("voters", numbers(&made.voters))
        .member("learners", numbers(&made.learners))
}

fn numbers(nodes: &[NodeId]) -> Value {
    nodes.iter().map(|node| number(node.get())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_says_what_became_of_the_node_and_who_votes() {
        let id = |node| NodeId::new(node).unwrap();
        let made = MembersAnswer {
            voters: vec![id(1), id(2)],
            learners: Vec::new(),
            is_replay: false,
        };
        let object = said(id(3), MemberChange::Remove, false, &made).object();
        assert_eq!(object["voters"], json!(["1", "2"]));
        assert_eq!(object["node"], "3");
        let object = said(id(3), MemberChange::Remove, true, &made).object();
        assert_eq!(object["would_change"], true);
    }
}
