//! Key files of a data directory: read, made, and encrypted otherwise.
//!
//! All of them are read before anything else of the directory is opened, so that a node whose keys
//! cannot be read says so at once. Which of them is in use is not known here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use holdpoint_receipt::{NodeSecretKeys, SecretKey};
use holdpoint_storage::{DataDir, Generation, KeyFile, KeyFolder};

use super::HomeError;
use super::generations::name_of;
use crate::key_files::{self, KeyFileError, KeySealing};

/// The keys that are on the disk.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) folder: KeyFolder,
    pub(super) sealing: Option<KeySealing>,
    keys: BTreeMap<Generation, Halves>,
}

/// Those of one generation.
#[derive(Debug, Default)]
struct Halves {
    log: Option<SecretKey>,
    node: Option<SecretKey>,
}

impl Stored {
    /// Reads every key file, and encrypts plain ones if it is said under what.
    ///
    /// # Errors
    ///
    /// A file is not readable by its owner alone, holds no key, or is encrypted under something else.
    pub(super) fn read(folder: KeyFolder, sealing: Option<KeySealing>) -> Result<Self, HomeError> {
        let mut keys: BTreeMap<Generation, Halves> = BTreeMap::new();
        for (generation, files) in folder.generations()? {
            for file in files {
                let key = key_files::open(&folder.path(generation, file), sealing.as_ref())?;
                let halves = keys.entry(generation).or_default();
                match file {
                    KeyFile::Log => halves.log = key,
                    KeyFile::Node => halves.node = key,
                }
            }
        }
        Ok(Self {
            folder,
            sealing,
            keys,
        })
    }

    /// The generations of which there is a file.
    pub(super) fn generations(&self) -> Vec<Generation> {
        self.keys.keys().copied().collect()
    }

    /// The two keys of a generation. Draws what is missing of it if that may be.
    pub(super) fn pair(
        &mut self,
        generation: Generation,
        may_make: bool,
    ) -> Result<Pair, HomeError> {
        let Halves { log, node } = self.keys.remove(&generation).unwrap_or_default();
        let (log, node) = if may_make {
            (
                Some(self.present_or_new(generation, KeyFile::Log, log)?),
                Some(self.present_or_new(generation, KeyFile::Node, node)?),
            )
        } else {
            (log, node)
        };
        let Some(log) = log else {
            return Ok(Pair::Lacks(KeyFile::Log));
        };
        let Some(node) = node else {
            return Ok(Pair::Lacks(KeyFile::Node));
        };
        let keys = NodeSecretKeys::new(log, node);
        keys.map(|keys| Pair::Whole(Box::new(keys)))
            .map_err(|problem| {
                let path = self.folder.path(generation, KeyFile::Node);
                KeyFileError::Damaged { path, problem }.into()
            })
    }

    fn present_or_new(
        &self,
        generation: Generation,
        file: KeyFile,
        key: Option<SecretKey>,
    ) -> Result<SecretKey, HomeError> {
        if let Some(key) = key {
            return Ok(key);
        }
        let key = key_files::draw()?;
        write(&self.folder, self.sealing.as_ref(), generation, file, &key)?;
        Ok(key)
    }
}

/// What there is of a pair.
pub(super) enum Pair {
    Whole(Box<NodeSecretKeys>),
    Lacks(KeyFile),
}

/// Draws a pair and writes it down, the log key last: a pair without it was never shown to anybody.
pub(super) fn make(
    folder: &KeyFolder,
    sealing: Option<&KeySealing>,
) -> Result<(Generation, NodeSecretKeys), HomeError> {
    let (log, cosign) = (key_files::draw()?, key_files::draw()?);
    let generation = name_of(log.public().as_bytes());
    write(folder, sealing, generation, KeyFile::Node, &cosign)?;
    write(folder, sealing, generation, KeyFile::Log, &log)?;
    // Two equal keys are as likely as no randomness at all.
    let keys = NodeSecretKeys::new(log, cosign).map_err(|_| HomeError::Randomness)?;
    Ok((generation, keys))
}

fn write(
    folder: &KeyFolder,
    sealing: Option<&KeySealing>,
    generation: Generation,
    file: KeyFile,
    key: &SecretKey,
) -> Result<(), HomeError> {
    let text = key_files::encode(&folder.path(generation, file), key, sealing)?;
    let written = folder.write(generation, file, text.as_str().as_bytes());
    written.map_err(|error| KeyFileError::from(error).into())
}

/// Encrypts every key of the data directory `root`, which no process may use, under `new`, or under
/// nothing. Returns the files that were changed; those that are so already are left alone, so that a
/// run which was interrupted can be repeated.
///
/// # Errors
///
/// [`HomeError`] names the file. If one cannot be opened, none was changed.
pub fn reencrypt_keys(
    root: &Path,
    old: Option<&KeySealing>,
    new: Option<&KeySealing>,
) -> Result<Vec<PathBuf>, HomeError> {
    let folder = DataDir::open(root, None)?.keys();
    let mut paths = Vec::new();
    for (generation, files) in folder.generations()? {
        paths.extend(files.into_iter().map(|file| folder.path(generation, file)));
    }
    Ok(key_files::reencrypt(&paths, old, new)?)
}
