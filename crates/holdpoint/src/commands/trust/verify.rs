//! `holdpoint trust verify`: whether a trust bundle is to be believed.

use std::path::PathBuf;

use clap::Args;
use holdpoint_receipt::{ClusterTime, Name};

use crate::exit::Exit;
use crate::output::{Answer, Failure};
use crate::roots::unwritten;
use crate::shelf;
use crate::trusted::{Believed, Untrusted, believe, of_namespace};

/// Verify a trust bundle against roots, and remember it
///
/// Exit code 0: it is signed by enough of the roots, has not expired and is no older than the newest that
/// was believed; 11: it is not. The first check that fails is the answer. Versions after a change of
/// roots are verified one after the other.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The trust bundle
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// The root keys, one vkey a line, by a way that you trust
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDPOINT_ROOTS",
        hide_env_values = true
    )]
    roots: PathBuf,
    /// Where the newest is remembered [default: ~/.local/state/holdpoint/trust.json]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Write the published keys that it vouches for, as `holdpoint keys export` does
    #[arg(long, value_name = "FILE")]
    keys_out: Option<PathBuf>,
    /// Write them as a JSON Web Key Set, as `holdpoint keys jwks` does
    #[arg(long, value_name = "FILE")]
    jwks_out: Option<PathBuf>,
    /// Whose keys, where it has several [default: default]
    #[arg(long, value_name = "NAME")]
    trust_namespace: Option<Name>,
}

/// Verifies it. Asks nobody.
pub(super) fn perform(args: &VerifyArgs) -> Result<Answer, Failure> {
    Ok(match verified(args)? {
        Ok(believed) => valid(&believed),
        Err(untrusted) => Answer::new("trust-verify")
            .exit(Exit::NoQuorum)
            .line(format!(
                "UNVERIFIABLE  {}  {}",
                untrusted.code, untrusted.sentence
            ))
            .member("verdict", "UNVERIFIABLE")
            .member("code", untrusted.code)
            .member("sentence", untrusted.sentence),
    })
}

/// Believes it, and writes what follows from it.
fn verified(args: &VerifyArgs) -> Result<Result<Believed, Untrusted>, Failure> {
    let believed = match believe(&args.bundle, &args.roots, args.state.as_deref())? {
        Ok(believed) => believed,
        Err(untrusted) => return Ok(Err(untrusted)),
    };
    if args.keys_out.is_none() && args.jwks_out.is_none() {
        return Ok(Ok(believed));
    }
    let name = args.trust_namespace.as_ref().map(Name::as_str);
    let keys = match of_namespace(&believed.trusted, name) {
        Ok(keys) => keys,
        Err(untrusted) => return Ok(Err(untrusted)),
    };
    for (path, text) in [
        (&args.keys_out, keys.to_file()),
        (&args.jwks_out, keys.to_jwks()),
    ] {
        if let Some(path) = path {
            shelf::write(path, text.as_bytes()).map_err(|error| unwritten(path, &error))?;
        }
    }
    Ok(Ok(believed))
}

fn valid(believed: &Believed) -> Answer {
    let content = believed.trusted.content();
    let until = ClusterTime::new(content.expires_at_ms);
    let until = until.map_or_else(|_| "?".to_owned(), |at| at.to_string());
    Answer::new("trust-verify")
        .line(format!(
            "VALID  version {} of cluster {}, trusted until {until}",
            content.version, content.authority
        ))
        .talk(format!("remembered in {}", believed.state.display()))
        .member("verdict", "VALID")
        .member("authority", content.authority.to_string())
        .member("version", content.version.to_string())
        .member("digest", believed.trusted.seen().digest.to_string())
        .member("expires_at_ms", content.expires_at_ms.to_string())
        .member("state", believed.state.display().to_string())
}
