//! Calls that may touch the disk, made from asynchronous tasks.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Runs `call` here, after telling a multi-threaded runtime that this thread may be busy for a while.
///
/// Short reads and writes of a local database do not merit a hand-over to another thread and back;
/// what merits care is that the runtime's other tasks keep a thread. A single-threaded runtime has
/// none to give: a simulation, whose disk does not block.
pub(crate) fn may_block<T>(call: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(call),
        _ => call(),
    }
}
