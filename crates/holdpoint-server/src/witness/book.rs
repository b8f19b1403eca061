//! What a witness remembers: the last head of each log that it signed, durable before the signature
//! leaves, and whose memory it is.
//!
//! ```text
//! witness                 the key with its name, as published
//! <sha256 of origin>.head the text of the last head that was signed
//! ```

use std::path::{Path, PathBuf};

use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::keys::{Algorithm, KeyName, VerifierKey};
use holdpoint_receipt::{SecretKey, sha256};
use holdpoint_storage::{DiskError, Folder, FolderError};

use crate::key_files::{self, KeyFileError, KeySealing};

/// Names the key that the memory belongs to.
const OWNER: &str = "witness";

/// Why a witness has no key or no memory.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The folder of its memory.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file of its key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The key is there and what it signed is not known.
    #[error(
        "`{}` has signed before, and `{}` does not know what; restore that folder, or make a new key, \
         under a new name",
        key.display(), state.display()
    )]
    LostMemory {
        /// The key file.
        key: PathBuf,
        /// The folder.
        state: PathBuf,
    },
    /// The memory is that of another key or name.
    #[error("`{}` is the memory of `{owner}`, not of this witness", state.display())]
    OtherOwner {
        /// The folder.
        state: PathBuf,
        /// Whose it is.
        owner: String,
    },
    /// A file of the memory is not one that this program writes.
    #[error("what was signed of `{origin}` cannot be read; nothing is signed")]
    Damaged {
        /// The log.
        origin: String,
    },
    /// The name does not fit.
    #[error("`{0}` is not the name of a key: no white space, no `+`, not empty")]
    Name(String),
}

/// A witness's key and memory.
#[derive(Debug)]
pub(super) struct Book {
    folder: Folder,
    key: SecretKey,
    verifier: VerifierKey,
}

impl Book {
    /// Opens both, and makes them at the first start.
    pub(super) fn open(
        key: &Path,
        name: Option<&str>,
        state: &Path,
        sealing: Option<&KeySealing>,
    ) -> Result<Self, BookError> {
        let folder = Folder::open(state)?;
        let owner = folder.read(OWNER)?;
        let (secret, is_new) = match key_files::open(key, sealing)? {
            Some(secret) => (secret, false),
            None => (key_files::draw()?, true),
        };
        let verifier = verifier(&secret, name)?;
        let known = verifier.to_string().into_bytes();
        match owner {
            None if !is_new => {
                let (key, state) = (key.into(), state.into());
                return Err(BookError::LostMemory { key, state });
            }
            // A key that was never written has signed nothing.
            None => folder.replace(OWNER, &known)?,
            Some(owner) if owner != known => {
                let owner = String::from_utf8_lossy(&owner).into_owned();
                let state = state.into();
                return Err(BookError::OtherOwner { state, owner });
            }
            Some(_) => (),
        }
        if is_new {
            key_files::create(key, &secret, sealing)?;
        }
        Ok(Self {
            folder,
            key: secret,
            verifier,
        })
    }

    /// The key that signs.
    pub(super) const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The same as it is published.
    pub(super) const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The last head of a log that was signed.
    pub(super) fn last(&self, origin: &str) -> Result<Option<Checkpoint>, BookError> {
        let Some(bytes) = self.folder.read(&file_of(origin))? else {
            return Ok(None);
        };
        let head = str::from_utf8(&bytes).ok();
        let head = head.and_then(|text| text.parse::<Checkpoint>().ok());
        head.filter(|head| head.origin.as_str() == origin)
            .map(Some)
            .ok_or_else(|| BookError::Damaged {
                origin: origin.to_owned(),
            })
    }

    /// Makes `head` the last of its log. Once it returns, no crash takes it back.
    pub(super) fn remember(&self, head: &Checkpoint) -> Result<(), BookError> {
        let file = file_of(head.origin.as_str());
        Ok(self.folder.replace(&file, head.to_text().as_bytes())?)
    }
}

fn file_of(origin: &str) -> String {
    format!("{}.head", sha256(origin.as_bytes()))
}

/// The public key under its name: one that is made of the key itself, unless another is given.
fn verifier(secret: &SecretKey, name: Option<&str>) -> Result<VerifierKey, BookError> {
    let public = secret.public();
    let name = name.map_or_else(
        || {
            let digest = sha256(public.as_bytes()).to_string();
            format!("witness-{}", digest.get(..16).unwrap_or_default())
        },
        str::to_owned,
    );
    let name = KeyName::new(name.clone()).ok_or(BookError::Name(name))?;
    Ok(VerifierKey::new(name, Algorithm::CosignatureV1, public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_files::SealingFile;

    #[test]
    fn key_without_its_memory_and_memory_of_another_key_are_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let (key, state) = (scratch.path().join("a.key"), scratch.path().join("state"));
        let first = Book::open(&key, Some("w.example"), &state, None).unwrap();
        let vkey = first.verifier().to_string();
        drop(first);
        let again = Book::open(&key, Some("w.example"), &state, None).unwrap();
        assert_eq!(again.verifier().to_string(), vkey);
        drop(again);
        let other = Book::open(&key, Some("other.example"), &state, None).unwrap_err();
        assert!(matches!(other, BookError::OtherOwner { .. }), "{other}");
        let other = Book::open(
            &scratch.path().join("b.key"),
            Some("w.example"),
            &state,
            None,
        );
        assert!(matches!(other, Err(BookError::OtherOwner { .. })));
        let lost = Book::open(&key, Some("w.example"), &scratch.path().join("empty"), None);
        assert!(matches!(lost, Err(BookError::LostMemory { .. })));
        let unfit = Book::open(&key, Some("a name"), &state, None).unwrap_err();
        assert!(matches!(unfit, BookError::Name(_)), "{unfit}");
    }

    #[test]
    fn key_is_encrypted_in_its_file_where_a_passphrase_is_named_and_stays_the_same() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = tempfile::tempdir().unwrap();
        let (key, state) = (scratch.path().join("a.key"), scratch.path().join("state"));
        let passphrase = scratch.path().join("passphrase");
        std::fs::write(&passphrase, "one two three").unwrap();
        std::fs::set_permissions(&passphrase, std::fs::Permissions::from_mode(0o600)).unwrap();
        let sealing = SealingFile::Passphrase(passphrase).read().unwrap();
        let plain = Book::open(&key, None, &state, None).unwrap();
        let vkey = plain.verifier().clone();
        drop(plain);
        let sealed = Book::open(&key, None, &state, Some(&sealing)).unwrap();
        assert_eq!(*sealed.verifier(), vkey);
        drop(sealed);
        let refused = Book::open(&key, None, &state, None).unwrap_err();
        assert!(refused.to_string().contains("is encrypted"), "{refused}");
    }
}
