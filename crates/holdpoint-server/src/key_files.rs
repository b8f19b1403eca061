//! Files of secret keys: those of a node, of a witness, and offline roots.
//!
//! ```text
//! plain     ─▶ taken as it is; encrypted in its file if it is said under what
//! encrypted ─▶ opened with what it is said to be encrypted under, else refused
//! ```
//!
//! Every key file is for its owner only, and so is the file of what it is encrypted under. Nothing of
//! either is logged or shown in an error. Which settings name them is said by `config`.

use std::fmt;
use std::path::{Path, PathBuf};

use holdpoint_receipt::keys::{
    KeyError as KeyFormatError, SealingError, SecretBytes, SecretPem, is_sealed,
};
use holdpoint_receipt::{Sealing, SecretKey};
use holdpoint_storage::{
    DiskError, KeyError, read_credential, read_secret, replace_secret, write_secret,
};

use crate::random::{self, NoRandomness};

/// The file of what key files are encrypted under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealingFile {
    /// A passphrase: one line.
    Passphrase(PathBuf),
    /// A key-encryption key: 32 bytes in hexadecimal.
    KeyEncryptionKey(PathBuf),
}

impl SealingFile {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Passphrase(path) | Self::KeyEncryptionKey(path) => path,
        }
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`]: it is not there, others can read it, or it is neither.
    pub fn read(&self) -> Result<KeySealing, KeyFileError> {
        let path = self.path();
        let content = read_credential(path)?;
        let content = content.ok_or_else(|| KeyFileError::NoSealing { file: self.clone() })?;
        let sealing = match self {
            Self::Passphrase(_) => Sealing::from_passphrase(content.as_bytes()),
            Self::KeyEncryptionKey(_) => Sealing::from_key_encryption_key(content.as_bytes()),
        };
        let sealing = sealing.map_err(|problem| KeyFileError::Sealing {
            path: path.into(),
            problem,
        })?;
        Ok(KeySealing {
            file: self.clone(),
            sealing,
        })
    }
}

/// The setting and its value.
impl fmt::Display for SealingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = match self {
            Self::Passphrase(_) => "key_passphrase_file",
            Self::KeyEncryptionKey(_) => "key_encryption_key_file",
        };
        write!(f, "{setting} `{}`", self.path().display())
    }
}

/// What key files are encrypted under, and where that was read. Its `Debug` shows only the latter.
#[derive(Clone, Debug)]
pub struct KeySealing {
    file: SealingFile,
    sealing: Sealing,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// A file of a secret cannot be read or written, or others can read it.
    #[error(transparent)]
    Secret(#[from] KeyError),
    /// The disk does not list, or does not forget, key files.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is no such key file.
    #[error("`{}` is not there; give the file of the key", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A key file does not hold a key.
    #[error("`{}` does not hold a key: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: KeyFormatError,
    },
    /// A key file is encrypted, and nothing is said to open it.
    #[error(
        "`{}` is encrypted; name the file of its passphrase (`key_passphrase_file` in the cluster \
         file, --key-passphrase-file or HOLDPOINT_KEY_PASSPHRASE_FILE) or of its key-encryption key \
         (`key_encryption_key_file`, --key-encryption-key-file or \
         HOLDPOINT_KEY_ENCRYPTION_KEY_FILE)",
        path.display()
    )]
    Sealed {
        /// The file.
        path: PathBuf,
    },
    /// A key file is encrypted under something else.
    #[error(
        "`{}` is encrypted, and not under {by}; name the file that it was encrypted under, or change \
         that with `holdpoint keys reencrypt`",
        path.display()
    )]
    SealedOtherwise {
        /// The file.
        path: PathBuf,
        /// What does not open it.
        by: SealingFile,
    },
    /// The file of a passphrase or key-encryption key is not there.
    #[error("{file} is not there; write it with mode 600, or leave the setting out")]
    NoSealing {
        /// The file.
        file: SealingFile,
    },
    /// The file of a passphrase or key-encryption key holds none.
    #[error("`{}` cannot encrypt keys: {problem}", path.display())]
    Sealing {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: SealingError,
    },
    /// A key could not be encrypted so that it can be read back. Its file was left as it was.
    #[error("`{}` cannot be encrypted; it was left as it was", path.display())]
    NotSealed {
        /// The file.
        path: PathBuf,
    },
    /// Nothing random can be drawn.
    #[error("the system gives no random bytes")]
    Randomness,
}

impl From<NoRandomness> for KeyFileError {
    fn from(_: NoRandomness) -> Self {
        Self::Randomness
    }
}

/// Draws a key. It is nowhere but in memory.
///
/// # Errors
///
/// [`KeyFileError::Randomness`]
pub fn draw() -> Result<SecretKey, KeyFileError> {
    Ok(SecretKey::draw(|seed| random::fill(seed))?)
}

/// Reads a key; none if there is no such file. A plain one is encrypted in its file if `sealing` is
/// given.
///
/// # Errors
///
/// [`KeyFileError`] names the file.
pub fn open(path: &Path, sealing: Option<&KeySealing>) -> Result<Option<SecretKey>, KeyFileError> {
    let Some(content) = read_secret(path)? else {
        return Ok(None);
    };
    let key = decode(path, &content, sealing)?;
    if sealing.is_some() && !is_sealed(content.as_bytes()) {
        rewrite(path, &key, sealing)?;
        tracing::info!(file = %path.display(), "a key was plain in its file, and is encrypted now");
    }
    Ok(Some(key))
}

/// Writes a key to a file that is not there yet, with mode 0600, durably.
///
/// # Errors
///
/// [`KeyFileError`] names the file.
pub fn create(
    path: &Path,
    key: &SecretKey,
    sealing: Option<&KeySealing>,
) -> Result<(), KeyFileError> {
    let text = encode(path, key, sealing)?;
    Ok(write_secret(path, text.as_str().as_bytes())?)
}

/// Encrypts the keys in files under `new`, or under nothing; each file is replaced durably. Returns
/// those that were changed: one that a run which was interrupted has done already is left alone.
///
/// # Errors
///
/// [`KeyFileError`] names the file. If one cannot be opened, none was changed.
pub fn reencrypt(
    paths: &[PathBuf],
    old: Option<&KeySealing>,
    new: Option<&KeySealing>,
) -> Result<Vec<PathBuf>, KeyFileError> {
    let mut left = Vec::new();
    for path in paths {
        let content = read_secret(path)?;
        let content = content.ok_or_else(|| KeyFileError::NoKey { path: path.into() })?;
        let is_done = match new {
            Some(_) => is_sealed(content.as_bytes()) && decode(path, &content, new).is_ok(),
            None => !is_sealed(content.as_bytes()),
        };
        if !is_done {
            left.push((path, decode(path, &content, old)?));
        }
    }
    let mut changed = Vec::new();
    for (path, key) in left {
        rewrite(path, &key, new)?;
        changed.push(path.clone());
    }
    Ok(changed)
}

/// The key in the content of a file.
pub(crate) fn decode(
    path: &Path,
    content: &SecretBytes,
    sealing: Option<&KeySealing>,
) -> Result<SecretKey, KeyFileError> {
    let text = str::from_utf8(content.as_bytes()).unwrap_or_default();
    let damaged = |problem| KeyFileError::Damaged {
        path: path.into(),
        problem,
    };
    if !is_sealed(content.as_bytes()) {
        return SecretKey::from_pem(text).map_err(damaged);
    }
    let Some(with) = sealing else {
        return Err(KeyFileError::Sealed { path: path.into() });
    };
    SecretKey::from_sealed_pem(text, &with.sealing).map_err(|problem| match problem {
        KeyFormatError::SealedOtherwise => KeyFileError::SealedOtherwise {
            path: path.into(),
            by: with.file.clone(),
        },
        problem => damaged(problem),
    })
}

/// The content of a key's file.
pub(crate) fn encode(
    path: &Path,
    key: &SecretKey,
    sealing: Option<&KeySealing>,
) -> Result<SecretPem, KeyFileError> {
    let Some(with) = sealing else {
        return Ok(key.to_pem());
    };
    let sealed = key.to_sealed_pem(&with.sealing, &random::bytes()?);
    sealed.map_err(|_| KeyFileError::NotSealed { path: path.into() })
}

/// Writes the key of a file in another encoding. A text from which it could not be read again never
/// takes the place of the old one.
fn rewrite(path: &Path, key: &SecretKey, sealing: Option<&KeySealing>) -> Result<(), KeyFileError> {
    let text = encode(path, key, sealing)?;
    let read = decode(path, &SecretBytes::of(text.as_str().as_bytes()), sealing)?;
    if read.public() != key.public() {
        return Err(KeyFileError::NotSealed { path: path.into() });
    }
    Ok(replace_secret(path, text.as_str().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    fn private(folder: &TempDir, name: &str, content: &str) -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn passphrase(folder: &TempDir, words: &str) -> KeySealing {
        let path = private(folder, words, words);
        SealingFile::Passphrase(path).read().unwrap()
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn plain_key_is_encrypted_in_its_file_when_it_is_said_under_what_and_stays_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("a.key"), draw().unwrap());
        create(&path, &key, None).unwrap();
        let sealing = passphrase(&folder, "one two three");
        let opened = open(&path, Some(&sealing)).unwrap().unwrap();
        assert_eq!(opened.public(), key.public());
        let sealed = text(&path);
        assert!(is_sealed(sealed.as_bytes()));
        let again = open(&path, Some(&sealing)).unwrap().unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(text(&path), sealed, "a sealed key is not written again");
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }

    #[test]
    fn encrypted_key_is_refused_without_its_passphrase_and_the_settings_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("a.key"), draw().unwrap());
        let sealing = passphrase(&folder, "one two three");
        create(&path, &key, Some(&sealing)).unwrap();
        let before = text(&path);
        let error = open(&path, None).unwrap_err().to_string();
        for part in [
            "a.key` is encrypted",
            "key_passphrase_file",
            "key_encryption_key_file",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let other = passphrase(&folder, "four five six");
        let error = open(&path, Some(&other)).unwrap_err().to_string();
        assert!(error.contains("not under key_passphrase_file `"), "{error}");
        assert!(!error.contains("one two three"), "{error}");
        assert_eq!(text(&path), before);
    }

    #[test]
    fn file_of_the_passphrase_is_refused_where_it_is_missing_exposed_or_worthless() {
        let folder = tempfile::tempdir().unwrap();
        let says = |file: SealingFile, expected: &str| {
            let error = file.read().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let missing = folder.path().join("missing");
        says(SealingFile::Passphrase(missing), "missing` is not there");
        let exposed = private(&folder, "exposed", "one two three");
        fs::set_permissions(&exposed, fs::Permissions::from_mode(0o640)).unwrap();
        says(SealingFile::Passphrase(exposed), "can be read by others");
        let short = private(&folder, "short", "one");
        says(SealingFile::Passphrase(short.clone()), "at least 8 bytes");
        says(
            SealingFile::KeyEncryptionKey(short),
            "64 hexadecimal digits",
        );
    }

    #[test]
    fn keys_are_encrypted_otherwise_all_or_none_and_again_without_harm() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("1.key"), folder.path().join("2.key"));
        let (old, new) = (
            passphrase(&folder, "one two three"),
            passphrase(&folder, "four five six"),
        );
        let (first, second) = (draw().unwrap(), draw().unwrap());
        create(&one, &first, Some(&old)).unwrap();
        // As a run that was interrupted leaves them.
        create(&two, &second, Some(&new)).unwrap();
        let paths = [one.clone(), two.clone()];
        assert!(reencrypt(&paths, Some(&new), None).is_err());
        assert!(is_sealed(text(&two).as_bytes()), "none was changed");
        let changed = reencrypt(&paths, Some(&old), Some(&new)).unwrap();
        assert_eq!(changed, std::slice::from_ref(&one));
        assert!(
            reencrypt(&paths, Some(&old), Some(&new))
                .unwrap()
                .is_empty()
        );
        for (path, key) in [(&one, &first), (&two, &second)] {
            let opened = open(path, Some(&new)).unwrap().unwrap();
            assert_eq!(opened.public(), key.public());
        }
        assert_eq!(reencrypt(&paths, Some(&new), None).unwrap(), paths);
        assert_eq!(open(&one, None).unwrap().unwrap().public(), first.public());
        let gone = [folder.path().join("3.key")];
        let error = reencrypt(&gone, None, Some(&new)).unwrap_err();
        assert!(matches!(error, KeyFileError::NoKey { .. }), "{error}");
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = private(&folder, "secret", "one two three");
        let sealing = SealingFile::Passphrase(path).read().unwrap();
        let shown = format!("{sealing:?}");
        assert!(shown.contains("secret") && !shown.contains("one two three"));
    }
}
