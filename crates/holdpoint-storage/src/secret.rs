//! Secrets in files of their own: readable by their owner only, replaced durably, wiped.
//!
//! ```text
//! replace:  name.tmp written, synced ─▶ renamed over name ─▶ folder synced ─▶ old bytes zeroed
//! ```
//!
//! A crash at any step leaves the old secret or the new one. A disk that writes elsewhere than it was
//! told to may still hold bytes that were zeroed.
//!
//! What is in a file, and whether it is encrypted, is not this crate's business.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use holdpoint_receipt::keys::SecretBytes;

use crate::durable;
use crate::error::DiskError;

/// The longest file of a secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 4_096;

/// Mode bits that let anybody but the owner in.
const OTHERS: u32 = 0o077;
/// How a service manager that hands credentials to a process makes their files: of root, and readable
/// by root's own group where the process has been let in by name.
const CREDENTIAL: u32 = 0o440;

/// Why a file of a secret was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is a key of this name already; a key is never overwritten.
    #[error("`{}` exists already and is not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others can read it.
    #[error(
        "`{}` can be read by others (mode {mode:o}); what is in it may be known to them: replace it, \
         or run `chmod 600` if you are sure that nobody has read it",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is longer than any secret.
    #[error(
        "`{}` is no key or passphrase: it has more than {SECRET_BYTES_MAX} bytes", path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The disk refused.
    #[error(transparent)]
    Fault(#[from] DiskError),
}

/// Reads a secret; none if the file is not there.
///
/// # Errors
///
/// [`KeyError::Exposed`] if others can read it, else a fault of the disk.
pub fn read_secret(path: &Path) -> Result<Option<SecretBytes>, KeyError> {
    read(path, |metadata| metadata.mode() & OTHERS == 0)
}

/// Reads what secrets are encrypted under; none if the file is not there. It may also be a credential
/// that a service manager handed over: of root, mode 0440.
///
/// # Errors
///
/// [`KeyError::Exposed`] if others can read it, else a fault of the disk.
pub fn read_credential(path: &Path) -> Result<Option<SecretBytes>, KeyError> {
    read(path, |metadata| {
        let is_roots = metadata.uid() == 0 && metadata.gid() == 0;
        metadata.mode() & OTHERS == 0 || (is_roots && metadata.mode() & 0o777 == CREDENTIAL)
    })
}

fn read(
    path: &Path,
    is_private: impl FnOnce(&Metadata) -> bool,
) -> Result<Option<SecretBytes>, KeyError> {
    let fault = |error| KeyError::Fault(DiskError::at("read", path)(error));
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(fault)?,
    };
    // Of the file that is read, and not of another that is put in its place meanwhile.
    let metadata = file.metadata().map_err(fault)?;
    if !is_private(&metadata) {
        let (path, mode) = (path.into(), metadata.mode() & 0o7777);
        return Err(KeyError::Exposed { path, mode });
    }
    let mut secret = SecretBytes::zeroed(SECRET_BYTES_MAX + 1);
    let mut length = 0_usize;
    loop {
        let room = secret.as_mut_bytes().get_mut(length..).unwrap_or_default();
        if room.is_empty() {
            return Err(KeyError::TooLong { path: path.into() });
        }
        match file.read(room) {
            Ok(0) => break,
            Ok(count) => length = length.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(fault(error)),
        }
    }
    secret.truncate(length);
    Ok(Some(secret))
}

/// Writes a secret to a file that is not there yet, with mode 0600, durably.
///
/// # Errors
///
/// [`KeyError::Exists`] if it is there, else a fault of the disk.
pub fn write_secret(path: &Path, secret: &[u8]) -> Result<(), KeyError> {
    if path.exists() {
        return Err(KeyError::Exists { path: path.into() });
    }
    let (folder, name) = place_of(path)?;
    durable::replace_file(folder, name, secret, durable::MODE_SECRET)?;
    Ok(())
}

/// Puts another secret in the place of the one in a file, durably, and then zeroes the old bytes.
///
/// # Errors
///
/// A fault of the disk. The file has its old content then, or the new one.
pub fn replace_secret(path: &Path, secret: &[u8]) -> Result<(), KeyError> {
    let (folder, name) = place_of(path)?;
    let old = OpenOptions::new().write(true).open(path);
    let old = old.map_err(DiskError::at("open", path))?;
    durable::replace_file(folder, name, secret, durable::MODE_SECRET)?;
    zero(old).map_err(DiskError::at("wipe", path))?;
    Ok(())
}

/// Overwrites a secret with zeros and removes its file. Says whether there was one. The removal is not
/// durable by itself.
///
/// # Errors
///
/// A fault of the disk; what was not removed is still whole or all zeros.
pub(crate) fn wipe(path: &Path) -> Result<bool, DiskError> {
    let wiped = OpenOptions::new().write(true).open(path).and_then(zero);
    match wiped {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        wiped => wiped.map_err(DiskError::at("wipe", path))?,
    }
    durable::remove_any(path)?;
    Ok(true)
}

/// Overwrites a file with zeros, durably.
fn zero(mut file: File) -> io::Result<()> {
    let mut left = file.metadata()?.len();
    let zeros = [0_u8; 256];
    while left > 0 {
        let count = usize::try_from(left)
            .unwrap_or(zeros.len())
            .min(zeros.len());
        file.write_all(zeros.get(..count).unwrap_or(&zeros))?;
        left = left.saturating_sub(count as u64);
    }
    file.sync_all()
}

/// The folder and the name of a file.
fn place_of(path: &Path) -> Result<(&Path, &str), DiskError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        let unnamed = io::Error::from(io::ErrorKind::InvalidFilename);
        DiskError::at("write", path)(unnamed)
    })?;
    Ok((durable::parent_of(path), name))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn secret_is_for_its_owner_only_and_never_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a.key");
        assert!(read_secret(&path).unwrap().is_none());
        write_secret(&path, b"secret").unwrap();
        let read = read_secret(&path).unwrap().unwrap();
        assert_eq!(read.as_bytes(), b"secret");
        assert_eq!(mode(&path), 0o600);
        let exists = write_secret(&path, b"other").unwrap_err();
        assert!(matches!(exists, KeyError::Exists { .. }), "{exists}");
        for others in [0o640, 0o604, 0o620, 0o440] {
            set_mode(&path, others);
            let exposed = read_secret(&path).unwrap_err();
            assert!(matches!(exposed, KeyError::Exposed { .. }), "{exposed}");
            assert!(exposed.to_string().contains("chmod 600"), "{exposed}");
        }
    }

    #[test]
    fn credential_of_root_may_be_read_by_roots_group_and_by_no_other() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("passphrase");
        write_secret(&path, b"secret").unwrap();
        assert!(read_credential(&path).unwrap().is_some());
        for others in [0o640, 0o444, 0o460, 0o404] {
            set_mode(&path, others);
            let exposed = read_credential(&path).unwrap_err();
            assert!(matches!(exposed, KeyError::Exposed { .. }), "{others:o}");
        }
        set_mode(&path, CREDENTIAL);
        let metadata = fs::metadata(&path).unwrap();
        let is_roots = metadata.uid() == 0 && metadata.gid() == 0;
        assert_eq!(read_credential(&path).is_ok(), is_roots);
    }

    #[test]
    fn replaced_secret_is_there_whole_and_the_old_bytes_are_zeroed() {
        let scratch = tempfile::tempdir().unwrap();
        let (path, link) = (scratch.path().join("a.key"), scratch.path().join("link"));
        write_secret(&path, b"old secret").unwrap();
        // A second name shows what has become of the bytes.
        fs::hard_link(&path, &link).unwrap();
        replace_secret(&path, b"new").unwrap();
        assert_eq!(read_secret(&path).unwrap().unwrap().as_bytes(), b"new");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read(&link).unwrap(), [0; 10]);
        assert!(replace_secret(&scratch.path().join("none"), b"new").is_err());
    }

    #[test]
    fn file_that_is_longer_than_any_secret_is_refused_and_one_as_long_is_read() {
        let scratch = tempfile::tempdir().unwrap();
        let (long, longer) = (scratch.path().join("long"), scratch.path().join("longer"));
        write_secret(&long, &[b'x'; SECRET_BYTES_MAX]).unwrap();
        write_secret(&longer, &[b'x'; SECRET_BYTES_MAX + 1]).unwrap();
        let read = read_secret(&long).unwrap().unwrap();
        assert_eq!(read.as_bytes().len(), SECRET_BYTES_MAX);
        let error = read_secret(&longer).unwrap_err();
        assert!(matches!(error, KeyError::TooLong { .. }), "{error}");
    }
}
