//! What makes the process stop: a signal, a caller in the same process, or a fault.
//!
//! Stopping is one event that many wait for; nothing here does the stopping.

use tokio::sync::watch;

/// Resolves when the process is told to stop: SIGTERM, or Ctrl-C.
///
/// # Errors
///
/// The system refuses to report signals.
pub async fn signals() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
    }
    Ok(())
}

/// Says to everybody who listens that the node stops.
#[derive(Debug)]
pub(crate) struct StopSender(watch::Sender<bool>);

/// Learns that the node stops.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// A pair of both.
pub(crate) fn stop() -> (StopSender, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSender(sender), Stop(receiver))
}

impl StopSender {
    /// Says it, once and for all.
    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Resolves when the node stops, also if whoever should have said so is gone.
    pub(crate) async fn stopped(&mut self) {
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}
