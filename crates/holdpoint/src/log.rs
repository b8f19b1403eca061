//! The log on stderr: what no command says in its own words.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::output::Format;

/// Which log lines are written, in the form of `RUST_LOG`.
const VARIABLE: &str = "HOLDPOINT_LOG";

/// Starts the log, as JSON lines with `--output json`. `default` is what is written unless the
/// environment says otherwise.
pub(crate) fn start(format: Format, default: &str) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false);
    // Only one log can be started in a process; the first one stays.
    let _ = match format {
        Format::Human => log.try_init(),
        Format::Json => log.json().try_init(),
    };
}
