//! Authorize, redeem, run, complete: one after the other, none of them twice.

mod ending;

use std::io;
use std::process::Stdio;

use holdpoint_client::{
    Decided, Denied, Granted, Outcome, Permit, RedeemError, Redeemed, Refusal, Silence,
};
use holdpoint_receipt::Decision;
use rustix::process::Signal;

use super::RunArgs;
use super::prepare::Prepared;
use crate::again::Again;
use crate::commands::authorize::denied_name;
use crate::exit::Exit;
use crate::gate::{NotReached, Reached, exit_of_silence};
use crate::output::{Failure, Format, tell};
use crate::progress::showing;
use crate::run::child::{Start, supervise};
use crate::run::report::{Report, Stage};
use crate::run::signals::{Signals, number};
use crate::said;

/// How often a redeem or a completion without an answer is repeated.
const REPEATS: u32 = 3;

/// Everything that the steps share.
struct Steps<'a> {
    args: &'a RunArgs,
    format: Format,
    prepared: Prepared,
    reached: Reached,
    signals: Signals,
    report: &'a mut Report,
}

/// Carries a prepared command through. Returns how `run` ends.
pub(super) async fn perform(
    args: &RunArgs,
    format: Format,
    prepared: Prepared,
    report: &mut Report,
) -> Result<Exit, Failure> {
    let own_fault = |failure: Failure| failure.or_exit(Exit::OwnFault);
    let mut signals = Signals::listen().map_err(|error| own_fault(Failure::from(error)))?;
    let reached = tokio::select! {
        reached = showing("connecting", args.gate.reach()) => reached,
        signal = signals.next() => return Ok(interrupted(signal)),
    };
    let reached = match reached {
        Ok(reached) => reached,
        Err(NotReached::Silence(silence)) => {
            report.stage = Stage::Authorize;
            // The operation itself was not asked for yet.
            return Ok(silent(report, &silence, Decided::Never, &args.gate.again));
        }
        Err(NotReached::Failure(failure)) => return Err(own_fault(failure)),
    };
    let mut steps = Steps {
        args,
        format,
        prepared,
        reached,
        signals,
        report,
    };
    match steps.authorize().await {
        Ok(permit) => steps.redeem_and_run(permit).await,
        Err(exit) => Ok(exit),
    }
}

/// Nobody said anything that can be believed.
fn silent(report: &mut Report, silence: &Silence, decided: Decided, again: &Again) -> Exit {
    // A redeem without an answer leaves the decision what it was.
    report.decision.get_or_insert(Decision::Silence.as_str());
    report.reason = Some(silence.reason().as_str());
    report.decided = Some(decided.as_str());
    tell(said::silence(silence, "nothing was run"));
    if report.stage == Stage::Authorize {
        for line in said::silence_lines(silence, decided, again) {
            tell(format!("  {line}"));
        }
    }
    exit_of_silence(silence.reason())
}

/// A signal came before anything was started.
fn interrupted(signal: Signal) -> Exit {
    tell("holdpoint: interrupted; nothing was run");
    Exit::Signal(number(signal))
}

impl Steps<'_> {
    async fn authorize(&mut self) -> Result<Permit<Granted>, Exit> {
        self.report.stage = Stage::Authorize;
        let asked = &self.args.operation;
        let ask = asked.ask(&self.reached.gate, &self.prepared.operation);
        let answer = tokio::select! {
            answer = showing(asked.asking(), ask) => answer,
            signal = self.signals.next() => {
                self.report.decision = Some(Decision::Silence.as_str());
                self.report.decided = Some(Decided::Unknown.as_str());
                let attempt = self.prepared.operation.attempt_name();
                let not_after = attempt.map(|attempt| attempt.not_after);
                let next = said::interrupted_next(&self.prepared.key, not_after);
                tell(format!("holdpoint: {next}"));
                return Err(interrupted(signal));
            }
        };
        match answer {
            Ok(permit) => {
                self.report.decision = Some(Decision::Permit.as_str());
                self.report.reason = Some("GRANTED");
                self.report.permit = Some((permit.id(), permit.fence()));
                if let Some(receipt) = permit.decision_receipt() {
                    let name = permit.id().to_string();
                    self.report.receipt = self.reached.shelf.try_keep(None, &name, receipt);
                }
                Ok(permit)
            }
            Err(Refusal::Denied(denied)) => Err(self.denied(&denied)),
            Err(Refusal::Silence(silence)) => {
                let again = &self.args.gate.again;
                Err(silent(self.report, &silence, silence.decided(), again))
            }
        }
    }

    fn denied(&mut self, denied: &Denied) -> Exit {
        self.report.decision = Some(Decision::Deny.as_str());
        self.report.reason = Some(denied.reason().as_str());
        let file = self.args.receipt.as_deref();
        self.report.receipt =
            self.reached
                .shelf
                .try_keep(file, &denied_name(denied), denied.receipt());
        tell(format!("{}; nothing was run", said::denied(denied)));
        for line in said::refused_bounds(denied) {
            tell(format!("  {line}"));
        }
        if let Some(path) = &self.report.receipt {
            tell(format!("  receipt  {}", path.display()));
        }
        tell(format!("  {}", said::denied_next(denied)));
        Exit::Denied
    }

    async fn redeem_and_run(mut self, permit: Permit<Granted>) -> Result<Exit, Failure> {
        self.report.stage = Stage::Redeem;
        let id = permit.id();
        // The receipt of the redemption was verified, or there is no `Permit<Redeemed>`. It is the only
        // way on from here.
        let redeemed = match self.redeem(permit).await {
            Ok(redeemed) => redeemed,
            Err(RedeemError::Silence(open)) => {
                let again = &self.args.gate.again;
                let exit = silent(self.report, open.silence(), open.decided(), again);
                let next = said::redeem_next(&open, id, &self.args.gate.again);
                tell(format!("  next: {next}"));
                open.set_aside();
                return Ok(exit);
            }
            Err(error) => {
                self.report.reason = Some(error.reason().as_str());
                let why = match &error {
                    RedeemError::Refused(refused) => said::refused(refused),
                    error => error.to_string(),
                };
                let next = said::next_after(error.reason(), id, &self.args.gate.again);
                let failure = Failure::says(Exit::StalePermit, format!("{why}; nothing was run"));
                return Err(failure.next(next));
            }
        };
        let file = self
            .reached
            .shelf
            .try_keep(None, &format!("{id}.redeemed"), redeemed.receipt());
        self.report.receipt = file.or(self.report.receipt.take());
        tokio::select! {
            biased;
            signal = self.signals.next() => {
                self.complete(redeemed, Outcome::Aborted).await;
                Ok(interrupted(signal))
            }
            () = std::future::ready(()) => self.run(redeemed).await,
        }
    }

    /// Redeems under one redemption id until an answer comes, so that a lost answer is found again.
    async fn redeem(&self, permit: Permit<Granted>) -> Result<Permit<Redeemed>, RedeemError> {
        let inputs: Vec<_> = self
            .prepared
            .sealed
            .iter()
            .map(|copy| (copy.name.as_str(), copy.digest))
            .collect();
        let mut answer = showing("redeeming", permit.redeem_with(inputs)).await;
        for _ in 0..REPEATS {
            match answer {
                Err(RedeemError::Silence(open)) => {
                    answer = showing("redeeming, again", open.retry()).await;
                }
                answer => return answer,
            }
        }
        answer
    }

    async fn run(mut self, permit: Permit<Redeemed>) -> Result<Exit, Failure> {
        self.report.stage = Stage::Run;
        tell(self.announcement(&permit));
        let told = [
            ("HOLDPOINT_PERMIT", permit.id().to_string()),
            ("HOLDPOINT_FENCE", permit.fence().to_string()),
        ];
        let start = Start {
            program: &self.prepared.program,
            words: &self.prepared.words,
            dropped: &self.prepared.dropped,
            told: &told,
            stdout: match self.format {
                Format::Human => Stdio::inherit(),
                Format::Json => Stdio::from(io::stderr()),
            },
        };
        let mut child = match start.spawn() {
            Ok(child) => child,
            Err(error) => {
                let name = &self.prepared.name;
                let failure = Failure::says(
                    not_started(&error),
                    format!("command `{name}` could not be started: {error}"),
                );
                self.complete(permit, Outcome::Aborted).await;
                return Err(failure);
            }
        };
        let ended = supervise(&mut child, &mut self.signals, self.args.timeout).await;
        match ended {
            Ok(ended) => {
                self.report.child = Some(ended.how);
                self.conclude(permit, ended).await;
                Ok(ended.exit())
            }
            Err(error) => {
                self.leave(
                    permit,
                    &format!("it is not known how the command ended: {error}"),
                );
                Ok(Exit::Failure)
            }
        }
    }

    fn announcement(&self, permit: &Permit<Redeemed>) -> String {
        let files = self
            .args
            .operation
            .material
            .binds
            .iter()
            .zip(&self.prepared.sealed);
        let copies: Vec<String> = files
            .map(|(bind, copy)| {
                let digest = said::short(&copy.digest);
                format!(
                    "the sealed copy of {} (sha256 {digest})",
                    bind.path.display()
                )
            })
            .collect();
        let on = if copies.is_empty() {
            String::new()
        } else {
            format!(" on {}", copies.join(" and "))
        };
        let name = &self.prepared.name;
        format!(
            "holdpoint: PERMIT fence {}, redeemed; running {name}{on}; permit {}, key {}",
            permit.fence(),
            permit.id(),
            self.prepared.key
        )
    }
}

/// A file that was there a moment ago.
fn not_started(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::NotExecutable,
    }
}
