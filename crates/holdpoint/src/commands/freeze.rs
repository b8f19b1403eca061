//! `holdpoint freeze` and `holdpoint thaw`: stop grants, and let them go on.

use clap::Args;
use holdpoint_receipt::Name;
use serde_json::Value;

use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, call_failed, read_failed};
use crate::output::{Answer, Failure};
use crate::progress::showing;

/// Stop all grants, or those of one surface
///
/// Every request there is SILENCE FROZEN. Permits that were granted can still be redeemed, completed
/// and revoked. `holdpoint thaw` lets grants go on.
#[derive(Debug, Args)]
pub(crate) struct FreezeArgs {
    #[command(flatten)]
    which: Which,
}

/// Let grants go on that `holdpoint freeze` stopped
///
/// What was frozen as a whole is thawed as a whole, and a surface by its name.
#[derive(Debug, Args)]
pub(crate) struct ThawArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// Only this surface
    #[arg(long, value_name = "NAME")]
    surface: Option<Name>,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// Stops grants.
pub(crate) fn freeze(args: &FreezeArgs) -> Result<Answer, Failure> {
    set(&args.which, true)
}

/// Lets them go on.
pub(crate) fn thaw(args: &ThawArgs) -> Result<Answer, Failure> {
    set(&args.which, false)
}

fn set(which: &Which, is_frozen: bool) -> Result<Answer, Failure> {
    let surface = which.surface.as_ref();
    let shown = surface.map_or_else(
        || "every surface".to_owned(),
        |name| format!("surface {name}"),
    );
    block_on(async {
        let reached = showing("connecting", which.gate.reach()).await?;
        if which.dry_run {
            return would_set(which, &reached.gate, is_frozen, &shown).await;
        }
        let call = reached.gate.freeze(surface, is_frozen);
        let changed = showing("changing it", call)
            .await
            .map_err(|error| call_failed(&error, &which.gate.again))?;
        let word = if is_frozen { "FROZEN" } else { "THAWED" };
        let was = if changed.is_replay {
            "   (it was before)"
        } else {
            ""
        };
        let answer = Answer::new(if is_frozen { "freeze" } else { "thaw" })
            .line(format!("{word}  {shown}{was}"));
        let answer = match &changed.receipt {
            Some(receipt) => {
                let leaf = receipt.statement().place.leaf_index();
                let name = format!("{}-leaf-{leaf}", word.to_lowercase());
                reached.shelf.kept(answer, &name, receipt)
            }
            None => answer.member("receipt", Value::Null),
        };
        Ok(answer
            .member("frozen", is_frozen)
            .member("surface", surface.map(Name::to_string))
            .member("replay", changed.is_replay))
    })
}

/// What the change would do, by the leader's own report.
async fn would_set(
    which: &Which,
    gate: &holdpoint_client::Gate,
    is_frozen: bool,
    shown: &str,
) -> Result<Answer, Failure> {
    // A read first: it fails where nothing could be changed either.
    let version = showing("reading the policy", gate.policies()).await;
    version.map_err(|error| read_failed(&error))?;
    let status = showing("asking the nodes", gate.status()).await;
    let report = status.leader().ok_or_else(|| {
        Failure::says(
            Exit::Silence,
            "NO_QUORUM: no node leads, so it is not known what is frozen",
        )
    })?;
    let now = match &which.surface {
        None => report.is_frozen,
        Some(name) => report
            .frozen_surfaces
            .iter()
            .any(|frozen| frozen == name.as_str()),
    };
    let word = if is_frozen { "frozen" } else { "thawed" };
    let line = if now == is_frozen {
        format!("{shown}: it is {word} already")
    } else {
        format!("{shown} would be {word}")
    };
    Ok(Answer::new("dry-run")
        .line(format!("{line}; nothing was changed"))
        .member("frozen", now)
        .member("would_change", now != is_frozen))
}
