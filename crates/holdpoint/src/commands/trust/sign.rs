//! `holdpoint trust sign`: one root's signature, offline.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use holdpoint_server::key_files::{self, KeyFileError};

use super::{members, signed};
use crate::exit::Exit;
use crate::output::{Answer, Failure};
use crate::sealing::{SealingArgs, not_opened};
use crate::{roots, shelf, trusted};

/// Sign a trust bundle with one root key
///
/// Offline. Look at what is signed first (`holdpoint trust show`): compare the digests of the keys with
/// those that the operator of the cluster names, over another way than the file came.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The trust bundle, to which the signature is added
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// The file of the root key, or of one that leaves with this version
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Write it to this file, and leave the first one alone
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    sealing: SealingArgs,
}

/// Signs it.
pub(super) fn perform(args: &SignArgs) -> Result<Answer, Failure> {
    let parsed = trusted::parse(&args.bundle)?;
    let mut bundle =
        parsed.map_err(|untrusted| Failure::says(Exit::Failure, untrusted.sentence))?;
    let sealing = args.sealing.read()?;
    let before = file_number(&args.key);
    let key = key_files::open(&args.key, sealing.as_ref())
        .and_then(|key| {
            let path = args.key.clone();
            key.ok_or(KeyFileError::NoKey { path })
        })
        .map_err(|error| not_opened(&error))?;
    let public = key.public();
    let content = bundle.content();
    let mut known = content.roots.iter().chain(&content.former_roots);
    let root = known.find(|root| *root.key() == public).cloned();
    let root = root.ok_or_else(|| {
        let message = format!(
            "the key in `{}` is no root of this trust bundle; `holdpoint trust show` names them",
            args.key.display()
        );
        Failure::says(Exit::Failure, message)
    })?;
    bundle
        .sign(root.name(), &key)
        .map_err(|error| Failure::new(Exit::Failure, &error))?;
    let out = args.out.as_ref().unwrap_or(&args.bundle);
    shelf::write(out, bundle.to_file().as_bytes())
        .map_err(|error| roots::unwritten(out, &error))?;
    let (count, threshold) = signed(&bundle);
    let answer = Answer::new("trust-sign").line(format!(
        "SIGNED  version {} by {}; {count} of {threshold} signatures that it needs of its roots, in {}",
        bundle.content().version,
        root.name(),
        out.display()
    ));
    // Whoever signs should know that the file opens with the passphrase only from now on.
    let is_rewritten = before.is_some() && file_number(&args.key) != before;
    let answer = if is_rewritten {
        answer.line(format!(
            "`{}` was plain; it is encrypted now, and opens with what you gave only",
            args.key.display()
        ))
    } else {
        answer
    };
    Ok(members(answer, &bundle)
        .member("signer", root.to_string())
        .member("out", out.display().to_string()))
}

/// Which file stands there: a key that is written anew is another one. Never reads it.
fn file_number(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|found| found.ino())
}
