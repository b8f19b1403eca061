//! `policy activate`, `rollback` and `cancel-drain`: which bundle is in force.

use std::time::Duration;

use clap::Args;
use holdpoint_client::{
    ActivationMode, ActivationOutcome, Gate, PendingActivation, PolicyActivated, PolicyList,
};
use holdpoint_receipt::{Digest, Name, PolicyVersion};
use tokio::time::{Instant, sleep};

use crate::again::Again;
use crate::digests::parse_digest;
use crate::exit::Exit;
use crate::gate::{GateArgs, Reached, block_on, call_failed, read_failed};
use crate::output::{Answer, Failure, number};
use crate::progress::showing;
use crate::said::short_sha256;
use crate::times::parse_duration;

/// How often it is looked whether a drain is over.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Put a stored bundle in force
///
/// Refused while live permits hold bounds that the bundle changes or removes, unless --drain or
/// --revoke says what becomes of them.
#[derive(Debug, Args)]
pub(crate) struct ActivateArgs {
    /// The bundle's digest, 64 hex digits, with or without `sha256:`
    #[arg(value_name = "DIGEST", value_parser = parse_digest)]
    digest: Digest,
    /// The policy version that you believe to be in force, 0 for none [default: the one that is]
    ///
    /// With another version in force the activation is refused, so that two people cannot overrule
    /// each other without noticing.
    #[arg(long, value_name = "VERSION")]
    expect: Option<u64>,
    #[command(flatten)]
    how: How,
}

/// Put the bundle of an earlier policy version in force again, as a new version
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The earlier version [default: the last one with another bundle than the one in force]
    #[arg(value_name = "VERSION")]
    version: Option<u64>,
    #[command(flatten)]
    how: How,
}

/// Give up an activation that waits for live permits to end
#[derive(Debug, Args)]
pub(crate) struct CancelDrainArgs {
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// What becomes of permits in the way, and of the command meanwhile.
#[derive(Debug, Args)]
struct How {
    /// Grant nothing on the surfaces that stand in the way until their permits have ended
    #[arg(long, conflicts_with = "revoke")]
    drain: bool,
    /// The same, and revoke the permits that are not redeemed
    #[arg(long)]
    revoke: bool,
    /// Wait until it is in force, at most this long
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    wait: Option<Duration>,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

impl How {
    const fn mode(&self) -> ActivationMode {
        match (self.drain, self.revoke) {
            (_, true) => ActivationMode::Revoke,
            (true, false) => ActivationMode::Drain,
            (false, false) => ActivationMode::Refuse,
        }
    }
}

/// Puts it in force, if the version in force is the expected one.
pub(super) fn perform(args: &ActivateArgs) -> Result<Answer, Failure> {
    let how = &args.how;
    block_on(async {
        let reached = showing("connecting", how.gate.reach()).await?;
        if how.dry_run {
            return would_activate(&reached.gate, args.digest, args.expect).await;
        }
        let expected = match args.expect {
            Some(version) => version,
            None => version_of(&read(&reached.gate).await?),
        };
        let answer = Answer::new("policy-activate");
        let answer = activate(&reached, how, answer, args.digest, expected).await?;
        Ok(match (args.expect, expected) {
            (Some(_), _) => answer,
            (None, 0) => answer.talk("no policy was in force before"),
            (None, version) => answer.talk(format!(
                "v{version} was in force before (read just now; --expect makes sure)"
            )),
        })
    })
}

/// Puts the bundle of an earlier version in force, if nothing changed since the list was read.
pub(super) fn rollback(args: &RollbackArgs) -> Result<Answer, Failure> {
    let how = &args.how;
    block_on(async {
        let reached = showing("connecting", how.gate.reach()).await?;
        let list = read(&reached.gate).await?;
        let (version, digest) = earlier(&list, args.version)?;
        if how.dry_run {
            let would = would_activate(&reached.gate, digest, None).await?;
            return Ok(would.line(format!("it is the bundle of v{version}")));
        }
        let answer = Answer::new("policy-rollback")
            .talk(format!("the bundle of v{version} was asked for"))
            .member("of_version", number(version.get()));
        activate(&reached, how, answer, digest, version_of(&list)).await
    })
}

/// The earlier version that is meant, and its bundle.
fn earlier(list: &PolicyList, version: Option<u64>) -> Result<(PolicyVersion, Digest), Failure> {
    let mut newest_first = list.activations.iter().rev();
    let Some(current) = newest_first.next() else {
        return Err(Failure::says(
            Exit::Failure,
            "no policy was ever in force, so there is none to go back to",
        ));
    };
    let found = match version {
        None => newest_first.find(|earlier| earlier.digest != current.digest),
        Some(version) => list
            .activations
            .iter()
            .find(|earlier| earlier.version.get() == version),
    };
    found
        .map(|earlier| (earlier.version, earlier.digest))
        .ok_or_else(|| {
            let what = version.map_or_else(
                || "no earlier version had another bundle".to_owned(),
                |version| format!("there was no version {version}"),
            );
            Failure::says(Exit::Failure, what)
                .next(Some("holdpoint policy history lists them".to_owned()))
        })
}

async fn activate(
    reached: &Reached,
    how: &How,
    answer: Answer,
    digest: Digest,
    expected: u64,
) -> Result<Answer, Failure> {
    let version = PolicyVersion::new(expected).map_err(Failure::usage)?;
    let call = reached
        .gate
        .activate_policy_with(digest, version, how.mode());
    let outcome = showing("activating", call)
        .await
        .map_err(|error| call_failed(&error, &how.gate.again))?;
    let answer = answer
        .member("expected_version", number(expected))
        .member("digest", digest.to_string());
    match outcome {
        ActivationOutcome::InForce(activated) => Ok(in_force(reached, answer, &activated, digest)),
        ActivationOutcome::Draining { surfaces, receipt } => {
            let hash = receipt.hash().to_string();
            let name = format!("drain-{}", hash.get(..16).unwrap_or(&hash));
            let answer = answer.line(draining_line(digest, &surfaces));
            let answer = reached.shelf.kept(answer, &name, &receipt).member(
                "draining",
                surfaces.iter().map(Name::to_string).collect::<Vec<_>>(),
            );
            match how.wait {
                Some(at_most) => wait(reached, answer, digest, expected, at_most, how).await,
                None => Ok(answer.talk(draining_next(&how.gate.again))),
            }
        }
    }
}

fn in_force(
    reached: &Reached,
    answer: Answer,
    activated: &PolicyActivated,
    digest: Digest,
) -> Answer {
    let version = activated.version;
    let answer = answer.line(format!("in force  v{version} ({})", short_sha256(&digest)));
    reached
        .shelf
        .kept(answer, &format!("policy-v{version}"), &activated.receipt)
        .member("version", number(version.get()))
}

fn draining_line(digest: Digest, surfaces: &[Name]) -> String {
    let surfaces: Vec<&str> = surfaces.iter().map(Name::as_str).collect();
    format!(
        "draining  {} comes into force when no permit stands in its way; nothing is granted on {} \
         until then",
        short_sha256(&digest),
        surfaces.join(", ")
    )
}

fn draining_next(again: &Again) -> String {
    format!(
        "next: holdpoint policy history{again} shows it; holdpoint policy cancel-drain{again} gives \
         it up"
    )
}

/// Looks until it is in force, or given up, or the time is over.
async fn wait(
    reached: &Reached,
    answer: Answer,
    digest: Digest,
    expected: u64,
    at_most: Duration,
    how: &How,
) -> Result<Answer, Failure> {
    let began = Instant::now();
    loop {
        let list = read(&reached.gate).await?;
        let is_waiting = |pending: &PendingActivation| pending.digest == digest;
        if !list.draining.as_ref().is_some_and(is_waiting) {
            let newest = list.activations.last();
            let come = newest
                .filter(|newest| newest.version.get() > expected && newest.digest == digest)
                .map(|newest| newest.version);
            return match come {
                Some(version) => Ok(answer
                    .line(format!("in force  v{version} ({})", short_sha256(&digest)))
                    .member("version", number(version.get()))),
                None => Err(Failure::says(
                    Exit::Failure,
                    "the drain was given up, and the bundle is not in force",
                )),
            };
        }
        if began.elapsed() >= at_most {
            return Ok(answer
                .exit(Exit::Degraded)
                .line("it still waits for live permits to end")
                .talk(draining_next(&how.gate.again)));
        }
        showing("waiting for live permits to end", sleep(LOOK_EVERY)).await;
    }
}

/// What an activation would find. The gate checks more: bounds that are in use, for one.
async fn would_activate(
    gate: &Gate,
    digest: Digest,
    expect: Option<u64>,
) -> Result<Answer, Failure> {
    let list = read(gate).await?;
    let version = version_of(&list);
    let is_stored = list.stored.iter().any(|stored| stored.digest == digest);
    let is_expected = expect.is_none_or(|expected| expected == version);
    let shown = short_sha256(&digest);
    let line = match (is_stored, is_expected, &list.draining) {
        (false, _, _) => format!("{shown} is not stored: holdpoint policy put DIR"),
        (true, false, _) => format!("v{version} is in force, not the expected one"),
        (true, true, Some(pending)) => format!(
            "{} drains since {}; another activation would be refused",
            short_sha256(&pending.digest),
            pending.since
        ),
        (true, true, None) => format!("{shown} would come into force after v{version}"),
    };
    let would = is_stored && is_expected && list.draining.is_none();
    Ok(Answer::new("policy-activate")
        .exit(if would { Exit::Success } else { Exit::Failure })
        .line(format!("{line}; nothing was changed"))
        .member("would_succeed", would)
        .member("version_in_force", number(version))
        .member("digest", digest.to_string()))
}

async fn read(gate: &Gate) -> Result<PolicyList, Failure> {
    let list = showing("reading what is in force", gate.policies()).await;
    list.map_err(|error| read_failed(&error))
}

/// The policy version in force; 0 if none is.
fn version_of(list: &PolicyList) -> u64 {
    list.activations
        .last()
        .map_or(0, |activation| activation.version.get())
}

/// Gives it up, and keeps the proof.
pub(super) fn cancel_drain(args: &CancelDrainArgs) -> Result<Answer, Failure> {
    block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        if args.dry_run {
            let list = read(&reached.gate).await?;
            let line = list.draining.as_ref().map_or_else(
                || "nothing drains".to_owned(),
                |pending| {
                    format!(
                        "the drain for {} since {} would be given up",
                        short_sha256(&pending.digest),
                        pending.since
                    )
                },
            );
            return Ok(Answer::new("dry-run")
                .line(format!("{line}; nothing was changed"))
                .member("would_succeed", list.draining.is_some()));
        }
        let call = reached.gate.cancel_drain();
        let receipt = showing("giving it up", call)
            .await
            .map_err(|error| call_failed(&error, &args.gate.again))?;
        let hash = receipt.hash().to_string();
        let name = format!("drain-{}", hash.get(..16).unwrap_or(&hash));
        let answer = Answer::new("policy-cancel-drain")
            .line("given up  the policy in force stays, and grants go on");
        Ok(reached.shelf.kept(answer, &name, &receipt))
    })
}

#[cfg(test)]
mod tests {
    use holdpoint_client::Activation;
    use holdpoint_receipt::{ClusterTime, sha256};

    use super::*;

    fn list(bundles: &[&[u8]]) -> PolicyList {
        let activations = bundles.iter().zip(1..).map(|(bundle, version)| Activation {
            version: PolicyVersion::new(version).unwrap(),
            digest: sha256(bundle),
            activated_at: ClusterTime::new(version).unwrap(),
            activated_by: None,
            leaf_index: version,
        });
        PolicyList {
            stored: Vec::new(),
            activations: activations.collect(),
            draining: None,
            shadows: Vec::new(),
        }
    }

    #[test]
    fn rollback_goes_to_the_last_other_bundle_unless_a_version_is_named() {
        let list = list(&[b"a", b"b", b"c", b"c"]);
        let meant =
            |version| earlier(&list, version).map(|(version, digest)| (version.get(), digest));
        assert_eq!(meant(None).unwrap(), (2, sha256(b"b")));
        assert_eq!(meant(Some(1)).unwrap(), (1, sha256(b"a")));
        assert!(meant(Some(9)).unwrap_err().message().contains("version 9"));
    }

    #[test]
    fn where_nothing_else_was_in_force_there_is_nothing_to_go_back_to() {
        assert!(earlier(&list(&[]), None).is_err());
        assert!(earlier(&list(&[b"a", b"a"]), None).is_err());
    }
}
