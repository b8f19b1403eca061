//! House rules as checks over the checkout: which crate may name which, and what a file may hold.
//!
//! Only reads. A rule never passes because a folder is empty: each is also tried on a made-up breach
//! in its tests. Every finding names the place and what to do instead.

mod docs;
mod manifests;
mod owners;
mod sources;

use std::fmt;
use std::path::Path;

use cargo_metadata::MetadataCommand;

use crate::tree;

/// One breach of a house rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The file, with the line where one is meant, or the crate.
    place: String,
    /// What is wrong, and what to do instead.
    message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Why the tree is not tidy, or could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TidyError {
    /// The checkout could not be read.
    #[error("the checkout cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// Cargo does not understand the manifests.
    #[error("{0}")]
    Metadata(#[from] cargo_metadata::Error),
    /// House rules are broken.
    #[error("house rules broken, {} in all:\n{}", .0.len(), list(.0))]
    Untidy(Vec<Finding>),
}

fn list(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(|found| format!("  {found}")).collect();
    lines.join("\n")
}

/// Holds every rule against the checkout.
pub(crate) fn check(root: &Path) -> Result<(), TidyError> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()?;
    let members = manifests::members(&metadata);
    let files = tree::text_files(root)?;

    let mut findings = Vec::new();
    owners::check(&members, &mut findings);
    manifests::check(&members, &files, &mut findings);
    sources::check(&files, &mut findings);
    docs::check(root, &files, &mut findings);
    if findings.is_empty() {
        Ok(())
    } else {
        Err(TidyError::Untidy(findings))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checkout_keeps_the_house_rules() {
        if let Err(error) = super::check(&crate::tree::root()) {
            panic!("{error}");
        }
    }
}
