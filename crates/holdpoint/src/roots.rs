//! The roots file: whose word about keys somebody takes, written by hand.
//!
//! ```text
//! # comments and empty lines are skipped
//! threshold 2
//! example.org/root-a+5f0e5a0d+AQ…
//! example.org/root-b+0c1d2e3f+AQ…
//! ```
//!
//! Without a line `threshold` a majority of the roots must sign. Nothing in it is secret, and nothing
//! in it is verified: whoever can change it decides what is trusted.

use std::path::Path;

use holdpoint_receipt::keys::VerifierKey;
use holdpoint_receipt::trust::{Anchor, ROOTS_MAX};

use crate::exit::Exit;
use crate::inputs::read_file;
use crate::output::Failure;
use crate::shelf;

/// The longest roots file.
const ROOTS_BYTES_MAX: usize = 64 * 1024;

/// Reads a roots file; what is wrong with its content is for the caller to tell.
pub(crate) fn read(path: &Path) -> Result<Result<Anchor, String>, Failure> {
    let content = read_file(path, ROOTS_BYTES_MAX)?;
    Ok(parse(&content).map_err(|problem| sentence(path, &problem)))
}

fn sentence(path: &Path, problem: &str) -> String {
    format!("`{}` does not hold roots: {problem}", path.display())
}

fn unfit(path: &Path, problem: &str) -> Failure {
    Failure::says(Exit::Failure, sentence(path, problem))
}

/// The same where anything wrong ends the command.
pub(crate) fn need(path: &Path) -> Result<Anchor, Failure> {
    read(path)?.map_err(|problem| Failure::says(Exit::Failure, problem))
}

fn parse(content: &[u8]) -> Result<Anchor, String> {
    let (roots, threshold) = lines(content)?;
    let threshold = threshold.unwrap_or_else(|| majority(roots.len()));
    Anchor::new(roots, threshold).map_err(|error| error.to_string())
}

/// What the lines say, which need not be enough for an anchor yet.
fn lines(content: &[u8]) -> Result<(Vec<VerifierKey>, Option<u32>), String> {
    let text = str::from_utf8(content).map_err(|_| "it is not UTF-8".to_owned())?;
    let (mut roots, mut threshold) = (Vec::new(), None);
    for (place, line) in text.lines().enumerate() {
        let number = place.saturating_add(1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(count) = line.strip_prefix("threshold ") {
            let count: u32 = count
                .trim()
                .parse()
                .map_err(|_| format!("line {number}: `threshold` is followed by a number"))?;
            if threshold.replace(count).is_some() {
                return Err(format!("line {number}: `threshold` is said twice"));
            }
            continue;
        }
        let root: VerifierKey = line
            .parse()
            .map_err(|error| format!("line {number}: {error}"))?;
        roots.push(root);
    }
    Ok((roots, threshold))
}

fn majority(count: usize) -> u32 {
    u32::try_from(count / 2)
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

/// Adds a root to a roots file, which is made if it is not there.
pub(crate) fn add(path: &Path, root: &VerifierKey) -> Result<(), Failure> {
    let mut text = String::new();
    if path.exists() {
        let content = read_file(path, ROOTS_BYTES_MAX)?;
        let known = lines(&content).map_err(|problem| unfit(path, &problem))?.0;
        if known.len() >= ROOTS_MAX {
            return Err(unfit(
                path,
                &format!("it has {ROOTS_MAX} already, the most"),
            ));
        }
        text = String::from_utf8(content)?;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&root.to_string());
    text.push('\n');
    shelf::write(path, text.as_bytes()).map_err(|error| unwritten(path, &error))
}

/// A file that cannot be written.
pub(crate) fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::says(
        Exit::Failure,
        format!("cannot write `{}`: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use holdpoint_receipt::SecretKey;
    use holdpoint_receipt::keys::{Algorithm, KeyName};

    use super::*;

    fn root(seed: u8) -> VerifierKey {
        let name = KeyName::new(format!("root-{seed}")).unwrap();
        let public = SecretKey::from_seed(&[seed; 32]).public();
        VerifierKey::new(name, Algorithm::Ed25519, public)
    }

    #[test]
    fn majority_must_sign_unless_the_file_says_another_number() {
        let (one, two, three) = (root(1), root(2), root(3));
        let text = format!("# ours\n\n{one}\n  {two}\n{three}\n");
        let anchor = parse(text.as_bytes()).unwrap();
        assert_eq!((anchor.roots().len(), anchor.threshold()), (3, 2));
        let anchor = parse(format!("threshold 3\n{text}").as_bytes()).unwrap();
        assert_eq!(anchor.threshold(), 3);
    }

    #[test]
    fn line_that_is_no_root_is_named_and_an_anchor_of_nothing_is_none() {
        let one = root(1);
        for (text, said) in [
            (String::new(), "`roots` must be"),
            (format!("{one}\nnot a key\n"), "line 2: a verifier key is"),
            (format!("{one}\n{one}\n"), "`roots` must be"),
            (format!("threshold 2\n{one}\n"), "`threshold` must be"),
            (format!("threshold 0\n{one}\n"), "`threshold` must be"),
            (format!("threshold x\n{one}\n"), "line 1: `threshold`"),
            (
                format!("threshold 1\nthreshold 1\n{one}\n"),
                "line 2: `threshold` is said twice",
            ),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn root_is_added_behind_those_that_are_there() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("roots");
        add(&path, &root(1)).unwrap();
        std::fs::write(&path, format!("threshold 2\n{}", root(1))).unwrap();
        add(&path, &root(2)).unwrap();
        let anchor = need(&path).unwrap();
        assert_eq!(anchor.roots(), [root(1), root(2)]);
    }
}
