//! `holdpoint get`: reads what the gate has, as of now.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use holdpoint_client::{PermitInfo, ReceiptOf};
use holdpoint_receipt::{BoundKey, Name, PermitId, Request};
use serde_json::Value;

use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, read_failed};
use crate::output::{Answer, Failure, number, optional};
use crate::progress::showing;
use crate::said;
use crate::shelf;
use crate::times::time_of_day;
use crate::visible::visible;

/// Read a permit, a bounded operation or a receipt
#[derive(Debug, Subcommand)]
pub(crate) enum GetCommand {
    Permit(PermitArgs),
    Operation(OperationArgs),
    Receipt(ReceiptArgs),
}

/// Read a permit with its request
#[derive(Debug, Args)]
pub(crate) struct PermitArgs {
    /// The permit, `pmt_…`
    #[arg(value_name = "PERMIT")]
    permit: PermitId,
    #[command(flatten)]
    gate: GateArgs,
}

/// Read who holds a bounded operation
#[derive(Debug, Args)]
pub(crate) struct OperationArgs {
    /// The surface
    #[arg(value_name = "SURFACE")]
    surface: Name,
    /// Name of the bound in the bundle
    #[arg(value_name = "BOUND")]
    bound: Name,
    /// The rendered key, such as `workspace/prod-eu`
    #[arg(value_name = "KEY", value_parser = parse_key)]
    key: BoundKey,
    #[command(flatten)]
    gate: GateArgs,
}

/// Read a receipt again, proved under the newest head
#[derive(Debug, Args)]
pub(crate) struct ReceiptArgs {
    /// The newest receipt of this permit
    #[arg(
        value_name = "PERMIT",
        required_unless_present = "leaf",
        conflicts_with = "leaf"
    )]
    permit: Option<PermitId>,
    /// The receipt at this leaf of the namespace's log, from 0
    #[arg(long, value_name = "N")]
    leaf: Option<u64>,
    /// Write it to this file and not to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    gate: GateArgs,
}

fn parse_key(text: &str) -> Result<BoundKey, String> {
    BoundKey::new(text).map_err(|error| error.to_string())
}

/// Reads it.
pub(crate) fn perform(command: &GetCommand) -> Result<Answer, Failure> {
    match command {
        GetCommand::Permit(args) => permit(args),
        GetCommand::Operation(args) => operation(args),
        GetCommand::Receipt(args) => receipt(args),
    }
}

fn permit(args: &PermitArgs) -> Result<Answer, Failure> {
    let reading = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let call = reached.gate.permit(args.permit);
        showing("reading the permit", call)
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let info = &reading.info;
    let request = reading.request.as_ref().map(Request::to_canonical);
    let shown = match (&request, &reading.erasure) {
        (Some(request), _) => request.clone(),
        (None, Some(erasure)) => said::erased(erasure),
        (None, None) => "removed by retention".to_owned(),
    };
    let request: Value = match &request {
        Some(request) => serde_json::from_str(request)?,
        None => Value::Null,
    };
    let answer = Answer::new("get-permit")
        .line(heading(info))
        .line(format!(
            "  surface   {} {} by {}",
            info.surface, info.action, info.caller
        ))
        .line(format!("  bound to  {}", said::bounds_line(&info.bounds)))
        .line(format!(
            "  policy    v{} ({})",
            info.policy_version,
            said::short_sha256(&info.policy_digest)
        ))
        .line(format!(
            "  issued    {}   expires {}",
            info.issued_at, info.expires_at
        ))
        .line(format!("  request   {shown}"));
    let answer = notes(info).into_iter().fold(answer, Answer::line);
    let answer = if info.is_in_doubt {
        answer.talk(format!(
            "next: find out what happened, then holdpoint resolve {}{} --committed (or --aborted, \
             --released) --reason TEXT",
            info.id, args.gate.again
        ))
    } else {
        answer
    };
    Ok(answer
        .member("permit", said::permit(info))
        .member("request", request)
        .member("erasure", said::erasure(reading.erasure.as_ref()))
        .member("cluster_time_ms", said::time(reading.cluster_time)))
}

/// What only some permits have.
fn notes(info: &PermitInfo) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(session) = &info.session {
        lines.push(format!("  session   {}", visible(session)));
    }
    if let Some(at) = info.redeemed_at {
        lines.push(format!("  redeemed  {at}"));
    }
    if let Some(at) = info.completed_at {
        lines.push(format!(
            "  completed {at}{}",
            because(info.completion_reason.as_ref())
        ));
    }
    if let Some(at) = info.released_at {
        lines.push(format!(
            "  released  {at}{}",
            because(info.release_reason.as_ref())
        ));
    }
    if let Some(at) = info.held_until {
        lines.push(format!("  held      its bounds stay held until {at}"));
    }
    if let (Some(at), None) = (info.release_at, info.released_at) {
        lines.push(format!(
            "  release   its bounds are given up at {at} if it is in doubt"
        ));
    }
    if info.conflict_count > 0 {
        lines.push(format!(
            "  CONFLICT  {} reports contradict what is recorded",
            info.conflict_count
        ));
    }
    lines
}

/// What an operator wrote.
fn because(reason: Option<&String>) -> String {
    reason.map_or_else(String::new, |reason| format!("   {}", visible(reason)))
}

fn heading(info: &PermitInfo) -> String {
    let doubt = match (info.is_in_doubt, info.complete_by) {
        (true, _) => "   IN DOUBT".to_owned(),
        (false, Some(by)) => format!("   complete by {}", time_of_day(by)),
        (false, None) => String::new(),
    };
    format!(
        "{}  {}   fence {}{doubt}",
        info.state.as_str(),
        info.id,
        info.fence
    )
}

fn operation(args: &OperationArgs) -> Result<Answer, Failure> {
    let reading = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let call = reached
            .gate
            .operation(&args.surface, &args.bound, &args.key);
        showing("reading the operation", call)
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let holder = match (&reading.holder, &reading.committed) {
        (Some(info), _) => format!(
            "held by {} (fence {}, {})",
            info.id,
            info.fence,
            info.state.as_str()
        ),
        (None, Some(_)) => "no permit holds this key".to_owned(),
        // A sum, which no single permit holds.
        (None, None) if reading.live_amount > 0 || reading.committed_amount > 0 => {
            "in use".to_owned()
        }
        (None, None) => "no permit has this key".to_owned(),
    };
    let (surface, bound, key) = (&args.surface, &args.bound, &args.key);
    let mut answer =
        Answer::new("get-operation").line(format!("{surface} {bound} {key}: {holder}"));
    if let Some(info) = &reading.committed {
        answer = answer.line(format!("  committed by {} (fence {})", info.id, info.fence));
    }
    let amounts = [
        (reading.live_amount, "in use by live permits"),
        (reading.committed_amount, "committed in this window"),
        (u64::from(reading.waiting_count), "waiting for it"),
    ];
    for (amount, word) in amounts {
        if amount > 0 {
            answer = answer.line(format!("  {amount} {word}"));
        }
    }
    Ok(answer
        .member("live_amount", number(reading.live_amount))
        .member("committed_amount", number(reading.committed_amount))
        .member("waiting", reading.waiting_count)
        .member("surface", args.surface.as_str())
        .member("bound", args.bound.as_str())
        .member("key", args.key.as_str())
        .member("holder", reading.holder.as_ref().map(said::permit))
        .member("committed", reading.committed.as_ref().map(said::permit))
        .member("cluster_time_ms", said::time(reading.cluster_time)))
}

fn receipt(args: &ReceiptArgs) -> Result<Answer, Failure> {
    let of = match (args.permit, args.leaf) {
        (Some(permit), _) => ReceiptOf::Permit(permit),
        (None, leaf) => ReceiptOf::Leaf(leaf.unwrap_or_default()),
    };
    let receipt = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let call = reached.gate.receipt(of);
        showing("reading the receipt", call)
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let text = String::from_utf8_lossy(receipt.file());
    let answer = Answer::new("get-receipt")
        .member("receipt", serde_json::from_str::<Value>(&text)?)
        .member("receipt_hash", receipt.hash().to_string())
        .member(
            "out",
            optional(args.out.as_ref().map(|path| path.display())),
        );
    let Some(out) = &args.out else {
        return Ok(answer.line(text.trim_end()));
    };
    shelf::write(out, receipt.file()).map_err(|error| {
        Failure::says(
            Exit::Failure,
            format!("cannot write `{}`: {error}", out.display()),
        )
    })?;
    Ok(answer.line(format!(
        "receipt of leaf {} saved to {}",
        receipt.statement().place.leaf_index(),
        out.display()
    )))
}
