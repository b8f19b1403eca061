//! Where receipts are kept, so that a decision can be proved long after its command ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use holdpoint_client::Receipt;

use crate::exit::Exit;
use crate::output::{Answer, Failure, optional};

/// A folder of receipts.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// Receipts go to `folder`, which is made when the first one comes.
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Keeps a receipt: in `file` if one is named, else on the shelf under `name`.
    pub(crate) fn keep(
        &self,
        file: Option<&Path>,
        name: &str,
        receipt: &Receipt,
    ) -> Result<PathBuf, Failure> {
        let path = match file {
            Some(file) => file.to_path_buf(),
            None => self.folder.join(format!("{name}.json")),
        };
        write(&path, receipt.file()).map_err(|error| {
            let message = format!("cannot write the receipt to `{}`: {error}", path.display());
            Failure::says(Exit::Failure, message)
        })?;
        Ok(path)
    }

    /// Keeps the receipt of a change, and says where in its answer.
    pub(crate) fn kept(&self, answer: Answer, name: &str, receipt: &Receipt) -> Answer {
        let kept = self.try_keep(None, name, receipt);
        let path = optional(kept.as_ref().map(|path| path.display()));
        let answer = match &kept {
            Some(path) => answer.line(format!("  receipt   saved to {}", path.display())),
            None => answer,
        };
        answer
            .member("receipt", path)
            .member("receipt_hash", receipt.hash().to_string())
    }

    /// The same where the answer matters more than the file: says what is wrong and goes on.
    pub(crate) fn try_keep(
        &self,
        file: Option<&Path>,
        name: &str,
        receipt: &Receipt,
    ) -> Option<PathBuf> {
        match self.keep(file, name, receipt) {
            Ok(path) => Some(path),
            Err(failure) => {
                crate::output::tell(format!("holdpoint: {}", failure.message()));
                None
            }
        }
    }
}

/// Writes the file whole or not at all.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::create_dir_all(folder)?;
    }
    if path.exists() && !path.is_file() {
        // A pipe or a device, such as /dev/stdout: nothing can be put in its place.
        return fs::write(path, content);
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let fresh = path.with_file_name(name);
    fs::write(&fresh, content)?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_written_with_the_folders_above_it_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/receipt.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
