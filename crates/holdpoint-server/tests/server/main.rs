//! The process from outside: through its listener, its configuration and its events.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod approvals;
mod audit;
mod clocks;
mod cluster;
mod configuration_page;
mod dev;
mod doors;
mod doubt;
mod history;
mod life;
mod log;
mod overload;
mod policies;
mod privacy;
mod public_log;
mod reads;
mod recognition;
mod settings;
mod story;
mod support;
mod tampered;
mod trio;
mod waiting;
mod witness;
