//! `holdpoint keys reencrypt`: key files under another passphrase, without a node.

use std::path::PathBuf;

use clap::Args;
use holdpoint_server::HomeError;
use holdpoint_server::key_files::{KeyFileError, reencrypt};
use holdpoint_server::reencrypt_keys;
use serde_json::Value;

use crate::exit::Exit;
use crate::output::{Answer, Failure};
use crate::sealing::{file, not_opened, read};

/// Encrypt key files under another passphrase, or for the first time
///
/// Offline: the node must be stopped. Every file is opened before one is changed, and each is replaced
/// durably. A run that was interrupted can be repeated. The keys stay what they are.
#[derive(Debug, Args)]
pub(crate) struct ReencryptArgs {
    /// The data directory of a node that is stopped
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "key",
        conflicts_with = "key"
    )]
    data_dir: Option<PathBuf>,
    /// A key file by itself, such as that of a witness or an offline root; can be repeated
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// The passphrase that they are encrypted under now
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "old_key_encryption_key_file"
    )]
    old_passphrase_file: Option<PathBuf>,
    /// The key-encryption key that they are encrypted under now
    #[arg(long, value_name = "FILE")]
    old_key_encryption_key_file: Option<PathBuf>,
    /// The passphrase to encrypt them under
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present_any = ["new_key_encryption_key_file", "plain"],
        conflicts_with_all = ["new_key_encryption_key_file", "plain"]
    )]
    new_passphrase_file: Option<PathBuf>,
    /// The key-encryption key to encrypt them under
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    new_key_encryption_key_file: Option<PathBuf>,
    /// Leave them unencrypted
    #[arg(long)]
    plain: bool,
}

/// Encrypts them.
pub(super) fn perform(args: &ReencryptArgs) -> Result<Answer, Failure> {
    let old = read(file(
        args.old_passphrase_file.as_ref(),
        args.old_key_encryption_key_file.as_ref(),
    ))?;
    let new = read(file(
        args.new_passphrase_file.as_ref(),
        args.new_key_encryption_key_file.as_ref(),
    ))?;
    let changed = match &args.data_dir {
        Some(root) => reencrypt_keys(root, old.as_ref(), new.as_ref()),
        None => reencrypt(&args.key, old.as_ref(), new.as_ref()).map_err(HomeError::from),
    };
    let changed = changed.map_err(|error| match error {
        HomeError::Key(
            error @ (KeyFileError::Sealed { .. } | KeyFileError::SealedOtherwise { .. }),
        ) => {
            let next = "name what it is encrypted under now with --old-passphrase-file or \
                        --old-key-encryption-key-file; nothing was changed";
            not_opened(&error).next(Some(next.to_owned()))
        }
        error => Failure::new(Exit::Failure, &error),
    })?;
    let word = if args.plain { "PLAIN" } else { "ENCRYPTED" };
    let mut answer = Answer::new("keys-reencrypt");
    if changed.is_empty() {
        answer = answer.line(format!("{word}  every key file was so already"));
    }
    let mut files: Vec<Value> = Vec::new();
    for path in changed {
        let path = path.display().to_string();
        answer = answer.line(format!("{word}  {path}"));
        files.push(path.into());
    }
    Ok(answer.member("changed", files))
}
