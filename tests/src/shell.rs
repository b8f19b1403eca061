//! Lines of the documentation, run as a reader would run them.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::binary;
use crate::command::{Run, bare, finished};

/// A shell in `directory` in which `holdpoint` is the program under test.
///
/// # Panics
///
/// If there is no `bash`.
#[must_use]
pub fn shell(directory: &Path, script: &str) -> Command {
    let mut command = Command::new("bash");
    let bins = binary::holdpoint()
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_default();
    // The environment of `bare` is kept: nothing of this machine's configuration gets in.
    for (name, value) in bare(directory).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .args(["-e", "-o", "pipefail", "-c", script])
        .current_dir(directory)
        .env("PATH", format!("{}:{path}", bins.display()))
        .stdin(Stdio::null());
    command
}

/// Runs `script` to its end.
///
/// # Panics
///
/// If there is no `bash`.
#[must_use]
#[expect(clippy::expect_used, reason = "a test without a shell cannot go on")]
pub fn run(directory: &Path, script: &str, variables: &[(&str, &str)]) -> Run {
    let mut command = shell(directory, script);
    for (name, value) in variables {
        command.env(name, value);
    }
    finished(&[script], &command.output().expect("bash can be started"))
}

/// A process that ends with everything it started, when this drops.
#[derive(Debug)]
pub struct Group(Child);

impl Group {
    /// Starts `command` at the head of a process group of its own.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a test without its process cannot go on"
    )]
    pub fn start(mut command: Command) -> Self {
        Self(
            command
                .process_group(0)
                .spawn()
                .expect("the command can be started"),
        )
    }

    /// The process at its head.
    pub const fn head(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let head = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process_group(head, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}
