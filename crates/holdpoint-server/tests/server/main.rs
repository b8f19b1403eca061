//! The process from outside: through its listener, its configuration and its events.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod cluster;
mod configuration_page;
mod dev;
mod doors;
mod life;
mod reads;
mod recognition;
mod support;
mod trio;
