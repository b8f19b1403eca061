//! One run of the command line, and what it said.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A finished run of `holdpoint`.
#[derive(Debug)]
pub struct Run {
    /// The words after `holdpoint`.
    pub words: Vec<String>,
    /// Exit code; 128 + n after signal n.
    pub code: i32,
    /// What went to stdout.
    pub stdout: String,
    /// What went to stderr.
    pub stderr: String,
}

impl Run {
    /// Asserts the exit code, and shows everything when it is another.
    ///
    /// # Panics
    ///
    /// When the code differs.
    #[must_use]
    pub fn exits(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "`holdpoint {}` exited {} and not {code}\nstdout: {}\nstderr: {}",
            self.words.join(" "),
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Stdout as JSON.
    ///
    /// # Panics
    ///
    /// When it is not one JSON value.
    #[must_use]
    #[expect(clippy::panic, reason = "the message shows what was printed instead")]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "`holdpoint {}` printed no JSON: {error}\n{}",
                self.words.join(" "),
                self.stdout
            )
        })
    }
}

/// A command line with the environment of this machine kept out.
#[must_use]
pub fn bare(directory: &Path) -> Command {
    let mut command = Command::new(crate::binary::holdpoint());
    command.current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HOLDPOINT_") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", directory)
        .env("XDG_CONFIG_HOME", directory.join("no-configuration"));
    command
}

/// Runs `holdpoint WORDS…` in `directory` to its end.
///
/// # Panics
///
/// If it cannot be started.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "a test without the program cannot go on"
)]
pub fn holdpoint(directory: &Path, words: &[&str]) -> Run {
    let output = bare(directory)
        .args(words)
        .output()
        .expect("`holdpoint` can be started");
    finished(words, &output)
}

/// What `output` says of a run of `holdpoint WORDS…`.
#[must_use]
pub fn finished(words: &[&str], output: &Output) -> Run {
    use std::os::unix::process::ExitStatusExt as _;
    let code = output
        .status
        .code()
        .or_else(|| output.status.signal().map(|n| n.saturating_add(128)));
    Run {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        code: code.unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
