//! `holdpoint dev`: one node in a directory of its own, as a newcomer starts it.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::command::{Run, bare, holdpoint};
use crate::deadline::until_blocking;
use crate::ports;
use crate::scratch::Scratch;

/// How long it may take to come up on a loaded machine.
const START_WITHIN: Duration = Duration::from_mins(1);

/// A development node that is killed when this drops.
#[derive(Debug)]
pub struct Dev {
    scratch: Scratch,
    address: String,
    process: Option<Child>,
    starts: u32,
    environment: Vec<(String, String)>,
}

impl Dev {
    /// A node that is ready, in a directory where nothing was.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    #[must_use]
    pub fn started() -> Self {
        Self::started_in(Scratch::new(), &[])
    }

    /// The same in a directory that has been prepared, with these variables in its environment.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    #[must_use]
    pub fn started_in(scratch: Scratch, environment: &[(&str, &str)]) -> Self {
        let address = ports::free(1).into_iter().next().unwrap_or_default();
        let mut dev = Self {
            scratch,
            address,
            process: None,
            starts: 0,
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        dev.start();
        dev
    }

    /// Starts it again after [`Dev::kill`].
    ///
    /// # Panics
    ///
    /// If it does not come up.
    #[expect(clippy::expect_used, reason = "a test without its node cannot go on")]
    pub fn start(&mut self) {
        self.starts = self.starts.saturating_add(1);
        let said = File::create(self.said_file()).expect("the output file can be made");
        let also = said.try_clone().expect("a file handle can be cloned");
        let mut process = bare(self.scratch.path())
            .args(["dev", "--listen", &self.address])
            .envs(self.environment.iter().cloned())
            .stdout(said)
            .stderr(Stdio::from(also))
            .spawn()
            .expect("`holdpoint dev` can be started");
        until_blocking("the node said that it is ready", START_WITHIN, || {
            let said = self.said();
            let over = process.try_wait().ok().flatten();
            assert!(
                over.is_none(),
                "`holdpoint dev` ended with {over:?}: {said}"
            );
            if said.contains("ready in") {
                Ok(())
            } else {
                Err(said)
            }
        });
        self.process = Some(process);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Everything that it has printed since it was last started.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.said_file()).unwrap_or_default()
    }

    /// Where clients reach it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The directory that it runs in.
    #[must_use]
    pub const fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Runs the command line beside it, where `./.holdpoint/client.toml` leads to it.
    #[must_use]
    pub fn cli(&self, words: &[&str]) -> Run {
        holdpoint(self.scratch.path(), words)
    }

    fn said_file(&self) -> std::path::PathBuf {
        self.scratch.join(&format!("dev-{}.said", self.starts))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.kill();
    }
}
