//! Signals that people and supervisors send to `run` and mean for the command.
//!
//! From the moment they are listened to, none of them ends this process by itself: a permit that was
//! redeemed is always followed by its outcome, if the machine lives.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// What is forwarded.
const FORWARDED: [Signal; 6] = [
    Signal::INT,
    Signal::TERM,
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
];

/// Signals that arrived and were not looked at yet.
#[derive(Debug)]
pub(crate) struct Signals {
    streams: Vec<(Signal, unix::Signal)>,
}

impl Signals {
    /// Listens from now on, except to what this process was told to ignore (as `nohup` does): the
    /// command inherits that.
    pub(crate) fn listen() -> io::Result<Self> {
        let ignored = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
        let heard = FORWARDED
            .into_iter()
            .filter(|signal| !ignores(ignored, *signal));
        let listen =
            |signal: Signal| Ok((signal, unix::signal(SignalKind::from_raw(signal.as_raw()))?));
        Ok(Self {
            streams: heard.map(listen).collect::<io::Result<_>>()?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, stream) in &mut self.streams {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The number, as `128 + n` tells it.
pub(crate) fn number(signal: Signal) -> u8 {
    u8::try_from(signal.as_raw()).unwrap_or_default()
}

/// Whether the terminal has sent this signal to the command already.
///
/// Ctrl-C and Ctrl-\ go to everything in the foreground. Forwarding them would send them twice, and
/// Terraform takes a second interrupt as the order to leave everything as it is.
pub(crate) fn terminal_sends(signal: Signal) -> bool {
    let stat = || fs::read_to_string("/proc/self/stat").unwrap_or_default();
    matches!(signal, Signal::INT | Signal::QUIT) && in_foreground(&stat())
}

/// The mask of ignored signals in `/proc/self/status`.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

fn ignores(mask: u64, signal: Signal) -> bool {
    let place = u32::from(number(signal).saturating_sub(1));
    mask.checked_shr(place).is_some_and(|rest| rest & 1 == 1)
}

/// Whether `/proc/self/stat` says that the process group is the terminal's foreground group.
fn in_foreground(stat: &str) -> bool {
    // The name in parentheses may hold spaces; behind it: state, parent, group, session, terminal,
    // the terminal's foreground group.
    let fields = stat
        .rsplit_once(')')
        .map(|(_, fields)| fields)
        .unwrap_or_default();
    let mut fields = fields.split_whitespace().skip(2);
    let (group, foreground) = (fields.next(), fields.nth(2));
    group.is_some() && group == foreground
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_that_was_ignored_before_is_not_listened_to() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert!(ignores(ignored(status), Signal::HUP));
        assert!(!ignores(ignored(status), Signal::TERM));
        assert!(!ignores(ignored(""), Signal::HUP));
    }

    #[test]
    fn process_group_is_told_from_the_foreground_of_its_terminal() {
        assert!(in_foreground("12 (a) b) S 1 12 12 34816 12 0"));
        assert!(!in_foreground("12 (holdpoint) S 1 12 12 34816 99 0"));
        assert!(!in_foreground("12 (holdpoint) S 1 12 12 0 -1 0"));
        assert!(!in_foreground(""));
    }
}
