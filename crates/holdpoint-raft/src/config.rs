//! What can be set on a group, and what openraft is told.

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use crate::limits;

/// Settings of a group. [`GroupConfig::default`] is right for a cluster in one data centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Period of heartbeats.
    pub heartbeat: Duration,
    /// The shortest election time-out, at least three heartbeats.
    pub election_min: Duration,
    /// The longest election time-out, above the shortest.
    pub election_max: Duration,
    /// Entries applied since the last snapshot that make the next one due.
    pub snapshot_entries: u64,
    /// Bytes of entries applied since the last snapshot that make the next one due.
    pub snapshot_bytes: u64,
    /// Entries kept behind a snapshot.
    pub entries_kept: u64,
    /// How often a leader reads the voters' wall clocks, at most half of
    /// [`limits::CLOCK_READING_AGE`].
    pub clock_period: Duration,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            heartbeat: limits::HEARTBEAT,
            election_min: limits::ELECTION_MIN,
            election_max: limits::ELECTION_MAX,
            snapshot_entries: limits::SNAPSHOT_ENTRIES,
            snapshot_bytes: limits::SNAPSHOT_BYTES,
            entries_kept: limits::ENTRIES_KEPT,
            clock_period: limits::CLOCK_PERIOD,
        }
    }
}

/// Why settings do not go together.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A lost heartbeat or two would start an election.
    #[error("the shortest election time-out must be at least three heartbeats")]
    HeartbeatTooRare,
    /// A reading or two that is lost would leave a leader without the voters' clocks.
    #[error("the voters' clocks must be read at least twice while a reading counts")]
    ClocksTooRare,
    /// openraft found something else.
    #[error("the group's settings do not go together")]
    Inconsistent(#[source] openraft::ConfigError),
}

impl GroupConfig {
    /// The settings in openraft's words.
    ///
    /// Pre-vote keeps a node that cannot win from raising the term. A restarted leader is not
    /// restored: it may have a state older than what it showed. Heartbeats of a leader without a
    /// quorum pause for two election time-outs, so that under a partial partition the others can
    /// elect. The follower's log is never reset: a log that went back is a lost disk.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub(crate) fn to_raft(&self, name: String) -> Result<Config, ConfigError> {
        if self.heartbeat.saturating_mul(3) > self.election_min {
            return Err(ConfigError::HeartbeatTooRare);
        }
        if self.clock_period.saturating_mul(2) > limits::CLOCK_READING_AGE {
            return Err(ConfigError::ClocksTooRare);
        }
        let config = Config {
            cluster_name: name,
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_min),
            election_timeout_max: millis(self.election_max),
            max_payload_entries: limits::APPEND_ENTRIES_MAX,
            max_append_entries: Some(limits::APPEND_ENTRIES_MAX),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_entries),
            replication_lag_threshold: self.snapshot_entries.saturating_add(self.entries_kept),
            max_in_snapshot_log_to_keep: self.entries_kept,
            install_snapshot_timeout: millis(limits::SNAPSHOT_STEP),
            api_channel_size: Some(1_024),
            notification_channel_size: Some(4_096),
            state_machine_channel_size: Some(256),
            backoff: "50ms 100ms 200ms ...1s".to_owned(),
            quorum_loss_probe_interval: Some(millis(self.election_max.saturating_mul(2))),
            enable_pre_vote: Some(true),
            enable_leader_restore: Some(false),
            allow_log_reversion: Some(false),
            ..Config::default()
        };
        config.validate().map_err(ConfigError::Inconsistent)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_go_together_and_switch_the_safe_options_on() {
        let config = GroupConfig::default().to_raft("test".to_owned()).unwrap();
        assert_eq!(config.enable_pre_vote, Some(true));
        assert_eq!(config.enable_leader_restore, Some(false));
        assert_eq!(config.allow_log_reversion, Some(false));
        let probe = config.quorum_loss_probe_interval.unwrap();
        assert!(probe >= 2 * config.election_timeout_max);
    }

    #[test]
    fn clocks_that_are_read_too_rarely_are_refused() {
        let config = GroupConfig {
            clock_period: limits::CLOCK_READING_AGE,
            ..GroupConfig::default()
        };
        assert!(matches!(
            config.to_raft(String::new()),
            Err(ConfigError::ClocksTooRare)
        ));
    }

    #[test]
    fn a_heartbeat_that_is_too_rare_is_refused() {
        let config = GroupConfig {
            heartbeat: Duration::from_millis(300),
            ..GroupConfig::default()
        };
        assert!(matches!(
            config.to_raft(String::new()),
            Err(ConfigError::HeartbeatTooRare)
        ));
    }
}
