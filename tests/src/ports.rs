//! Loopback addresses that nothing else listens on.

use std::net::TcpListener;

/// `count` different loopback addresses that were free a moment ago.
///
/// All are held open until the last one is known, so that no two are the same. Another process may
/// take one before the node binds it; the node then says so and the test fails with its message.
///
/// # Panics
///
/// If loopback offers no free port.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "a test without a free port cannot go on"
)]
pub fn free(count: usize) -> Vec<String> {
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("loopback has a free port"))
        .collect();
    held.iter()
        .map(|listener| {
            listener
                .local_addr()
                .expect("a bound listener has an address")
                .to_string()
        })
        .collect()
}
