//! `holdpoint trust init`: the next trust bundle, which nobody has signed yet.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use holdpoint_receipt::KeySet;
use holdpoint_receipt::keys::VerifierKey;
use holdpoint_receipt::trust::{TrustBundle, TrustContent, TrustError};

use super::members;
use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, read_failed, read_keys};
use crate::output::{Answer, Failure};
use crate::progress::showing;
use crate::times::{now, parse_duration};
use crate::{roots, shelf, trusted};

/// Make a trust bundle that is to be signed
///
/// Of the keys in files, or else of those that the gate publishes now: what comes over that connection
/// proves nothing by itself, so whoever signs compares the digests that are printed. With --previous it
/// is the next version, and key sets that are not named again stay.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The roots that are to sign it, one vkey a line [default: those of --previous]
    #[arg(long, value_name = "FILE", required_unless_present = "previous")]
    roots: Option<PathBuf>,
    /// The version before
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// How long it is trusted, such as `90d`
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires: Duration,
    /// The published keys of a log, from `holdpoint keys export`; one for each namespace
    #[arg(long, value_name = "FILE")]
    key_set: Vec<PathBuf>,
    #[command(flatten)]
    gate: GateArgs,
}

/// Makes it.
pub(super) fn perform(args: &InitArgs) -> Result<Answer, Failure> {
    let previous = args.previous.as_deref().map(read).transpose()?;
    let previous = previous.as_ref().map(TrustBundle::content);
    let named = if args.key_set.is_empty() {
        vec![fetch(&args.gate)?]
    } else {
        let files = args.key_set.iter();
        files
            .map(|path| read_keys(path))
            .collect::<Result<_, _>>()?
    };
    let bundle = content(args, previous, named)?;
    let bundle = TrustBundle::new(bundle).map_err(|error| refused(&error))?;
    shelf::write(&args.out, bundle.to_file().as_bytes())
        .map_err(|error| roots::unwritten(&args.out, &error))?;
    let content = bundle.content();
    let mut answer = Answer::new("trust-init").line(format!(
        "MADE  version {} of cluster {}, not signed, in {}",
        content.version,
        content.authority,
        args.out.display()
    ));
    for keys in &content.keys {
        answer = answer.line(format!(
            "  keys of {}: sha256 {}",
            keys.namespace(),
            keys.digest()
        ));
    }
    let former = content.former_roots.len();
    let also = if former == 0 {
        String::new()
    } else {
        format!(", and enough roots of the version before ({former} of them leave)")
    };
    let next = format!(
        "next: {} of {} roots sign it with `holdpoint trust sign`{also}",
        content.threshold,
        content.roots.len()
    );
    let out = args.out.display().to_string();
    Ok(members(answer.talk(next), &bundle).member("out", out))
}

fn content(
    args: &InitArgs,
    previous: Option<&TrustContent>,
    named: Vec<KeySet>,
) -> Result<TrustContent, Failure> {
    let anchor = args.roots.as_deref().map(roots::need).transpose()?;
    let (roots, threshold) = match (&anchor, previous) {
        (Some(anchor), _) => (anchor.roots().to_vec(), anchor.threshold()),
        (None, Some(previous)) => (previous.roots.clone(), previous.threshold),
        (None, None) => return Err(Failure::usage("--roots is missing")),
    };
    let of_before = previous.map(|previous| previous.keys.as_slice());
    let keys = merged(of_before.unwrap_or_default(), named)?;
    let authority = keys.first().map(|keys| *keys.authority());
    let authority = authority.ok_or_else(|| refused(&TrustError::Namespaces))?;
    let former: Vec<VerifierKey> = previous.map_or_else(Vec::new, |previous| {
        let leaves = |root: &&VerifierKey| !roots.contains(root);
        previous.roots.iter().filter(leaves).cloned().collect()
    });
    let expires_ms = u64::try_from(args.expires.as_millis()).unwrap_or(u64::MAX);
    Ok(TrustContent {
        authority,
        version: previous.map_or(1, |previous| previous.version.saturating_add(1)),
        expires_at_ms: now().get().saturating_add(expires_ms),
        threshold,
        roots,
        former_roots: former,
        keys,
    })
}

/// The key sets of the version before with those that are named in their places, by rising name.
fn merged(before: &[KeySet], named: Vec<KeySet>) -> Result<Vec<KeySet>, Failure> {
    let mut keys = named;
    for old in before {
        match keys.iter().find(|new| new.namespace() == old.namespace()) {
            Some(new) => check_continues(old, new)?,
            None => keys.push(old.clone()),
        }
    }
    keys.sort_by(|a, b| a.namespace().cmp(b.namespace()));
    Ok(keys)
}

/// Keys of a log only ever get more: a set that lacks an epoch or a mark is an older one.
fn check_continues(old: &KeySet, new: &KeySet) -> Result<(), Failure> {
    let has_epochs = new.epochs().starts_with(old.epochs());
    let has_marks = old
        .revocations()
        .iter()
        .all(|mark| new.revocations().contains(mark));
    if new.authority() == old.authority() && has_epochs && has_marks {
        return Ok(());
    }
    let message = format!(
        "the keys of `{}` do not continue those of --previous: an epoch or a mark of compromise is \
         missing; export them again",
        old.namespace()
    );
    Err(Failure::says(Exit::Failure, message))
}

fn fetch(gate: &GateArgs) -> Result<KeySet, Failure> {
    let file = block_on(async {
        let reached = showing("connecting", gate.reach()).await?;
        showing("fetching the keys", reached.gate.export_keys())
            .await
            .map_err(|error| read_failed(&error))
    })?;
    Ok(KeySet::parse(&file)?)
}

fn read(path: &Path) -> Result<TrustBundle, Failure> {
    trusted::parse(path)?.map_err(|untrusted| Failure::says(Exit::Failure, untrusted.sentence))
}

fn refused(error: &TrustError) -> Failure {
    Failure::says(
        Exit::Failure,
        format!("no trust bundle can be made: {error}"),
    )
}
