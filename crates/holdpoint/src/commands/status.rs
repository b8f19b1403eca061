//! `holdpoint status`: the cluster as its nodes see it, and whether it can decide.

mod audit;
mod table;

use clap::Args;
use holdpoint_client::{
    ClusterStatus, Fault, Member, NodeAnswer, NodeReport, Reach, StatusError, WitnessReport,
};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, not_connected};
use crate::output::{Answer, Failure, number};
use crate::progress::showing;
use crate::said;
use crate::times::show_duration;

use table::{Row, rows, table};

/// Show the cluster: nodes, leader, policy, and whether decisions go on
///
/// Asks every node it can find, and never waits for a quorum. Exit code 0: all is well; 10: decisions
/// go on without some node; 11: nothing can be decided; 122: no node could be reached.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Ask only the nodes of --endpoint, and follow nobody
    #[arg(long)]
    this_node: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// Asks, and judges what came back.
pub(crate) fn perform(args: &StatusArgs) -> Result<Answer, Failure> {
    let reach = if args.this_node {
        Reach::Named
    } else {
        Reach::Learned
    };
    let status = block_on(async {
        let builder = args.gate.builder(&args.gate.found()?)?;
        showing("asking the nodes", builder.status(reach))
            .await
            .map_err(|error| not_connected(&error))
    })?;
    let health = health(&status, args.this_node);
    let Some(report) = status.leader().or_else(|| status.reports().next()) else {
        return Ok(nobody(&status, health));
    };
    let rows = rows(&status, report);
    let mut answer = Answer::new("status")
        .exit(health.exit())
        .line(heading(report));
    let lines = table(&rows).into_iter().chain(moment(report));
    for line in lines.chain(audit::lines(&status)) {
        answer = answer.line(line);
    }
    if let Some(words) = health.words(true) {
        answer = answer.line(words);
    }
    Ok(members(answer, report)
        .member("health", health.as_str())
        .member("nodes", rows.iter().map(Row::json).collect::<Value>()))
}

/// What the answers together say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Good,
    Degraded,
    NoQuorum,
    Unreachable,
}

impl Health {
    const fn exit(self) -> Exit {
        match self {
            Self::Good => Exit::Success,
            Self::Degraded => Exit::Degraded,
            Self::NoQuorum => Exit::NoQuorum,
            Self::Unreachable => Exit::Unreachable,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Degraded => "degraded",
            Self::NoQuorum => "no quorum",
            Self::Unreachable => "unreachable",
        }
    }

    const fn words(self, somebody_answered: bool) -> Option<&'static str> {
        match self {
            Self::Good => None,
            Self::Degraded => Some("degraded: decisions go on, but not every node takes part"),
            Self::NoQuorum if !somebody_answered => Some("no quorum: no node answered in time"),
            Self::NoQuorum => Some(
                "no quorum: no node that answered can decide, or too few sign; every request is \
                     SILENCE",
            ),
            Self::Unreachable => Some("unreachable: no node answered"),
        }
    }
}

fn health(status: &ClusterStatus, only_named: bool) -> Health {
    let mut reports = status.reports().peekable();
    if reports.peek().is_none() {
        let left = |node: &NodeAnswer| {
            !matches!(node.report, Err(StatusError::Fault(Fault::Unreachable(_))))
        };
        return if status.nodes.iter().any(left) {
            Health::NoQuorum
        } else {
            Health::Unreachable
        };
    }
    // A single node that follows cannot say more than whom it follows.
    let decides =
        |report: &NodeReport| report.is_serving || (only_named && report.leader_id.is_some());
    if !status.reports().any(decides) || status.reports().any(lacks_signers) {
        return Health::NoQuorum;
    }
    let signs = |member: &Member| member.signing == "ok" || member.signing.is_empty();
    let well = status.nodes.iter().all(|node| {
        node.report.as_ref().is_ok_and(|report| {
            report
                .members
                .iter()
                .filter(|member| member.id == report.node_id)
                .all(signs)
        })
    });
    if well { Health::Good } else { Health::Degraded }
}

/// Whether a leader sees too few nodes that sign: what is decided is then not answered.
fn lacks_signers(report: &NodeReport) -> bool {
    let signing = report
        .members
        .iter()
        .filter(|member| member.signing == "ok");
    report.is_serving && signing.count() < report.signers_needed as usize
}

fn heading(report: &NodeReport) -> String {
    let leader = match report.leader_id {
        Some(leader) => format!("leader {leader} (term {})", report.term),
        None => format!("no leader (term {})", report.term),
    };
    let policy = match &report.policy {
        Some(policy) => format!(
            "policy {} v{} ({})",
            policy.name,
            policy.version,
            said::short_sha256(&policy.digest)
        ),
        None => "no policy".to_owned(),
    };
    format!(
        "cluster {} feature level {} · {leader} · failure tolerance {} · {policy}",
        report.cluster_id, report.feature_level, report.failure_tolerance
    )
}

/// What an operator should know of the moment, one line each; nothing where all is usual.
fn moment(report: &NodeReport) -> Vec<String> {
    let mut lines = Vec::new();
    if report.is_frozen {
        lines.push("frozen: nothing is granted; holdpoint thaw lets it go on".to_owned());
    }
    if !report.frozen_surfaces.is_empty() {
        let surfaces = report.frozen_surfaces.join(", ");
        lines.push(format!("frozen: nothing is granted on {surfaces}"));
    }
    if !report.draining_surfaces.is_empty() {
        let surfaces = report.draining_surfaces.join(", ");
        lines.push(format!(
            "draining: nothing is granted on {surfaces} until their permits have ended; holdpoint \
             policy history shows why"
        ));
    }
    let counts = [
        (u64::from(report.in_doubt_count), "in doubt"),
        (report.conflict_count, "conflicts"),
        (report.dispute_count, "disputed"),
        (report.waiting_count, "waiting"),
        (report.pending_approval_count, "to be approved"),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if !counts.is_empty() {
        lines.push(counts.join(" · "));
    }
    lines.extend(report.witnesses.iter().map(witness));
    if report.time_lead_ms > 0 {
        lines.push(format!(
            "cluster time is {} ahead of the clocks; until they have caught up, new attempts may end \
             at once",
            show_duration(report.time_lead_ms)
        ));
    }
    lines
}

/// How far one witness is.
fn witness(witness: &WitnessReport) -> String {
    let name = &witness.name;
    let standing = match (witness.signed_size, witness.lag, witness.lag_seconds) {
        (Some(size), Some(0), _) => format!("signed all {size} leaves"),
        (_, Some(lag), Some(seconds)) => {
            format!(
                "{lag} leaves behind, for {}",
                show_duration(seconds.saturating_mul(1_000))
            )
        }
        (_, _, _) => "not known to the node that answered".to_owned(),
    };
    let trouble = match witness.trouble.as_str() {
        "" => String::new(),
        trouble => format!(" ({trouble})"),
    };
    format!("witness {name}: {standing}{trouble}")
}

fn witness_json(witness: &WitnessReport) -> Value {
    json!({
        "name": witness.name,
        "signed_size": witness.signed_size.map(number),
        "lag": witness.lag.map(number),
        "lag_seconds": witness.lag_seconds.map(number),
        "trouble": witness.trouble,
    })
}

fn members(answer: Answer, report: &NodeReport) -> Answer {
    answer
        .member("frozen", report.is_frozen)
        .member("frozen_surfaces", report.frozen_surfaces.as_slice())
        .member("draining_surfaces", report.draining_surfaces.as_slice())
        .member("waiting", number(report.waiting_count))
        .member("pending_approvals", number(report.pending_approval_count))
        .member("conflicts", number(report.conflict_count))
        .member("disputes", number(report.dispute_count))
        .member("in_doubt", report.in_doubt_count)
        .member(
            "witnesses",
            report.witnesses.iter().map(witness_json).collect::<Value>(),
        )
        .member("time_lead_ms", number(report.time_lead_ms))
        .member("cluster_id", report.cluster_id.to_string())
        .member("node_id", number(report.node_id.get()))
        .member(
            "leader_id",
            report.leader_id.map(|leader| number(leader.get())),
        )
        .member("term", number(report.term))
        .member("serving", report.is_serving)
        .member("feature_level", report.feature_level)
        .member("failure_tolerance", report.failure_tolerance)
        .member("tree_size", number(report.tree_size))
        .member("cluster_time_ms", said::time(report.cluster_time))
        .member("build", report.build.as_str())
        .member(
            "policy",
            report.policy.as_ref().map(|policy| {
                json!({
                    "version": number(policy.version.get()),
                    "digest": policy.digest.to_string(),
                    "name": policy.name,
                })
            }),
        )
}

/// No node answered at all.
fn nobody(status: &ClusterStatus, health: Health) -> Answer {
    let rows: Vec<Row<'_>> = status.nodes.iter().map(Row::unknown).collect();
    let answer = table(&rows)
        .into_iter()
        .fold(Answer::new("status"), Answer::line);
    answer
        .exit(health.exit())
        .line(health.words(false).unwrap_or_default())
        .member("health", health.as_str())
        .member("serving", false)
        .member("leader_id", Value::Null)
        .member("nodes", rows.iter().map(Row::json).collect::<Value>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_that_did_not_answer_keeps_its_place_in_the_table() {
        let address = "127.0.0.1:7431".parse().unwrap();
        let fault = StatusError::Fault(Fault::Unreachable("connection refused".to_owned()));
        let took = std::time::Duration::from_millis(3_100);
        let status = ClusterStatus {
            nodes: vec![NodeAnswer {
                address,
                report: Err(fault),
                took,
            }],
        };
        assert_eq!(health(&status, false), Health::Unreachable);
        let answer = nobody(&status, Health::Unreachable).object();
        assert_eq!(
            answer["nodes"][0]["fault"],
            "did not answer (connection refused, 3.1 s)"
        );
        assert_eq!(answer["health"], "unreachable");
    }
}
