//! Waiting for a condition instead of sleeping for a time.

use std::future::Future;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Polls `condition` until it gives a value, at most `within`.
///
/// # Panics
///
/// When `within` has passed, with `what` and the last thing that `condition` said against it.
pub async fn until<T, F, Fut>(what: &str, within: Duration, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let start = Instant::now();
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(why) => assert!(
                start.elapsed() < within,
                "{what} did not come true within {within:?}; last: {why}"
            ),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The same for a test without a runtime.
///
/// # Panics
///
/// When `within` has passed, with `what` and the last thing that `condition` said against it.
pub fn until_blocking<T>(
    what: &str,
    within: Duration,
    mut condition: impl FnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(value) => return value,
            Err(why) => assert!(
                start.elapsed() < within,
                "{what} did not come true within {within:?}; last: {why}"
            ),
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
