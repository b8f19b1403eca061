//! What goes wrong in a testbed: one fault for one call, in the order in which the test said them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use holdpoint_receipt::Reason;

/// A kind of call that a fault can be scripted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`Gate::authorize`](crate::Gate::authorize).
    Authorize,
    /// [`Permit::redeem`](crate::Permit::redeem), by whichever executor.
    Redeem,
    /// [`Permit::commit`](crate::Permit::commit), [`Permit::abort`](crate::Permit::abort) and the
    /// like.
    Complete,
    /// [`Gate::revoke`](crate::Gate::revoke).
    Revoke,
    /// [`Approvals::approve`](crate::Approvals::approve).
    Approve,
    /// [`Gate::permit`](crate::Gate::permit), [`Gate::operation`](crate::Gate::operation) and
    /// [`Gate::receipt`](crate::Gate::receipt).
    Read,
}

impl Call {
    /// The name of its variant in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Redeem => "redeem",
            Self::Complete => "complete",
            Self::Revoke => "revoke",
            Self::Approve => "approve",
            Self::Read => "read",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What becomes of one call.
///
/// A call is what the code under test calls. The client may submit it several times, as it does in
/// production; each variant says what becomes of which submission.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Twist {
    /// It is answered, as a call without a twist is. Keeps a place in the script.
    Answer,
    /// It takes effect, and the answer never arrives: the call ends at its deadline, and nobody knows.
    LoseAnswer,
    /// It never arrives, so it takes no effect. For the caller that looks the same as
    /// [`Twist::LoseAnswer`].
    LoseRequest,
    /// It takes effect, and then the connection breaks. The client asks again under the same key, so
    /// the call itself finds the answer.
    BreakConnection,
    /// It takes no effect, and every submission is refused for this reason: SILENCE of an authorize.
    /// The client repeats what can pass, such as `NO_QUORUM`, until the deadline.
    Refuse(Reason),
    /// What is asked is denied as if a policy forbade it, with this code. That is a decision: it is
    /// recorded and has a receipt. What has no verdict stays SILENCE. Only for [`Call::Authorize`].
    Deny(String),
    /// It takes this long to arrive, by the testbed's clock. From the call's deadline on, it takes
    /// effect and is answered too late.
    Delay(Duration),
    /// It takes effect, and the node stops leading before it answers. The client learns the next
    /// leader and asks there under the same key.
    ChangeLeader,
}

/// The twists that are to come, and those of calls that are under way.
#[derive(Debug, Default)]
pub(super) struct Script {
    to_come: BTreeMap<Call, VecDeque<Twist>>,
    /// By the number of the call, with how many submissions it had.
    under_way: BTreeMap<u64, (Twist, u32)>,
}

impl Script {
    pub(super) fn add(&mut self, call: Call, twist: Twist) {
        self.to_come.entry(call).or_default().push_back(twist);
    }

    /// The twist of the call with this number, and how many submissions it had before.
    pub(super) fn submission(&mut self, number: u64, call: Call) -> (Twist, u32) {
        let to_come = self.to_come.entry(call).or_default();
        let (twist, count) = self
            .under_way
            .entry(number)
            .or_insert_with(|| (to_come.pop_front().unwrap_or(Twist::Answer), 0));
        let before = *count;
        *count = count.saturating_add(1);
        (twist.clone(), before)
    }

    /// The twists that no call has met.
    pub(super) fn unused(&self) -> Vec<(Call, Twist)> {
        let each = |(call, twists): (&Call, &VecDeque<Twist>)| {
            let call = *call;
            twists
                .iter()
                .map(move |twist| (call, twist.clone()))
                .collect::<Vec<_>>()
        };
        self.to_come.iter().flat_map(each).collect()
    }
}
