//! `CURRENT`: which state directory is in use.

use std::fmt;
use std::path::Path;

use crate::durable;
use crate::error::{DiskError, OpenError};

const FILE: &str = "CURRENT";
const PREFIX: &str = "state-";

/// The number in the name of a state directory. It rises with every installed snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StateNumber(u64);

impl StateNumber {
    pub(crate) const FIRST: Self = Self(1);

    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number in `name`, if it is the name of a state directory.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let number = Self(name.strip_prefix(PREFIX)?.parse().ok()?);
        // One number has one name: no sign, no leading zero.
        (number.to_string() == name).then_some(number)
    }
}

impl fmt::Display for StateNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

/// Puts the state directory `number` in use, in one durable step.
pub(crate) fn write_pointer(root: &Path, number: StateNumber) -> Result<(), DiskError> {
    durable::replace_file(
        root,
        FILE,
        format!("{number}\n").as_bytes(),
        durable::MODE_PLAIN,
    )
}

/// The state directory in use, which is there.
pub(crate) fn read_pointer(root: &Path) -> Result<StateNumber, OpenError> {
    let file = root.join(FILE);
    let Some(bytes) = durable::read_if_there(&file)? else {
        return Err(OpenError::Missing { path: file });
    };
    let name = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.strip_suffix('\n'));
    let Some(number) = name.and_then(StateNumber::parse) else {
        let problem = "it does not name a state directory".to_owned();
        return Err(OpenError::DamagedFile { file, problem });
    };
    let folder = root.join(number.to_string());
    if folder.is_dir() {
        Ok(number)
    } else {
        Err(OpenError::Missing { path: folder })
    }
}
