//! Calls whose attempts wait for bounds: held here, and worth evaluating again when they wake.

use std::time::Duration;

use holdpoint_proto::v1;
use holdpoint_receipt::{ClusterTime, Reason};

use super::Gate;
use crate::admit::{Admitted, NotAdmitted};
use crate::evaluate::Submission;
use crate::refused::Refused;
use crate::waiting::Seat;

/// The shortest time for which a call that waits is held before its attempt is evaluated again.
const AGAIN: Duration = Duration::from_millis(20);

/// The longest: then its place is looked at again, which costs no entry while it stands.
const LOOK: Duration = Duration::from_secs(10);

impl Gate {
    /// Holds the call until it is worth evaluating its attempt again.
    pub(super) async fn park(
        &self,
        seat: &mut Seat,
        submission: &Submission,
        waiting: v1::Waiting,
        admitted: &mut Admitted,
    ) -> Result<(), Refused> {
        let still = |refused: Refused| refused.in_doubt().waiting(waiting);
        self.admission
            .park(admitted)
            .map_err(|error| still(error.into()))?;
        let mut leadership = self.parts.group.leadership();
        let term = leadership.borrow_and_update().leads();
        tokio::select! {
            () = seat.woken() => (),
            () = tokio::time::sleep(self.until(submission.wait_until)) => (),
            () = tokio::time::sleep_until(admitted.deadline()) => return Err(still_waits(waiting)),
            // The next leader has the ticket, and wakes who asks it.
            _ = leadership.wait_for(|now| term.is_none() || now.leads() != term) => {
                return Err(still(self.not_leader(true)));
            }
            () = self.admission.closed() => return Err(still(NotAdmitted::Stopping.into())),
        }
        let resumed = self.admission.resume(admitted).await;
        resumed.map_err(|error| still(error.into()))
    }

    /// How long it is until cluster time has certainly come to `at`, or the place is looked at again.
    fn until(&self, at: Option<ClusterTime>) -> Duration {
        let left = at.map_or(0, |at| at.saturating_since(self.cluster_time()));
        Duration::from_millis(left).clamp(AGAIN, LOOK)
    }
}

/// The answer to a call that ends while its attempt goes on waiting.
pub(super) fn still_waits(waiting: v1::Waiting) -> Refused {
    let sentence = format!(
        "The attempt waits for its bounds with ticket {}; repeat it with the same key to keep its place.",
        waiting.ticket
    );
    Refused::unknown(Reason::Timeout)
        .saying(sentence)
        .waiting(waiting)
}
