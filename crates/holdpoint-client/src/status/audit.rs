//! How a node audits what leaders decided, as it says itself. Not proved.

use std::time::Duration;

use holdpoint_proto::v1;

/// What one node's audit of verdicts has come to since the node was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// `on`, or why the node evaluates nothing again: `off`, `alone`, `no vote`, `unknown`; empty from a
    /// node that does not know of it.
    pub state: String,
    /// Decisions that it evaluated again.
    pub checked_count: u64,
    /// Decisions that it could not.
    pub skipped_count: u64,
    /// Decisions that it evaluates otherwise.
    pub disagreement_count: u64,
    /// Those of them that the log does not show as disputed yet.
    pub untold_count: u64,
    /// Leaves that it has not looked at.
    pub lag: u64,
    /// Processor time that it took.
    pub cpu: Duration,
}

impl From<v1::AuditStatus> for AuditReport {
    fn from(status: v1::AuditStatus) -> Self {
        Self {
            state: status.state,
            checked_count: status.checked,
            skipped_count: status.skipped,
            disagreement_count: status.disagreements,
            untold_count: status.untold,
            lag: status.lag,
            cpu: Duration::from_micros(status.cpu_us),
        }
    }
}
