//! The command as a process: started once, watched to its end.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use super::signals::{Signals, number, terminal_sends};
use crate::exit::Exit;

/// How long a command that was told to stop may take before it is killed.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// Farther away than any command runs: no time-out.
const NEVER: Duration = Duration::from_hours(10 * 365 * 24);

/// What is started.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// The file that was found.
    pub(crate) program: &'a Path,
    /// What it is called with, its own name first, the places filled in.
    pub(crate) words: &'a [OsString],
    /// Variables that it must not see.
    pub(crate) dropped: &'a [OsString],
    /// Variables that tell it what it runs under.
    pub(crate) told: &'a [(&'static str, String)],
    /// Where its stdout goes.
    pub(crate) stdout: Stdio,
}

impl Start<'_> {
    /// Starts it. On an error it certainly did not start.
    pub(crate) fn spawn(self) -> io::Result<Child> {
        let mut command = Command::new(self.program);
        if let Some((name, arguments)) = self.words.split_first() {
            command.arg0(name).args(arguments);
        }
        for name in self.dropped {
            command.env_remove(name);
        }
        command.envs(self.told.iter().map(|(name, value)| (name, value)));
        command.stdout(self.stdout).kill_on_drop(false).spawn()
    }
}

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its exit code, or the signal that it died of.
    pub(crate) how: How,
    /// It was stopped because its time had passed.
    pub(crate) is_timed_out: bool,
}

/// Exit code or signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It ended by itself.
    Code(u8),
    /// It died of a signal.
    Signal(u8),
}

impl Ended {
    /// Whether the command says that it succeeded.
    pub(crate) fn is_success(self) -> bool {
        self.how == How::Code(0) && !self.is_timed_out
    }

    /// How `run` ends after it.
    pub(crate) const fn exit(self) -> Exit {
        match self {
            Self {
                is_timed_out: true, ..
            } => Exit::TimedOut,
            Self {
                how: How::Code(code),
                ..
            } => Exit::Child(code),
            Self {
                how: How::Signal(signal),
                ..
            } => Exit::Signal(signal),
        }
    }
}

enum Event {
    Ended(io::Result<ExitStatus>),
    Signal(Signal),
    TimeUp,
}

/// Waits for the end of the command and passes signals on, stopping it after `limit`.
pub(crate) async fn supervise(
    child: &mut Child,
    signals: &mut Signals,
    limit: Option<Duration>,
) -> io::Result<Ended> {
    let mut is_timed_out = false;
    let mut time_up = Instant::now() + limit.unwrap_or(NEVER);
    loop {
        let event = tokio::select! {
            status = child.wait() => Event::Ended(status),
            signal = signals.next() => Event::Signal(signal),
            () = sleep_until(time_up) => Event::TimeUp,
        };
        match event {
            Event::Ended(status) => {
                return Ok(Ended {
                    how: how(status?),
                    is_timed_out,
                });
            }
            Event::Signal(signal) if terminal_sends(signal) => {}
            Event::Signal(signal) => send(child, signal),
            Event::TimeUp => {
                send(
                    child,
                    if is_timed_out {
                        Signal::KILL
                    } else {
                        Signal::TERM
                    },
                );
                is_timed_out = true;
                time_up = Instant::now() + GRACE;
            }
        }
    }
}

fn how(status: ExitStatus) -> How {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match (status.code(), status.signal()) {
        (Some(code), _) => How::Code(byte(code)),
        (None, signal) => How::Signal(byte(signal.unwrap_or_default())),
    }
}

/// A command that is gone in this moment needs no signal.
fn send(child: &Child, signal: Signal) {
    let id = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(id) = id
        && let Err(error) = kill_process(id, signal)
    {
        tracing::warn!(%error, signal = number(signal), "the signal was not passed on");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dropped: &[OsString], stdout: Stdio) -> Child {
        let words = ["sh", "-c", script].map(OsString::from);
        let told = [("HOLDPOINT_FENCE", "7".to_owned())];
        let program = Path::new("/bin/sh");
        Start {
            program,
            words: &words,
            dropped,
            told: &told,
            stdout,
        }
        .spawn()
        .unwrap()
    }

    async fn end_of(script: &str, limit: Option<Duration>) -> Ended {
        let mut child = shell(script, &[], Stdio::null());
        supervise(&mut child, &mut Signals::listen().unwrap(), limit)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn exit_code_is_kept_and_a_signal_is_told_as_one() {
        assert_eq!(end_of("exit 7", None).await.exit(), Exit::Child(7));
        assert_eq!(end_of("kill -9 $$", None).await.exit(), Exit::Signal(9));
        assert!(end_of("exit 0", None).await.is_success());
    }

    #[tokio::test]
    async fn command_whose_time_passes_is_told_to_stop() {
        let ended = end_of("sleep 600", Some(Duration::from_millis(1))).await;
        assert_eq!(ended.exit(), Exit::TimedOut);
        assert_eq!(ended.how, How::Signal(15));
        assert!(!ended.is_success());
    }

    #[tokio::test]
    async fn command_that_stops_in_order_after_its_time_is_no_success() {
        let script = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
        let ended = end_of(script, Some(Duration::from_millis(500))).await;
        assert!(!ended.is_success());
    }

    #[tokio::test]
    async fn command_sees_its_fence_and_not_what_was_dropped() {
        let script = "echo \"${HOME-none} $HOLDPOINT_FENCE\"";
        let child = shell(script, &[OsString::from("HOME")], Stdio::piped());
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.stdout, b"none 7\n");
    }

    #[test]
    fn program_that_is_gone_did_not_start() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let words = [OsString::from("gone")];
        let program = Path::new("/nonexistent/gone");
        let start = Start {
            program,
            words: &words,
            dropped: &[],
            told: &[],
            stdout: Stdio::null(),
        };
        assert!(start.spawn().is_err());
    }
}
