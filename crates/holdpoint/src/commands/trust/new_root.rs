//! `holdpoint trust new-root`: draws an offline root key.

use std::path::PathBuf;

use clap::Args;
use holdpoint_receipt::keys::{Algorithm, KeyName, VerifierKey};
use holdpoint_server::key_files;
use serde_json::Value;

use crate::output::{Answer, Failure, optional};
use crate::roots;
use crate::sealing::{SealingArgs, not_opened};

/// Draw a root key
///
/// On a machine that is kept offline. The file is for its owner only; its vkey, which is printed, is for
/// everybody who verifies. A key that is there already is never overwritten.
#[derive(Debug, Args)]
pub(crate) struct NewRootArgs {
    /// The file of the key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Its name in signatures, such as `example.org/root-1`
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: KeyName,
    /// Add its vkey to this roots file, which is made if it is not there
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    #[command(flatten)]
    sealing: SealingArgs,
}

fn parse_name(text: &str) -> Result<KeyName, String> {
    KeyName::new(text).ok_or_else(|| {
        format!("`{text}` is not the name of a key: no white space, no `+`, not empty")
    })
}

/// Draws it.
pub(super) fn perform(args: &NewRootArgs) -> Result<Answer, Failure> {
    let sealing = args.sealing.read()?;
    let key = key_files::draw().map_err(|error| not_opened(&error))?;
    key_files::create(&args.key, &key, sealing.as_ref()).map_err(|error| not_opened(&error))?;
    let root = VerifierKey::new(args.name.clone(), Algorithm::Ed25519, key.public());
    if let Some(roots) = &args.roots {
        roots::add(roots, &root)?;
    }
    let path = args.key.display();
    let talk = if sealing.is_some() {
        format!("its key is in {path}, encrypted; keep it offline, and a copy of it")
    } else {
        format!("its key is in {path}, not encrypted; keep it offline, and a copy of it")
    };
    Ok(Answer::new("trust-new-root")
        .line(&root)
        .talk(talk)
        .member("vkey", root.to_string())
        .member("key", args.key.display().to_string())
        .member(
            "roots",
            optional(args.roots.as_ref().map(|path| path.display())),
        )
        .member("encrypted", Value::from(sealing.is_some())))
}
