//! `holdpoint watch`: the log of statements as it grows.

mod event;

use clap::{Args, ValueEnum};
use holdpoint_client::{Watch, WatchEnded, WatchFilter, Watched};
use holdpoint_receipt::statement::Kind;
use holdpoint_receipt::{Decision, Name};
use serde_json::{Value, json};

use crate::again::Again;
use crate::args::Output;
use crate::describe::describe;
use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, read_failed};
use crate::output::{Answer, Failure, number, stream, tell};
use crate::progress::showing;
use crate::run::signals::{self, Signals};

/// Follow the log of statements: decisions, redemptions, outcomes and all else
///
/// Prints one line for each statement, in the order of the log and without gaps, and goes on at
/// another node when one ends. Each receipt is verified. Ctrl-C ends it and says where to resume.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Begin at this leaf of the log, from 0 [default: the next one that is made]
    #[arg(long, value_name = "LEAF")]
    from: Option<u64>,
    /// End after this many statements
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Only statements about this surface; can be repeated
    #[arg(long = "surface", value_name = "NAME")]
    surfaces: Vec<Name>,
    /// Only statements of this kind, such as `decision` or `redeemed`; can be repeated
    #[arg(long = "kind", value_name = "KIND", value_parser = parse_kind)]
    kinds: Vec<Kind>,
    /// Only decisions that are this; statements of other kinds are not left out
    #[arg(long, value_enum, value_name = "DECISION")]
    decision: Option<Wanted>,
    /// Ask for no proofs: what is printed is as the node says it
    #[arg(long)]
    unproved: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// A decision that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wanted {
    Permit,
    Deny,
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|()| {
        let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!(
            "`{text}` is no kind of statement: give one of {}",
            all.join(", ")
        )
    })
}

impl WatchArgs {
    fn filter(&self) -> WatchFilter {
        WatchFilter {
            kinds: self.kinds.clone(),
            surfaces: self.surfaces.clone(),
            decision: self.decision.map(|wanted| match wanted {
                Wanted::Permit => Decision::Permit,
                Wanted::Deny => Decision::Deny,
            }),
            without_receipts: self.unproved,
        }
    }
}

/// How following ended.
enum End {
    /// As many as were asked for, or nobody reads any more.
    Enough,
    Interrupted(rustix::process::Signal),
}

/// Follows it.
pub(crate) fn perform(args: &WatchArgs, output: Output) -> Result<Answer, Failure> {
    block_on(async {
        let mut signals = Signals::listen()?;
        let reached = showing("connecting", args.gate.reach()).await?;
        let mut watch = reached.gate.watch(args.from, args.filter());
        let end = follow(args, output, &mut watch, &mut signals).await?;
        let resume = watch.next_leaf();
        if let (Some(leaf), Output::Human) = (resume, output) {
            tell(format!("next: {}", again(leaf, &args.gate.again)));
        }
        let exit = match end {
            End::Enough => Exit::Success,
            End::Interrupted(signal) => Exit::Signal(signals::number(signal)),
        };
        Ok(Answer::silent(exit))
    })
}

async fn follow(
    args: &WatchArgs,
    output: Output,
    watch: &mut Watch<'_>,
    signals: &mut Signals,
) -> Result<End, Failure> {
    let mut count = 0_u64;
    while args.count.is_none_or(|wanted| count < wanted) {
        let next = tokio::select! {
            next = watch.next() => next,
            signal = signals.next() => return Ok(End::Interrupted(signal)),
        };
        let watched = next.map_err(|ended| failed(&ended, &args.gate.again))?;
        if !stream(shown(&watched, output)?)? {
            return Ok(End::Enough);
        }
        count = count.saturating_add(1);
    }
    Ok(End::Enough)
}

fn shown(watched: &Watched, output: Output) -> Result<String, Failure> {
    let statement = &watched.statement;
    let leaf = statement.place.leaf_index();
    Ok(match output {
        Output::Human => format!("{leaf:>8}  {}", describe(statement)),
        Output::Json => json!({
            "schema": "holdpoint.watch/1",
            "leaf_index": number(leaf),
            "kind": statement.body.kind().as_str(),
            "sentence": describe(statement),
            "receipt_hash": watched.hash.to_string(),
            "verified": watched.receipt.is_some(),
            "statement": serde_json::from_str::<Value>(&statement.to_canonical())?,
        })
        .to_string(),
        Output::CloudEvents => event::of(watched)?.to_string(),
    })
}

fn again(leaf: u64, again: &Again) -> String {
    format!("holdpoint watch --from {leaf}{again}")
}

fn failed(ended: &WatchEnded, options: &Again) -> Failure {
    let next = match (ended.first_kept, ended.next_leaf) {
        (Some(first), _) => Some(format!(
            "{} begins at the first leaf that is still kept",
            again(first, options)
        )),
        (None, Some(leaf)) => Some(again(leaf, options)),
        (None, None) => None,
    };
    read_failed(&ended.cause).next(next)
}
