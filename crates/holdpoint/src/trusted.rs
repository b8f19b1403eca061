//! The keys that somebody verifies with: a published set, or one that offline roots vouch for.
//!
//! ```text
//! --keys keys.json ───────────────────────────────────────────────▶ key set
//! --trust trust.json, --roots roots, what was seen before ─ verified ▶ key set of one namespace
//! ```
//!
//! Asks nobody. Never believes a trust bundle without remembering it.

use std::path::{Path, PathBuf};

use clap::Args;
use holdpoint_receipt::keys::KEYS_BYTES_MAX;
use holdpoint_receipt::trust::{TRUST_BYTES_MAX, TrustBundle, TrustError, Trusted};
use holdpoint_receipt::{KeySet, Name};

use crate::exit::Exit;
use crate::inputs::read_file;
use crate::output::{Failure, tell};
use crate::roots;
use crate::seen::Memory;
use crate::times::now;

/// The namespace that is meant where none is named.
const DEFAULT: &str = "default";

/// Where the keys come from.
#[derive(Debug, Args)]
pub(crate) struct KeySource {
    /// The published keys, from `holdpoint keys export` by a way that you trust
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDPOINT_KEYS",
        hide_env_values = true,
        required_unless_present = "trust"
    )]
    keys: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

/// A trust bundle and what it is verified against.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrustArgs {
    /// A trust bundle, which takes the place of --keys: keys that offline roots signed
    // No variable names it: it would take the place of a --keys that was typed.
    #[arg(long, value_name = "FILE", requires = "roots")]
    trust: Option<PathBuf>,
    /// The root keys that a trust bundle is verified against, one vkey a line
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDPOINT_ROOTS",
        hide_env_values = true
    )]
    roots: Option<PathBuf>,
    /// Where the newest trust bundle is remembered [default: ~/.local/state/holdpoint/trust.json]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Which log's keys, where a trust bundle has several [default: default]
    #[arg(long, value_name = "NAME")]
    trust_namespace: Option<Name>,
}

/// Why there are no keys to verify with.
#[derive(Clone, Debug)]
pub(crate) struct Untrusted {
    /// The published code.
    pub(crate) code: &'static str,
    /// What is wrong.
    pub(crate) sentence: String,
}

impl KeySource {
    /// Reads and verifies them. What is wrong with them is a verdict.
    pub(crate) fn read(&self) -> Result<Result<KeySet, Untrusted>, Failure> {
        read(self.keys.as_deref(), &self.trust)
    }
}

/// Reads and verifies keys. What is wrong with them is a verdict.
pub(crate) fn read(
    keys: Option<&Path>,
    trust: &TrustArgs,
) -> Result<Result<KeySet, Untrusted>, Failure> {
    if let Some(verified) = trust.read()? {
        return Ok(verified);
    }
    let Some(path) = keys else {
        return Err(Failure::usage("--keys or --trust is missing"));
    };
    let file = read_file(path, KEYS_BYTES_MAX)?;
    Ok(KeySet::parse(&file).map_err(|error| Untrusted {
        code: "KEYS_MALFORMED",
        sentence: format!("`{}` does not hold published keys: {error}", path.display()),
    }))
}

impl TrustArgs {
    /// The keys of the namespace that is meant; none if no trust bundle is named.
    pub(crate) fn read(&self) -> Result<Option<Result<KeySet, Untrusted>>, Failure> {
        let (Some(trust), Some(roots)) = (&self.trust, &self.roots) else {
            return Ok(None);
        };
        Ok(Some(match believe(trust, roots, self.state.as_deref())? {
            Ok(believed) => {
                let name = self.trust_namespace.as_ref().map(Name::as_str);
                of_namespace(&believed.trusted, name)
            }
            Err(untrusted) => Err(untrusted),
        }))
    }
}

/// The keys of a namespace's log: of the only one if none is named, or of `default`.
pub(crate) fn of_namespace(trusted: &Trusted, name: Option<&str>) -> Result<KeySet, Untrusted> {
    let sets = &trusted.content().keys;
    let found = match (name, sets.as_slice()) {
        (None, [only]) => Some(only),
        (name, several) => {
            let name = name.unwrap_or(DEFAULT);
            several
                .iter()
                .find(|keys| keys.namespace().as_str() == name)
        }
    };
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = sets.iter().map(|keys| keys.namespace().as_str()).collect();
        Untrusted {
            code: "TRUST_NO_KEYS",
            sentence: format!(
                "the trust bundle has no keys of namespace `{}`, but of {}",
                name.unwrap_or(DEFAULT),
                names.join(", ")
            ),
        }
    })
}

/// The keys for a gate that is about to be asked.
pub(crate) fn need(trust: &Path, roots: &Path, namespace: Option<&str>) -> Result<KeySet, Failure> {
    let name = namespace.unwrap_or(DEFAULT);
    let keys = match believe(trust, roots, None)? {
        Ok(believed) => of_namespace(&believed.trusted, Some(name)),
        Err(untrusted) => Err(untrusted),
    };
    keys.map_err(|Untrusted { code, sentence }| {
        Failure::says(Exit::Failure, format!("{code}: {sentence}"))
    })
}

/// A trust bundle that was verified, and where it is remembered.
#[derive(Debug)]
pub(crate) struct Believed {
    /// The bundle.
    pub(crate) trusted: Trusted,
    /// The file of the memory.
    pub(crate) state: PathBuf,
}

/// Verifies a trust bundle against roots and what was seen before, and remembers it.
pub(crate) fn believe(
    trust: &Path,
    roots: &Path,
    state: Option<&Path>,
) -> Result<Result<Believed, Untrusted>, Failure> {
    let bundle = match parse(trust)? {
        Ok(bundle) => bundle,
        Err(untrusted) => return Ok(Err(untrusted)),
    };
    let given = match roots::read(roots)? {
        Ok(given) => given,
        Err(sentence) => {
            let code = "ROOTS_MALFORMED";
            return Ok(Err(Untrusted { code, sentence }));
        }
    };
    let cluster = bundle.content().authority;
    let mut memory = Memory::open(state)?;
    let remembered = memory.of(&cluster, &given)?;
    let (seen, anchor) = match remembered {
        Some(remembered) => (Some(remembered.seen), remembered.anchor),
        None => (None, None),
    };
    let anchor = anchor.as_ref().unwrap_or(&given);
    let trusted = match bundle.verify(anchor, seen.as_ref(), now().get()) {
        Ok(trusted) => trusted,
        Err(error) => return Ok(Err(untrusted(trust, &error))),
    };
    let is_new = memory.remember(&cluster, &trusted.seen(), &trusted.anchor(), &given)?;
    let state = memory.path().to_owned();
    if is_new {
        tell(format!(
            "holdpoint: trust bundle {} of cluster {cluster} is remembered in {}",
            trusted.content().version,
            state.display()
        ));
    }
    Ok(Ok(Believed { trusted, state }))
}

/// Reads a trust bundle; nothing of it is verified.
pub(crate) fn parse(path: &Path) -> Result<Result<TrustBundle, Untrusted>, Failure> {
    let file = read_file(path, TRUST_BYTES_MAX)?;
    Ok(TrustBundle::parse(&file).map_err(|error| untrusted(path, &error)))
}

fn untrusted(path: &Path, error: &TrustError) -> Untrusted {
    Untrusted {
        code: error.code(),
        sentence: format!("`{}`: {error}", path.display()),
    }
}
