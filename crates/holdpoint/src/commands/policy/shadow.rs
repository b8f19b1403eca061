//! `policy shadow`: bundles that are evaluated beside the one in force, and change nothing.

use clap::{Args, Subcommand};
use holdpoint_client::ShadowReport;
use holdpoint_receipt::Digest;
use serde_json::{Value, json};

use crate::digests::parse_digest;
use crate::gate::{GateArgs, block_on, call_failed, read_failed};
use crate::output::{Answer, Failure, number};
use crate::progress::showing;
use crate::said::short_sha256;
use crate::visible::visible;

/// Differences that are shown to people.
const SHOWN_MAX: usize = 20;

/// Try a stored bundle on what is decided, without changing any outcome
#[derive(Debug, Subcommand)]
pub(crate) enum ShadowCommand {
    Set(SetArgs),
    Clear(ClearArgs),
    Report(ReportArgs),
}

/// Evaluate these stored bundles beside the one in force, at most two
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The digests of the bundles
    #[arg(value_name = "DIGEST", required = true, num_args = 1..=2, value_parser = parse_digest)]
    digests: Vec<Digest>,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// Evaluate only the bundle in force
#[derive(Debug, Args)]
pub(crate) struct ClearArgs {
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// Show how the shadows differ from what was decided, since the present leader began
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    gate: GateArgs,
}

/// Does it.
pub(crate) fn perform(command: &ShadowCommand) -> Result<Answer, Failure> {
    match command {
        ShadowCommand::Set(args) => set(&args.gate, &args.digests, args.dry_run),
        ShadowCommand::Clear(args) => set(&args.gate, &[], args.dry_run),
        ShadowCommand::Report(args) => report(args),
    }
}

fn set(gate: &GateArgs, digests: &[Digest], dry_run: bool) -> Result<Answer, Failure> {
    let shown: Vec<String> = digests.iter().map(short_sha256).collect();
    let shown = if shown.is_empty() {
        "no shadow".to_owned()
    } else {
        format!("shadow {}", shown.join(" and "))
    };
    block_on(async {
        let reached = showing("connecting", gate.reach()).await?;
        if dry_run {
            let list = showing("reading the list", reached.gate.policies()).await;
            let list = list.map_err(|error| read_failed(&error))?;
            let unknown = digests
                .iter()
                .find(|digest| !list.stored.iter().any(|stored| stored.digest == **digest));
            let line = match unknown {
                Some(digest) => format!("{} is not stored", short_sha256(digest)),
                None => format!("{shown} would be evaluated"),
            };
            return Ok(Answer::new("dry-run")
                .line(format!("{line}; nothing was changed"))
                .member("would_succeed", unknown.is_none()));
        }
        let call = reached.gate.set_shadows(digests);
        let is_replay = showing("changing it", call)
            .await
            .map_err(|error| call_failed(&error, &gate.again))?;
        let was = if is_replay {
            "   (it was so before)"
        } else {
            ""
        };
        let all: Vec<String> = digests.iter().map(Digest::to_string).collect();
        let answer = Answer::new("policy-shadow").line(format!("{shown}{was}"));
        let answer = if digests.is_empty() {
            answer
        } else {
            answer.talk(format!(
                "next: holdpoint policy shadow report{}",
                gate.again
            ))
        };
        Ok(answer.member("digests", all).member("replay", is_replay))
    })
}

fn report(args: &ReportArgs) -> Result<Answer, Failure> {
    let shadows = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        showing("asking the leader", reached.gate.shadows())
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let mut answer = Answer::new("policy-shadow-report");
    for shadow in &shadows {
        answer = answer.line(format!(
            "{} ({})  {} decisions, {} would differ, {} not looked at",
            visible(&shadow.name),
            short_sha256(&shadow.digest),
            shadow.evaluated_count,
            shadow.differing_count,
            shadow.skipped_count
        ));
        for difference in shadow.differences.iter().take(SHOWN_MAX) {
            answer = answer.line(format!(
                "  leaf {}  {}  {} would be {}  {}",
                difference.leaf_index,
                visible(&difference.surface),
                difference.decided,
                difference.shadow,
                visible(&difference.sentence)
            ));
        }
        let rest = shadow.differences.len().saturating_sub(SHOWN_MAX);
        if rest > 0 {
            answer = answer.line(format!("  and {rest} more (--output json has them)"));
        }
    }
    if shadows.is_empty() {
        answer = answer.talk("no bundle is a shadow: holdpoint policy shadow set DIGEST");
    }
    Ok(answer.member("shadows", shadows.iter().map(as_json).collect::<Value>()))
}

fn as_json(shadow: &ShadowReport) -> Value {
    let differences = shadow.differences.iter().map(|difference| {
        json!({
            "leaf_index": number(difference.leaf_index),
            "surface": difference.surface,
            "decided": difference.decided,
            "shadow": difference.shadow,
            "sentence": difference.sentence,
        })
    });
    json!({
        "digest": shadow.digest.to_string(),
        "name": shadow.name,
        "evaluated": number(shadow.evaluated_count),
        "differing": number(shadow.differing_count),
        "skipped": number(shadow.skipped_count),
        "differences": differences.collect::<Value>(),
    })
}
