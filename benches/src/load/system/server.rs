//! A server of a peer: a process that is stopped when its handle drops.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::Fault;

/// How long a server may take to come up on a busy machine.
pub(super) const UP_WITHIN: Duration = Duration::from_mins(1);
/// How often a condition is looked at until then.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
    stop: rustix::process::Signal,
}

impl Server {
    /// Starts `command`, which writes what it says to `log`, and is stopped by `stop`.
    pub(super) fn start(
        mut command: Command,
        log: &Path,
        stop: rustix::process::Signal,
    ) -> Result<Self, Fault> {
        let said = File::create(log)?;
        let also = said.try_clone()?;
        let name = command.get_program().to_string_lossy().into_owned();
        let process = command
            .stdin(Stdio::null())
            .stdout(said)
            .stderr(also)
            .spawn()
            .map_err(|error| format!("`{name}` could not be started: {error}"))?;
        Ok(Self { process, stop })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, self.stop);
        let _ = self.process.wait();
    }
}

/// The program `name`: on the PATH, or in one of `folders`.
pub(super) fn find(name: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path);
    let folders = on_path.chain(folders.iter().map(PathBuf::from));
    let mut candidates = folders.map(|folder| folder.join(name));
    candidates.find(|file| file.is_file())
}

/// Whom a server runs as, that refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub(super) struct User(Option<(u32, u32)>);

impl User {
    /// Who we are; where we are root, the database's own user or nobody.
    pub(super) fn unprivileged() -> Result<Self, Fault> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let ids = |name: &str| {
            let line = users
                .lines()
                .find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2).map(str::parse);
            Some((fields.next()?.ok()?, fields.next()?.ok()?))
        };
        let found = ids("postgres").or_else(|| ids("nobody"));
        let found = found.ok_or("it refuses to run as root, and there is no user `nobody`")?;
        Ok(Self(Some(found)))
    }

    /// A new folder that is this user's alone. The way to it must be open to everybody.
    pub(super) fn own_folder(self, folder: &Path) -> Result<(), Fault> {
        use std::os::unix::fs::PermissionsExt as _;
        fs::create_dir(folder)?;
        if let Self(Some((user, group))) = self {
            chown(folder, Some(user), Some(group))?;
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        Ok(())
    }

    /// A command that this user runs in `folder`.
    pub(super) fn command(self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env("LC_ALL", "C");
        if let Self(Some((user, group))) = self {
            command.uid(user).gid(group);
        }
        command
    }
}

/// Runs a command to its end; an error says what it said.
pub(super) fn finish(mut command: Command) -> Result<(), Fault> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Output { status, stderr, .. } = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{name}` could not be started: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&stderr);
    Err(format!("`{name}` ended with {status}: {}", said.trim()).into())
}

/// Polls `condition` until it gives a value.
pub(super) async fn until<T, F, Fut>(what: &str, mut condition: F) -> Result<T, Fault>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Fault>>,
{
    let asked = Instant::now();
    loop {
        match condition().await {
            Ok(value) => return Ok(value),
            Err(error) if asked.elapsed() >= UP_WITHIN => {
                return Err(format!("{what} within {UP_WITHIN:?}: {error}").into());
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
