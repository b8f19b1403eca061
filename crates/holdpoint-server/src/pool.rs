//! Threads for work that uses the processor or the disk: policy evaluation, reads, signatures.
//!
//! A fixed number of threads with a fixed stack, one bounded queue. Work whose caller has stopped
//! waiting is dropped before it starts. A panic in one piece of work ends that piece only: its
//! caller learns that there is no answer, and the thread goes on.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Stack of one thread. Evaluation recurses as deep as the deepest policy expression, which the
/// loader bounds; measured use is a tenth of this.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// How much less than others a thread is given the processor whose work nobody waits for.
const NICE: i32 = 10;

type Work = Box<dyn FnOnce() + Send>;

/// A pool of threads. The threads end when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct Pool {
    name: &'static str,
    queue: SyncSender<Work>,
}

/// Why work has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PoolError {
    /// The queue is full. The work never started.
    #[error("more work is waiting than there is room for")]
    Full,
    /// The work panicked, or the threads are gone.
    #[error("the work ended without an answer")]
    Died,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts `threads` threads over a queue of `queue_max`.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(
        name: &'static str,
        threads: usize,
        queue_max: usize,
    ) -> std::io::Result<Self> {
        let (queue, work) = sync_channel::<Work>(queue_max);
        let work = Arc::new(Mutex::new(work));
        for _ in 0..threads {
            let work = Arc::clone(&work);
            thread(name).spawn(move || run(&work))?;
        }
        Ok(Self { name, queue })
    }

    /// Starts one thread of low priority, for work that nobody waits for, over a queue of one.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start_behind_others(name: &'static str) -> std::io::Result<Self> {
        let (queue, work) = sync_channel::<Work>(1);
        thread(name).spawn(move || {
            stand_behind_others();
            run(&Mutex::new(work));
        })?;
        Ok(Self { name, queue })
    }

    /// Runs `work` on one of the threads and returns what it returns.
    ///
    /// # Errors
    ///
    /// [`PoolError`]
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the work unless it has started.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (reply, answer) = oneshot::channel();
        let work = move || {
            if !reply.is_closed() {
                // Nobody waits any more; the answer is of no use to anybody else.
                let _ = reply.send(work());
            }
        };
        self.queue
            .try_send(Box::new(work))
            .map_err(|error| match error {
                TrySendError::Full(_) => PoolError::Full,
                TrySendError::Disconnected(_) => PoolError::Died,
            })?;
        answer.await.map_err(|_| PoolError::Died)
    }
}

fn thread(name: &str) -> std::thread::Builder {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
}

/// Gives this thread the processor only when others leave it.
pub(crate) fn stand_behind_others() {
    // On Linux the priority is the thread's own, and without it the thread only gets its fair share.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        tracing::debug!(name, %error, "a thread keeps its priority");
    }
}

/// One thread's life: takes work until every handle is gone.
fn run(queue: &Mutex<Receiver<Work>>) {
    loop {
        let work = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = work else { return };
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            tracing::error!("work on a pool thread panicked; its caller gets no answer");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_leaves_its_caller_without_an_answer_and_the_thread_alive() {
        let pool = Pool::start("test", 1, 4).unwrap();
        let died = pool.run(|| panic!("on purpose")).await;
        assert_eq!(died, Err::<(), _>(PoolError::Died));
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn work_beyond_the_queue_is_refused() {
        let pool = Pool::start("test", 1, 1).unwrap();
        let (started, wait_started) = oneshot::channel();
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let busy = {
            let pool = pool.clone();
            tokio::spawn(async move {
                pool.run(move || {
                    started.send(()).unwrap();
                    gate.recv().unwrap();
                })
                .await
            })
        };
        wait_started.await.unwrap();
        let queued = pool.run(|| ());
        tokio::pin!(queued);
        assert!(futures_util::poll!(queued.as_mut()).is_pending());
        assert_eq!(pool.run(|| ()).await, Err(PoolError::Full));
        release.send(()).unwrap();
        assert_eq!(queued.await, Ok(()));
        assert_eq!(busy.await.unwrap(), Ok(()));
    }
}
