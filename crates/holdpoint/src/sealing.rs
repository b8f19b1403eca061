//! What key files are encrypted under, as a command line or the environment names it.
//!
//! Never reads a passphrase from an argument or a terminal: other processes see arguments, and a
//! service has no terminal.

use std::path::PathBuf;

use clap::Args;
use holdpoint_server::config::{ENV_KEY_ENCRYPTION_KEY_FILE, ENV_KEY_PASSPHRASE_FILE};
use holdpoint_server::key_files::{KeyFileError, KeySealing, SealingFile};

use crate::exit::Exit;
use crate::output::Failure;

/// The file of a passphrase, or that of a key-encryption key.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Encryption of key files")]
pub(crate) struct SealingArgs {
    /// The file of the passphrase that key files are encrypted under: one line, mode 600
    #[arg(
        long,
        value_name = "FILE",
        env = ENV_KEY_PASSPHRASE_FILE,
        hide_env_values = true,
        conflicts_with = "key_encryption_key_file"
    )]
    key_passphrase_file: Option<PathBuf>,
    /// The same with a key-encryption key in its place: 64 hexadecimal digits, mode 600
    #[arg(
        long,
        value_name = "FILE",
        env = ENV_KEY_ENCRYPTION_KEY_FILE,
        hide_env_values = true
    )]
    key_encryption_key_file: Option<PathBuf>,
}

impl SealingArgs {
    /// The file; none where keys are plain, or where something else names it.
    pub(crate) fn file(&self) -> Option<SealingFile> {
        file(
            self.key_passphrase_file.as_ref(),
            self.key_encryption_key_file.as_ref(),
        )
    }

    /// What is in it.
    pub(crate) fn read(&self) -> Result<Option<KeySealing>, Failure> {
        read(self.file())
    }
}

/// One of two options that exclude each other.
pub(crate) fn file(
    passphrase: Option<&PathBuf>,
    key_encryption_key: Option<&PathBuf>,
) -> Option<SealingFile> {
    let passphrase = passphrase.cloned().map(SealingFile::Passphrase);
    passphrase.or_else(|| {
        key_encryption_key
            .cloned()
            .map(SealingFile::KeyEncryptionKey)
    })
}

/// Reads the file, if there is one.
pub(crate) fn read(file: Option<SealingFile>) -> Result<Option<KeySealing>, Failure> {
    let read = file.map(|file| file.read()).transpose();
    read.map_err(|error| not_opened(&error))
}

/// Why a key cannot be used.
pub(crate) fn not_opened(error: &KeyFileError) -> Failure {
    Failure::new(Exit::Failure, error)
}
