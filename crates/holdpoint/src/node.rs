//! What `serve` and `dev` share: the runtime, and telling what happens.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use holdpoint_server::events::{Event, Listener};
use holdpoint_server::{RunError, stop, until_released};
use indicatif::ProgressBar;
use tokio::runtime::Builder;

use crate::exit::Exit;
use crate::output::{Failure, Format, tell};

/// How often the picture of a slow start moves.
const TICK: Duration = Duration::from_millis(120);

/// Runs a node to its end, and lets go of its directory.
pub(crate) fn run<N>(mut told: Listener, node: impl FnOnce(Listener) -> N) -> Result<(), Failure>
where
    N: Future<Output = Result<(), RunError>>,
{
    let root = Arc::new(OnceLock::new());
    let opened = Arc::clone(&root);
    let listener: Listener = Box::new(move |event| {
        if let Event::Opened { data_dir, .. } = &event {
            // A node opens one directory.
            let _ = opened.set(data_dir.clone());
        }
        told(event);
    });
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(node(listener));
    // Connections of other nodes end with the runtime, and what they used is closed by threads of its
    // own: a database that is still being closed when the process exits aborts it.
    drop(runtime);
    if let Some(root) = root.get() {
        until_released(root);
    }
    ended.map_err(|error| Failure::new(Exit::Failure, &error))
}

/// Resolves when the process is told to stop. Where the system reports no signals, never: they end the
/// process as they always do.
pub(crate) async fn stopped() {
    if let Err(error) = stop::signals().await {
        tracing::warn!(%error, "signals are not heard; the node ends without draining");
        std::future::pending::<()>().await;
    }
}

/// Prints what `words` makes of each event, and shows `what` until the node is ready.
pub(crate) fn listener(
    format: Format,
    what: &str,
    mut words: impl FnMut(&Event) -> Vec<String> + Send + 'static,
) -> Listener {
    let bar = (format == Format::Human && io::stderr().is_terminal()).then(|| {
        let bar = ProgressBar::new_spinner().with_message(what.to_owned());
        bar.enable_steady_tick(TICK);
        bar
    });
    Box::new(move |event| {
        if matches!(event, Event::Ready { .. } | Event::Stopping { .. })
            && let Some(bar) = &bar
        {
            bar.finish_and_clear();
        }
        for line in words(&event) {
            match (format, &bar) {
                (Format::Human, Some(bar)) => bar.suspend(|| tell(line)),
                (Format::Human, None) => tell(line),
                (Format::Json, _) => tracing::info!("{line}"),
            }
        }
    })
}
