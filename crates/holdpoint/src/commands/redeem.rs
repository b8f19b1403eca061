//! `holdpoint redeem`: the commit point, for executors that take the steps one by one.

use std::path::PathBuf;

use clap::Args;
use holdpoint_client::{Permit, PermitReading, RedeemError, Redeemed};
use holdpoint_receipt::{Digest, PermitId, Reason, Request};

use crate::exit::Exit;
use crate::gate::{GateArgs, Reached, block_on, no_answer, read_failed};
use crate::inputs::{Bind, digests_of};
use crate::output::{Answer, Failure, number, optional};
use crate::progress::showing;
use crate::said;
use crate::times::time_of_day;

/// What ends the names of parameters that hold digests of bytes.
const DIGEST_SUFFIX: &str = "_sha256";

/// Redeem a permit: the commit point
///
/// Name the files that you are about to use with --bind: their digests take the place of those in the
/// request, so a permit for other bytes is refused. After this the permit is REDEEMED, once, and is in
/// doubt until it is completed.
#[derive(Debug, Args)]
pub(crate) struct RedeemArgs {
    /// The permit, `pmt_…`
    #[arg(value_name = "PERMIT")]
    permit: PermitId,
    /// The file that you are about to use; can be repeated
    #[arg(long = "bind", value_name = "NAME=@FILE")]
    binds: Vec<Bind>,
    /// Redeem without looking at the bytes that the request binds
    #[arg(long, conflicts_with = "binds")]
    unbound: bool,
    /// Where to keep the receipt [default: receipts/ beside the configuration]
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    gate: GateArgs,
}

/// Redeems it, and says what became of it.
pub(crate) fn perform(args: &RedeemArgs) -> Result<Answer, Failure> {
    crate::inputs::check_names(&args.binds, &[])?;
    let names = args.binds.iter().map(|bind| bind.name.as_str());
    let inputs: Vec<_> = names.zip(digests_of(&args.binds)?).collect();
    block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let reading = showing("reading the permit", reached.gate.permit(args.permit)).await;
        let reading = reading.map_err(|error| match error.reason() {
            Reason::UnknownPermit => read_failed(&error).or_exit(Exit::StalePermit),
            _ => read_failed(&error),
        })?;
        match &reading.request {
            Some(request) => check_bound(args, request)?,
            None => return Err(ended(&reading)),
        }
        let redeemed = redeem(args, &reached, reading, inputs).await?;
        Ok(answer(args, &reached, redeemed))
    })
}

/// Only of a permit that has ended is the request no longer stored.
fn ended(reading: &PermitReading) -> Failure {
    let state = reading.info.state.as_str();
    let message = format!(
        "the permit is {state} and has ended, and what it was granted for is no longer stored \
         (nothing was redeemed)"
    );
    Failure::says(Exit::StalePermit, message)
}

/// That every digest in the request is replaced by one of bytes at hand, and no other is named.
fn check_bound(args: &RedeemArgs, request: &Request) -> Result<(), Failure> {
    let params: Vec<String> = args.binds.iter().map(Bind::param).collect();
    if let Some(param) = params
        .iter()
        .find(|param| request.params.get(param).is_none())
    {
        return Err(Failure::usage(format!(
            "the permit's request has no parameter `{param}`"
        )));
    }
    let digests = request
        .params
        .iter()
        .map(|(name, _)| name)
        .filter(|name| name.ends_with(DIGEST_SUFFIX));
    let open: Vec<&str> = digests
        .filter(|name| !params.iter().any(|param| param == name))
        .collect();
    if args.unbound || open.is_empty() {
        return Ok(());
    }
    let wanted: Vec<String> = open
        .iter()
        .map(|name| format!("--bind {}=@FILE", name.trim_end_matches(DIGEST_SUFFIX)))
        .collect();
    Err(Failure::usage(format!(
        "the permit is for exact bytes: name the file that you are about to use with {}, or say \
         --unbound (nothing was redeemed)",
        wanted.join(" ")
    )))
}

async fn redeem(
    args: &RedeemArgs,
    reached: &Reached,
    reading: PermitReading,
    inputs: Vec<(&str, Digest)>,
) -> Result<Permit<Redeemed>, Failure> {
    let guard = reached.gate.adopt(reading)?;
    let (permit, again) = (args.permit, &args.gate.again);
    let answer = showing("redeeming", guard.redeem_with(inputs)).await;
    answer.map_err(|error| match error {
        RedeemError::Refused(refused) => {
            let next = said::next_after(refused.reason, permit, again);
            Failure::says(Exit::StalePermit, said::refused(&refused)).next(next)
        }
        RedeemError::InDoubt(_) => Failure::new(Exit::StalePermit, &error).next(said::next_after(
            error.reason(),
            permit,
            again,
        )),
        RedeemError::Silence(open) => {
            let next = said::redeem_next(&open, permit, again);
            let failure = no_answer(open.silence()).next(Some(next));
            open.set_aside();
            failure
        }
    })
}

fn answer(args: &RedeemArgs, reached: &Reached, permit: Permit<Redeemed>) -> Answer {
    let id = permit.id();
    let name = format!("{id}.redeemed");
    let kept = reached
        .shelf
        .try_keep(args.receipt.as_deref(), &name, permit.receipt());
    let until = time_of_day(permit.complete_by());
    let mut answer = Answer::new("redeem").line(format!(
        "REDEEMED  {id}   fence {}   complete by {until}",
        permit.fence()
    ));
    if let Some(path) = &kept {
        answer = answer.line(format!("  receipt   saved to {}", path.display()));
    }
    let answer = answer
        .talk(format!(
            "next: act, then holdpoint complete {id}{} --committed (or --aborted)",
            args.gate.again
        ))
        .member(
            "permit",
            serde_json::json!({
                "id": id.to_string(),
                "fence": number(permit.fence().get()),
                "state": "REDEEMED",
                "complete_by_ms": said::time(permit.complete_by()),
                "request_digest": permit.request_digest().to_string(),
            }),
        )
        .member(
            "receipt",
            optional(kept.as_ref().map(|path| path.display())),
        );
    // Whoever called this is the executor from here on.
    permit.leave_in_doubt();
    answer
}
