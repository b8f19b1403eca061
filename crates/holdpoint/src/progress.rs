//! Shows that something goes on when it takes longer than a second.
//!
//! On a terminal only, on stderr only, and never a trace of it when it is over.

use std::future::IntoFuture;
use std::io::IsTerminal;
use std::pin::pin;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::spawn_blocking;

use crate::gate::block_on;
use crate::output::Failure;

/// What is faster than this is not shown.
const SHOW_AFTER: Duration = Duration::from_secs(1);
/// How often the picture moves.
const TICK: Duration = Duration::from_millis(120);

/// Waits for `work`, and says `what` goes on when that takes longer than a second.
pub(crate) async fn showing<T>(what: &str, work: impl IntoFuture<Output = T>) -> T {
    let mut work = pin!(work.into_future());
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(SHOW_AFTER) => {}
    }
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    let bar = ProgressBar::new_spinner()
        .with_message(what.to_owned())
        .with_elapsed(SHOW_AFTER);
    // Our own template; were it wrong, the plain picture would do.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    let done = work.await;
    bar.finish_and_clear();
    done
}

/// The same for work that asks nobody and keeps a processor busy.
pub(crate) fn during<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    block_on(async { showing(what, spawn_blocking(work)).await? })
}
