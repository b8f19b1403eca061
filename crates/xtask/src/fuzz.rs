//! Runs the fuzz targets of `fuzz/`, where a nightly toolchain and cargo-fuzz are installed.
//!
//! Every test run replays their corpus with the same functions; this looks for inputs that nobody has
//! seen. It writes `fuzz/artifacts/` and what cargo builds, and into the corpus nothing: what is found
//! goes to a folder of its own first, so that a person chooses what is kept.
//!
//! Without a sanitizer: our crates forbid unsafe code, so it would watch foreign ones alone, and take
//! six times the time for each input. Sums that overflow and debug assertions are seen without it.

use std::path::Path;
use std::process::{Command, Stdio};

/// The targets, as `fuzz/Cargo.toml` names them.
const TARGETS: [&str; 2] = ["decode", "judge"];

/// The longest that one call looks, for each target: a night.
const MINUTES_MAX: u64 = 12 * 60;

/// Why fuzzing did not come to a good end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FuzzError {
    /// cargo-fuzz, or the toolchain that it needs, is not there.
    #[error(
        "nothing was fuzzed: cargo-fuzz with a nightly toolchain is not installed; \
         `rustup toolchain install nightly` and `cargo install --locked cargo-fuzz` install both, and \
         `cargo test -p holdpoint-core --test fuzzing` replays the corpus without them"
    )]
    NotInstalled,
    /// The minutes are not a number that makes sense.
    #[error("`{text}` is not a number of minutes; give one from 1 to {MINUTES_MAX}")]
    Minutes {
        /// What was given.
        text: String,
    },
    /// A target found an input that breaks it, or could not be built.
    #[error(
        "failed: {}; an input that broke a target stands in fuzz/artifacts/, see fuzz/README.md", .0.join(", ")
    )]
    Failed(Vec<&'static str>),
}

/// Runs every target for `minutes` (1 if none is given).
pub(crate) fn run(root: &Path, minutes: Option<&str>) -> Result<(), FuzzError> {
    let seconds = 60 * parsed(minutes)?;
    if !is_installed(root) {
        return Err(FuzzError::NotInstalled);
    }
    let mut failed = Vec::new();
    for target in TARGETS {
        println!("== {target}: {seconds} s");
        if !fuzz(root, target, seconds) {
            failed.push(target);
        }
    }
    if failed.is_empty() {
        println!("== nothing broke; what is new stands in fuzz/target/found/");
        Ok(())
    } else {
        Err(FuzzError::Failed(failed))
    }
}

fn parsed(minutes: Option<&str>) -> Result<u64, FuzzError> {
    let text = minutes.unwrap_or("1");
    let number = text.parse().ok();
    number
        .filter(|number| (1..=MINUTES_MAX).contains(number))
        .ok_or_else(|| FuzzError::Minutes {
            text: text.to_owned(),
        })
}

/// Whether the target came to the end of its time.
fn fuzz(root: &Path, target: &str, seconds: u64) -> bool {
    let found = format!("fuzz/target/found/{target}");
    if let Err(error) = std::fs::create_dir_all(root.join(&found)) {
        eprintln!("error: `{found}` could not be made: {error}");
        return false;
    }
    let corpus = format!("fuzz/corpus/{target}");
    let status = cargo(root)
        .args(["fuzz", "run", "--sanitizer", "none"])
        .args([target, &found, &corpus, "--"])
        .arg(format!("-max_total_time={seconds}"))
        .arg("-print_final_stats=1")
        .status();
    status.is_ok_and(|status| status.success())
}

fn is_installed(root: &Path) -> bool {
    let status = cargo(root)
        .args(["fuzz", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// A nightly cargo. Not the one that runs us: the sanitizers of the fuzzers are not in a stable one.
fn cargo(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(root)
        .env_remove("CARGO")
        .env("RUSTUP_TOOLCHAIN", "nightly");
    command
}

#[cfg(test)]
mod tests {
    use super::{FuzzError, parsed};

    #[test]
    fn minutes_are_a_number_that_ends() {
        assert_eq!(parsed(None).unwrap(), 1);
        assert_eq!(parsed(Some("720")).unwrap(), 720);
        for text in ["0", "721", "-1", "", "1.5", "ten"] {
            let refused = parsed(Some(text));
            assert!(matches!(refused, Err(FuzzError::Minutes { .. })), "{text}");
        }
    }
}
