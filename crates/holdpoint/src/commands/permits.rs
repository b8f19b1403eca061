//! `holdpoint permits`: which permits are in doubt, and which are live.

use clap::{Args, Subcommand};
use holdpoint_client::{PermitFilter, PermitInfo};
use holdpoint_receipt::{ClusterTime, Name};
use serde_json::Value;

use crate::gate::{GateArgs, block_on, read_failed};
use crate::output::{Answer, Failure};
use crate::progress::showing;
use crate::said;

/// Permits that are shown at most unless said otherwise.
const LIMIT_DEFAULT: usize = 1_000;

/// List permits that are in doubt, or live on a surface
#[derive(Debug, Subcommand)]
pub(crate) enum PermitsCommand {
    InDoubt(InDoubtArgs),
    List(ListArgs),
}

/// List permits whose effect nobody has reported in time, the longest in doubt first
///
/// Each holds its bounds until somebody says how it ended: `holdpoint resolve`.
#[derive(Debug, Args)]
pub(crate) struct InDoubtArgs {
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    gate: GateArgs,
}

/// List permits of a surface that are live or hold bounds, the oldest first
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The surface
    #[arg(long, value_name = "NAME")]
    surface: Name,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    gate: GateArgs,
}

#[derive(Debug, Args)]
struct LimitArgs {
    /// Show at most this many
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT)]
    limit: usize,
}

/// Lists them.
pub(crate) fn perform(command: &PermitsCommand) -> Result<Answer, Failure> {
    match command {
        PermitsCommand::InDoubt(args) => {
            let filter = PermitFilter::InDoubt;
            let answer = list("permits-in-doubt", &args.gate, filter, args.limit.limit)?;
            let again = &args.gate.again;
            Ok(answer.talk_if_data(format!(
                "next: find out what happened, then holdpoint resolve PERMIT{again} --committed (or \
                 --aborted, --released) --reason TEXT"
            )))
        }
        PermitsCommand::List(args) => {
            let filter = PermitFilter::Live(args.surface.clone());
            list("permits-list", &args.gate, filter, args.limit.limit)
        }
    }
}

fn list(
    schema: &'static str,
    gate: &GateArgs,
    filter: PermitFilter,
    limit: usize,
) -> Result<Answer, Failure> {
    let (permits, is_cut) = block_on(async {
        let reached = showing("connecting", gate.reach()).await?;
        let mut all = reached.gate.permits(filter);
        let mut permits = Vec::new();
        loop {
            let next = showing("reading the permits", all.next()).await;
            match next.map_err(|error| read_failed(&error))? {
                None => return Ok((permits, false)),
                Some(_) if permits.len() >= limit => return Ok((permits, true)),
                Some(permit) => permits.push(permit),
            }
        }
    })?;
    let mut answer = permits
        .iter()
        .fold(Answer::new(schema), |answer, info| answer.line(line(info)));
    if permits.is_empty() {
        answer = answer.talk("none");
    }
    if is_cut {
        answer = answer.talk(format!(
            "there are more: --limit {}",
            limit.saturating_mul(10)
        ));
    }
    Ok(answer
        .member(
            "permits",
            permits.iter().map(said::permit).collect::<Value>(),
        )
        .member("more", is_cut))
}

fn line(info: &PermitInfo) -> String {
    let at = |word: &str, time: Option<ClusterTime>| {
        time.map_or_else(String::new, |time| format!("   {word} {time}"))
    };
    let life = if info.is_in_doubt {
        let since = info.complete_by.or(Some(info.expires_at));
        format!(
            "{}{}",
            at("in doubt since", since),
            at("released at", info.release_at)
        )
    } else if info.complete_by.is_some() {
        at("complete by", info.complete_by)
    } else {
        let held = info.held_until.filter(|held| *held > info.expires_at);
        format!(
            "{}{}",
            at("expires", Some(info.expires_at)),
            at("bounds held until", held)
        )
    };
    format!(
        "{}  {:<8}  {} {} by {}   fence {}{life}   {}",
        info.id,
        info.state.as_str(),
        info.surface,
        info.action,
        info.caller,
        info.fence,
        said::bounds_line(&info.bounds)
    )
}
