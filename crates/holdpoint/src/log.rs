//! The log on stderr: what no command says in its own words.

use std::{env, io};

use tracing_subscriber::EnvFilter;

use crate::output::{Failure, Format};

/// Which log lines are written, in the form of `RUST_LOG`.
const VARIABLE: &str = "HOLDPOINT_LOG";

/// Starts the log, as JSON lines with `--output json`. `default` is what is written unless the
/// environment says otherwise; an empty variable says nothing.
///
/// # Errors
///
/// A wrong variable. Nobody would notice a log that is not the one asked for.
pub(crate) fn start(format: Format, default: &str) -> Result<(), Failure> {
    let set = env::var_os(VARIABLE).unwrap_or_default();
    let text = set.to_string_lossy();
    let text = if text.is_empty() { default } else { &text };
    let filter = EnvFilter::builder().parse(text).map_err(|error| {
        Failure::usage(format!(
            "HOLDPOINT_LOG: `{text}` does not say what is logged: {error}; give a level or \
             TARGET=LEVEL, such as `info` or `warn,holdpoint_server=debug`"
        ))
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false);
    // Only one log can be started in a process; the first one stays.
    let _ = match format {
        Format::Human => log.try_init(),
        Format::Json => log.json().try_init(),
    };
    Ok(())
}
