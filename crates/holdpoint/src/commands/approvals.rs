//! `holdpoint approvals`: what waits for a yes, what exactly the yes is about, and giving it.

mod show;

use std::io::{self, BufRead, IsTerminal, Write};

use clap::{Args, Subcommand};
use holdpoint_client::{ApprovalAnswer, ApprovalState, PendingRequest};
use holdpoint_receipt::{Caller, Digest, Name};
use serde_json::{Value, json};

use crate::digests::parse_digest;
use crate::exit::Exit;
use crate::gate::{GateArgs, Reached, block_on, call_failed, read_failed};
use crate::output::{Answer, Failure, tell};
use crate::progress::showing;
use crate::said::{self, short};
use crate::visible::visible;

/// What an approver types to approve.
const YES: &str = "yes";

/// See what waits for approval, approve it, or take an approval back
#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsCommand {
    Pending(PendingArgs),
    Show(ShowArgs),
    Approve(ApproveArgs),
    Revoke(RevokeArgs),
}

/// List the requests that wait for approval
#[derive(Debug, Args)]
pub(crate) struct PendingArgs {
    #[command(flatten)]
    gate: GateArgs,
}

/// Show what is behind a digest: the fields that an approval is about, and who asks
///
/// What is shown is made of the very bytes whose digest is approved; the digest is computed here.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The digest of what is to be approved, 64 hex digits
    #[arg(value_name = "DIGEST", value_parser = parse_digest)]
    digest: Digest,
    #[command(flatten)]
    gate: GateArgs,
}

/// Approve what a digest stands for
///
/// Shows it first, and asks on a terminal. The approval holds for exactly these fields and for the
/// policy in force, until the quorum's time has passed or a permit has spent it.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The digest of what is approved, 64 hex digits
    #[arg(value_name = "DIGEST", value_parser = parse_digest)]
    digest: Digest,
    /// Do not ask: what the digest stands for was looked at before
    #[arg(long)]
    yes: bool,
    /// Show what would be approved, and approve nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// Take an approval back that no permit has spent
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The digest of what was approved, 64 hex digits
    #[arg(value_name = "DIGEST", value_parser = parse_digest)]
    digest: Digest,
    /// The quorum [default: the one that the digest belongs to, while a request waits for it]
    #[arg(long, value_name = "NAME")]
    quorum: Option<Name>,
    /// Whose approval, for operators [default: your own]
    #[arg(long, value_name = "PRINCIPAL", value_parser = parse_principal)]
    approver: Option<Caller>,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

fn parse_principal(text: &str) -> Result<Caller, String> {
    Caller::new(text).map_err(|error| format!("`{text}` is no principal: {error}"))
}

/// Does it.
pub(crate) fn perform(command: &ApprovalsCommand) -> Result<Answer, Failure> {
    match command {
        ApprovalsCommand::Pending(args) => pending(args),
        ApprovalsCommand::Show(args) => show(args),
        ApprovalsCommand::Approve(args) => approve(args),
        ApprovalsCommand::Revoke(args) => revoke(args),
    }
}

fn pending(args: &PendingArgs) -> Result<Answer, Failure> {
    let requests = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let call = reached.gate.approvals().pending();
        showing("reading what waits", call)
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let mut answer = Answer::new("approvals-pending");
    for pending in &requests {
        let request = &pending.request;
        answer = answer.line(format!(
            "{}  {} {} by {}   asked {}",
            short(&pending.digest),
            request.surface,
            request.action,
            visible(request.caller.as_str()),
            pending.asked_at
        ));
        for missing in &pending.missing {
            answer = answer.line(format!(
                "  {} of {} for quorum {}   {}",
                missing.have,
                missing.needed,
                missing.subject.quorum(),
                missing.subject.digest()
            ));
        }
    }
    let answer = if requests.is_empty() {
        answer.talk("nothing waits for approval")
    } else {
        let again = &args.gate.again;
        answer.talk(format!("next: holdpoint approvals show DIGEST{again}"))
    };
    let requests: Result<Vec<Value>, serde_json::Error> =
        requests.iter().map(pending_json).collect();
    Ok(answer.member("requests", requests?))
}

/// A request that waits, as JSON.
fn pending_json(pending: &PendingRequest) -> Result<Value, serde_json::Error> {
    let request: Value = serde_json::from_str(&pending.request.to_canonical())?;
    Ok(json!({
        "request_digest": pending.digest.to_string(),
        "request": request,
        "asked_at_ms": said::time(pending.asked_at),
        "listed_until_ms": said::time(pending.listed_until),
        "policy_version": pending.policy_version.get().to_string(),
        "policy_digest": pending.policy_digest.to_string(),
        "missing": pending.missing.iter().map(said::missing).collect::<Value>(),
    }))
}

fn show(args: &ShowArgs) -> Result<Answer, Failure> {
    let subject = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let call = reached.gate.approvals().subject(args.digest);
        showing("reading what is behind the digest", call)
            .await
            .map_err(|error| call_failed(&error, &args.gate.again))
    })?;
    let answer = show::lines(&subject)
        .into_iter()
        .fold(Answer::new("approvals-show"), Answer::line);
    Ok(show::members(answer, &subject)?.talk(format!(
        "next: holdpoint approvals approve {}{}",
        args.digest, args.gate.again
    )))
}

fn approve(args: &ApproveArgs) -> Result<Answer, Failure> {
    block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let call = reached.gate.approvals().subject(args.digest);
        let subject = showing("reading what is behind the digest", call)
            .await
            .map_err(|error| call_failed(&error, &args.gate.again))?;
        // The same bytes are shown, hashed and approved: there is no second read.
        let lines = show::lines(&subject);
        let answer = lines
            .iter()
            .fold(Answer::new("approvals-approve"), Answer::line);
        let answer = show::members(answer, &subject)?;
        if args.dry_run {
            return Ok(answer
                .line("nothing was approved")
                .member("approved", false));
        }
        if !args.yes {
            for line in &lines {
                tell(line);
            }
            confirm(reached.gate.caller())?;
        }
        let call = reached.gate.approvals().approve(&subject);
        let given = showing("approving", call)
            .await
            .map_err(|error| call_failed(&error, &args.gate.again))?;
        let answer = if args.yes {
            answer
        } else {
            // It was shown already.
            show::members(Answer::new("approvals-approve"), &subject)?
        };
        let counts = given.approval.state == ApprovalState::Given;
        let answer = changed(&reached, answer, &given).member("approved", counts);
        Ok(if counts {
            answer
        } else {
            answer
                .exit(Exit::Failure)
                .talk("a permit has spent it; it can be given anew a minute after it was given")
        })
    })
}

/// Asks the person at the terminal. Nobody else can say yes.
fn confirm(caller: &Caller) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage(
            "nothing was approved: there is no terminal to ask at; look at `holdpoint approvals show \
             DIGEST`, then give --yes",
        ));
    }
    let mut stderr = io::stderr();
    write!(stderr, "approve this as {caller}? type {YES}: ")?;
    stderr.flush()?;
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed)?;
    if typed.trim() == YES {
        Ok(())
    } else {
        Err(Failure::says(Exit::Failure, "nothing was approved"))
    }
}

fn revoke(args: &RevokeArgs) -> Result<Answer, Failure> {
    block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let approvals = reached.gate.approvals();
        let quorum = if let Some(quorum) = &args.quorum {
            quorum.clone()
        } else {
            let subject = showing("reading the quorum", approvals.subject(args.digest)).await;
            let subject = subject.map_err(|error| {
                call_failed(&error, &args.gate.again)
                    .next(Some("name the quorum with --quorum NAME".to_owned()))
            })?;
            subject.bytes.quorum().clone()
        };
        let approver = args.approver.as_ref();
        if args.dry_run {
            let whose = approver.unwrap_or_else(|| reached.gate.caller());
            return Ok(Answer::new("dry-run")
                .line(format!(
                    "the approval of {} by {whose} for quorum {quorum} would be taken back unless a \
                     permit has spent it; nothing was changed",
                    short(&args.digest)
                ))
                .member("quorum", quorum.as_str())
                .member("subject_digest", args.digest.to_string()));
        }
        let call = approvals.revoke(&quorum, args.digest, approver);
        let taken = showing("taking it back", call)
            .await
            .map_err(|error| call_failed(&error, &args.gate.again))?;
        Ok(changed(&reached, Answer::new("approvals-revoke"), &taken))
    })
}

/// What became of an approval, with its proof.
fn changed(reached: &Reached, answer: Answer, given: &ApprovalAnswer) -> Answer {
    let approval = &given.approval;
    let until = approval
        .expires_at
        .map_or_else(String::new, |end| format!("   until {end}"));
    let was = if given.is_replay { "   (before)" } else { "" };
    let answer = answer.line(format!(
        "{}  {} for quorum {} by {}{until}{was}",
        approval.state.as_str(),
        short(&approval.subject),
        approval.quorum,
        visible(approval.approver.as_str())
    ));
    let hash = given.receipt.hash().to_string();
    let name = format!("approval-{}", hash.get(..16).unwrap_or(&hash));
    reached
        .shelf
        .kept(answer, &name, &given.receipt)
        .member("approval", show::approval(approval))
        .member("replay", given.is_replay)
}
