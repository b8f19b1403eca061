//! What stands beside the operations: what was run, what it must show, and what was done to the cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The format and its version, the first thing that a history says.
pub const FORMAT: &str = "holdpoint.history/1";

/// How much of a bounded operation may be live at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Bound {
    /// One live permit.
    Exclusive {},
    /// One live permit, and none once one is committed.
    Once {},
    /// So many live permits.
    Capacity {
        /// The most.
        limit: u64,
    },
    /// The amounts of live and committed permits that were issued in one window.
    Budget {
        /// The largest sum.
        limit: u64,
        /// How long a window is, counted from 1970.
        window_ms: u64,
    },
}

/// How much must have happened for the checkers to say anything. Less is `unknown`, which fails a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Demands {
    /// Permits granted.
    pub permits_min: usize,
    /// Permits redeemed.
    pub redemptions_min: usize,
    /// Answers that repeat an earlier one of the same attempt.
    pub replays_min: usize,
    /// Activations.
    pub activations_min: usize,
    /// Acknowledged statements that were seen again by a later question.
    pub seen_again_min: usize,
    /// Permits asked for, granted and redeemed after the last fault was healed.
    pub fresh_min: usize,
    /// Within this time of the healing.
    pub fresh_within_ms: u64,
    /// How far cluster time may drift from the history's clock over the whole run. Not asked if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_slack_ms: Option<u64>,
}

impl Default for Demands {
    fn default() -> Self {
        Self {
            permits_min: 2,
            redemptions_min: 1,
            replays_min: 1,
            activations_min: 1,
            seen_again_min: 1,
            fresh_min: 1,
            fresh_within_ms: 30_000,
            time_slack_ms: None,
        }
    }
}

/// The first line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// The command that makes this history again.
    pub reproduce: String,
    /// Every node that must show its log at the end.
    pub nodes: Vec<u64>,
    /// What each bound allows. A key is named `bound/key`.
    pub bounds: BTreeMap<String, Bound>,
    /// Whether permits may be redeemed under a later policy version than theirs.
    #[serde(default)]
    pub honor_issued: bool,
    /// Faults that the run is about: each must have a mark.
    #[serde(default)]
    pub faults: Vec<String>,
    /// Checkers that this run does not ask, by name. What is not listed must hold.
    #[serde(default)]
    pub not_asked: Vec<String>,
    /// How much must have happened.
    #[serde(default)]
    pub demands: Demands,
}

impl Header {
    /// The header of a run of `nodes` under `bounds` that `reproduce` makes again.
    #[must_use]
    pub fn new(reproduce: &str, nodes: &[u64], bounds: BTreeMap<String, Bound>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            reproduce: reproduce.to_owned(),
            nodes: nodes.to_vec(),
            bounds,
            honor_issued: false,
            faults: Vec::new(),
            not_asked: Vec::new(),
            demands: Demands::default(),
        }
    }
}

/// What was done to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "lowercase", deny_unknown_fields)]
pub enum Mark {
    /// A fault happened, which its proof shows.
    Fault {
        /// Its name.
        name: String,
        /// When, in microseconds of the history's clock.
        at_us: u64,
        /// What shows that it happened: a count of dropped packets, a pid that ended.
        proof: String,
    },
    /// From now on there are no faults.
    Healed {
        /// When, in microseconds of the history's clock.
        at_us: u64,
    },
}
