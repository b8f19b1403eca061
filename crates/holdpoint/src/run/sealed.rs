//! The bytes that a permit is for, where nobody can change them any more.
//!
//! A file is read once into anonymous memory, sealed, and hashed from there. What the digest was
//! taken of is what the command opens, whatever happens to the file in the meantime.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use holdpoint_receipt::{Digest, Hasher};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};

use crate::exit::Exit;
use crate::inputs::{Bind, CHUNK_BYTES, open_regular, unreadable};
use crate::output::Failure;

/// The longest file that can be bound: it is held in memory while the command runs.
const BOUND_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// No write, no other length, and no way to take that back.
const SEALS: SealFlags = SealFlags::WRITE
    .union(SealFlags::GROW)
    .union(SealFlags::SHRINK)
    .union(SealFlags::SEAL);

/// A sealed copy of a bound file. It goes away with the last process that holds it.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// The bound name.
    pub(crate) name: String,
    /// Digest of the sealed bytes.
    pub(crate) digest: Digest,
    /// Inherited by the command: it is not closed on exec.
    memory: File,
}

impl Sealed {
    /// Copies the file and seals the copy.
    pub(crate) fn copy(bind: &Bind) -> Result<Self, Failure> {
        let fault = |what: &str, error: std::io::Error| {
            Failure::says(
                Exit::OwnFault,
                format!(
                    "cannot {what} the copy of `{}`: {error}",
                    bind.path.display()
                ),
            )
        };
        let memory = memfd_create(bind.name.as_str(), MemfdFlags::ALLOW_SEALING)
            .map_err(|error| fault("make", error.into()))?;
        let mut memory = File::from(memory);
        copy_into(&bind.path, &mut memory)?;
        fcntl_add_seals(&memory, SEALS).map_err(|error| fault("seal", error.into()))?;
        let sealed = fcntl_get_seals(&memory).map_err(|error| fault("check", error.into()))?;
        assert!(
            sealed.contains(SEALS),
            "a copy that can still be changed must not be hashed"
        );
        let digest = digest(&mut memory).map_err(|error| fault("read", error))?;
        Ok(Self {
            name: bind.name.clone(),
            digest,
            memory,
        })
    }

    /// Where the command, and whatever it starts, finds the bytes.
    pub(crate) fn path(&self) -> OsString {
        OsString::from(format!("/proc/self/fd/{}", self.memory.as_raw_fd()))
    }
}

fn copy_into(path: &Path, memory: &mut File) -> Result<(), Failure> {
    let unreadable = |error| unreadable(path, &error);
    let file = open_regular(path)?;
    let mut limited = file.take(BOUND_BYTES_MAX.saturating_add(1));
    let count = std::io::copy(&mut limited, memory).map_err(unreadable)?;
    memory.flush().map_err(unreadable)?;
    if count > BOUND_BYTES_MAX {
        let message = format!(
            "`{}` is too large to bind: at most 1 GiB is accepted",
            path.display()
        );
        return Err(Failure::says(Exit::OwnFault, message));
    }
    Ok(())
}

fn digest(memory: &mut File) -> std::io::Result<Digest> {
    memory.rewind()?;
    let mut hasher = Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match memory.read(&mut chunk)? {
            0 => break,
            count => hasher.update(chunk.get(..count).unwrap_or_default()),
        }
    }
    memory.rewind()?;
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use holdpoint_receipt::sha256;

    use super::*;

    fn bound(content: &[u8]) -> (tempfile::TempDir, Bind) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.tfplan");
        std::fs::write(&path, content).unwrap();
        (
            folder,
            Bind {
                name: "plan".to_owned(),
                path,
            },
        )
    }

    #[test]
    fn copy_stays_what_was_hashed_when_the_file_changes() {
        let (_folder, bind) = bound(b"one");
        let sealed = Sealed::copy(&bind).unwrap();
        std::fs::write(&bind.path, b"two").unwrap();
        assert_eq!(sealed.digest, sha256(b"one"));
        assert_eq!(std::fs::read(sealed.path()).unwrap(), b"one");
    }

    #[test]
    fn copy_can_neither_be_written_nor_cut_nor_unsealed() {
        let (_folder, bind) = bound(b"one");
        let sealed = Sealed::copy(&bind).unwrap();
        assert!((&sealed.memory).write(b"x").is_err());
        assert!(sealed.memory.set_len(0).is_err());
        assert!(sealed.memory.set_len(100).is_err());
        assert!(fcntl_add_seals(&sealed.memory, SealFlags::FUTURE_WRITE).is_err());
        assert!(
            File::options()
                .write(true)
                .open(sealed.path())
                .is_ok_and(|mut again| { again.write(b"x").is_err() })
        );
    }

    #[test]
    fn copy_is_there_for_the_command_and_what_it_starts() {
        let (_folder, bind) = bound(b"bytes");
        let sealed = Sealed::copy(&bind).unwrap();
        let script = "sh -c 'cat \"$0\"' \"$0\"";
        let output = std::process::Command::new("sh")
            .args(["-c", script])
            .arg(sealed.path())
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"bytes");
    }

    #[test]
    fn file_that_is_not_there_is_named() {
        let bind = Bind {
            name: "plan".to_owned(),
            path: "no-such-plan".into(),
        };
        let error = Sealed::copy(&bind).unwrap_err();
        assert!(error.message().starts_with("cannot read `no-such-plan`"));
    }
}
