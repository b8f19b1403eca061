//! The program without any server: what it refuses, what it verifies offline, and that nothing runs.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

mod bundles;
mod environment;
mod interrupted;
mod nobody;
mod offline;
mod pages;
mod receipts;
mod trust;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder with nothing of this machine's configuration in reach.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn run(&self, words: &[&str]) -> Run {
        Self::finish(words, &mut self.command(words))
    }

    /// Runs a command that was made by [`Self::command`] to its end.
    pub(crate) fn finish(words: &[&str], command: &mut Command) -> Run {
        Run {
            words: words.join(" "),
            output: command.output().unwrap(),
        }
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdpoint"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOLDPOINT_") {
                command.env_remove(name);
            }
        }
        command
            .args(words)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("no-configuration"))
            .env("TF_CLI_ARGS_apply", "-destroy")
            .stdin(Stdio::null());
        command
    }
}

pub(crate) struct Run {
    words: String,
    output: Output,
}

impl Run {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        let (words, out, err) = (&self.words, self.stdout(), self.stderr());
        assert_eq!(
            self.output.status.code(),
            Some(code),
            "{words}\nstdout: {out}\nstderr: {err}"
        );
        self
    }

    /// Stdout as exactly one JSON object with its schema.
    #[track_caller]
    pub(crate) fn json(&self, schema: &str) -> Value {
        let text = self.stdout();
        let value: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}\n{text}", self.words));
        assert_eq!(value["schema"], schema);
        assert_eq!(text.lines().count(), 1);
        value
    }
}

/// An address on which nothing listens.
pub(crate) fn closed_port() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
