//! The payload of one entry of the log.

use holdpoint_receipt::ClusterTime;

use crate::command::Command;
use crate::position::GroupId;

/// What one log entry carries: many commands, one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The group that the entry is for.
    pub group: GroupId,
    /// The leader's steered time when it proposed. Cluster time moves up to it, by at most
    /// [`crate::limits::ENTRY_STEP_MS_MAX`], and never back.
    pub time: ClusterTime,
    /// The commands, judged in this order; at most [`crate::limits::ENTRY_COMMANDS_MAX`]. An entry
    /// without commands moves time only.
    pub commands: Vec<Command>,
}
