//! `holdpoint authorize`: asks for a permit and keeps its proof.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use holdpoint_client::{
    Decided, Denied, Granted, Operation, Permit, PermitState, Refusal, Silence,
};
use rustix::process::Signal;
use serde_json::json;

use crate::again::quoted;
use crate::exit::Exit;
use crate::gate::{GateArgs, NotReached, Reached, block_on, exit_of_silence};
use crate::inputs::digests_of;
use crate::operation::OperationArgs;
use crate::output::{Answer, Failure, number, optional};
use crate::progress::showing;
use crate::run::signals::{self, Signals};
use crate::said;
use crate::times::show_duration;

/// Ask for a permit
///
/// Prints PERMIT, DENY or SILENCE with its reason, and keeps the receipt of a decision. A permit alone
/// allows nothing yet: redeem it, act, complete it. `holdpoint run` does all of that.
#[derive(Debug, Args)]
pub(crate) struct AuthorizeArgs {
    #[command(flatten)]
    operation: OperationArgs,
    /// Where to keep the receipt [default: receipts/ beside the configuration]
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    gate: GateArgs,
}

/// Asks, and says what became of it.
pub(crate) fn perform(args: &AuthorizeArgs) -> Result<Answer, Failure> {
    args.operation.check()?;
    let digests = digests_of(&args.operation.material.binds)?;
    let key = args.operation.key()?;
    let asked = &args.operation;
    let operation = asked.operation(&key, &digests)?;
    block_on(async {
        let mut signals = Signals::listen()?;
        let reached = tokio::select! {
            reached = showing("connecting", args.gate.reach()) => reached,
            signal = signals.next() => return Ok(interrupted(signal, &key).talk("nothing was asked")),
        };
        let reached = match reached {
            Ok(reached) => reached,
            // The operation itself was not asked for yet.
            Err(NotReached::Silence(silence)) => {
                return Ok(silent(args, &silence, Decided::Never, &key));
            }
            Err(NotReached::Failure(failure)) => return Err(failure),
        };
        let answer = tokio::select! {
            answer = showing(asked.asking(), asked.ask(&reached.gate, &operation)) => answer,
            signal = signals.next() => return Ok(left_open(signal, &key, &operation)),
        };
        match answer {
            Ok(permit) => Ok(permitted(args, &reached, permit)),
            Err(Refusal::Denied(denied)) => Ok(refused(args, &reached, &denied)),
            Err(Refusal::Silence(silence)) => Ok(silent(args, &silence, silence.decided(), &key)),
        }
    })
}

/// A signal came before the answer.
fn interrupted(signal: Signal, key: &str) -> Answer {
    Answer::new("authorize")
        .exit(Exit::Signal(signals::number(signal)))
        .talk("holdpoint: interrupted")
        .member("key", key)
}

/// The same while the gate was asked: nobody knows what it decided.
fn left_open(signal: Signal, key: &str, operation: &Operation) -> Answer {
    let not_after = operation.attempt_name().map(|attempt| attempt.not_after);
    interrupted(signal, key)
        .talk(format!("next: {}", said::interrupted_next(key, not_after)))
        .member("decision", "SILENCE")
        .member("decided", Decided::Unknown.as_str())
        .member("not_after_ms", not_after.map(said::time))
}

fn permitted(args: &AuthorizeArgs, reached: &Reached, permit: Permit<Granted>) -> Answer {
    let name = permit.id().to_string();
    let kept = permit.decision_receipt().and_then(|receipt| {
        reached
            .shelf
            .try_keep(args.receipt.as_deref(), &name, receipt)
    });
    let answer = permit_lines(Answer::new("authorize"), &permit);
    let answer = permit_members(answer, &permit).member(
        "receipt",
        optional(kept.as_ref().map(|path| path.display())),
    );
    let answer = match &kept {
        Some(path) => answer.line(format!("  receipt   saved to {}", path.display())),
        None => answer,
    };
    let answer = match permit.state() {
        PermitState::Issued => answer.talk(format!("next: {}", next(&name, args))),
        _ => answer,
    };
    permit.set_aside();
    answer
}

fn permit_lines(answer: Answer, permit: &Permit<Granted>) -> Answer {
    let life = show_duration(permit.expires_at().saturating_since(permit.issued_at()));
    let answer = answer.line(format!(
        "PERMIT  {}   fence {}   expires in {life}",
        permit.id(),
        permit.fence()
    ));
    let answer = if permit.is_replay() {
        let state = permit.state().as_str();
        answer.line(format!(
            "  replay    this attempt was decided before; the permit is {state}"
        ))
    } else {
        answer
    };
    let policies = match permit.policies() {
        [] => String::new(),
        policies => format!("  by  {}", policies.join(", ")),
    };
    let (version, digest) = (permit.policy_version(), permit.policy_digest());
    let answer = match permit.attempt() {
        Some(attempt) => answer.line(format!("  key       {}", attempt.key)),
        None => answer,
    };
    answer
        .line(format!(
            "  bound to  {}",
            said::bounds_line(permit.bounds())
        ))
        .line(format!(
            "  policy    v{version} ({}){policies}",
            said::short_sha256(&digest)
        ))
}

fn permit_members(answer: Answer, permit: &Permit<Granted>) -> Answer {
    let attempt = permit.attempt();
    let facts = json!({
        "id": permit.id().to_string(),
        "fence": number(permit.fence().get()),
        "state": permit.state().as_str(),
        "issued_at_ms": said::time(permit.issued_at()),
        "expires_at_ms": said::time(permit.expires_at()),
        "request_digest": permit.request_digest().to_string(),
        "bounds": said::bounds(permit.bounds()),
        "policy_version": number(permit.policy_version().get()),
        "policy_digest": permit.policy_digest().to_string(),
    });
    answer
        .member("decision", "PERMIT")
        .member("reason", "GRANTED")
        .member("permit", facts)
        .member("policies", permit.policies())
        .member("replay", permit.is_replay())
        .member("key", optional(attempt.map(|attempt| &attempt.key)))
        .member(
            "not_after_ms",
            attempt.map(|attempt| said::time(attempt.not_after)),
        )
}

/// The command that goes on with this permit.
fn next(id: &str, args: &AuthorizeArgs) -> String {
    let mut line = format!("holdpoint redeem {id}{}", args.gate.again);
    for bind in &args.operation.material.binds {
        let bound = format!("{}=@{}", bind.name, bind.path.display());
        let _ = write!(line, " --bind {}", quoted(&bound));
    }
    line
}

fn refused(args: &AuthorizeArgs, reached: &Reached, denied: &Denied) -> Answer {
    let name = denied_name(denied);
    let kept = reached
        .shelf
        .try_keep(args.receipt.as_deref(), &name, denied.receipt());
    let mut answer = Answer::new("authorize")
        .exit(Exit::Denied)
        .line(said::denied(denied));
    for line in said::refused_bounds(denied) {
        answer = answer.line(format!("  {line}"));
    }
    answer = answer.line(format!("  key       {}", denied.attempt().key));
    if let Some(path) = &kept {
        answer = answer.line(format!("  receipt   saved to {}", path.display()));
    }
    answer
        .talk(format!("next: {}", said::denied_next(denied)))
        .member("refused_bounds", said::refused_bounds_json(denied))
        .member("decision", "DENY")
        .member("reason", denied.reason().as_str())
        .member("sentence", denied.sentence())
        .member("codes", denied.codes())
        .member("policies", denied.policies())
        .member("retry_at_ms", denied.retry_at().map(said::time))
        .member(
            "holder_fence",
            denied.holder_fence().map(|fence| number(fence.get())),
        )
        .member("refused_bound", denied.refused_bound().map(said::bound))
        .member("request_digest", denied.request_digest().to_string())
        .member("policy_version", number(denied.policy_version().get()))
        .member("policy_digest", denied.policy_digest().to_string())
        .member("replay", denied.is_replay())
        .member("key", denied.attempt().key.as_str())
        .member("not_after_ms", said::time(denied.attempt().not_after))
        .member(
            "receipt",
            optional(kept.as_ref().map(|path| path.display())),
        )
}

/// Under which name the receipt of a DENY is kept: there is no permit that could name it.
pub(crate) fn denied_name(denied: &Denied) -> String {
    let hash = denied.receipt().hash().to_string();
    format!("deny-{}", hash.get(..16).unwrap_or(&hash))
}

fn silent(args: &AuthorizeArgs, silence: &Silence, decided: Decided, key: &str) -> Answer {
    let lines = said::silence_lines(silence, decided, &args.gate.again);
    let answer = Answer::new("authorize")
        .exit(exit_of_silence(silence.reason()))
        .line(said::silence(silence, "no permit"));
    let answer = lines
        .iter()
        .fold(answer, |answer, line| answer.line(format!("  {line}")));
    said::silence_members(silence, decided)
        .into_iter()
        .fold(answer, |answer, (name, value)| answer.member(name, value))
        .member("key", key)
}
