//! Bugs, each planted in a clean history by changing what clients were told.
//!
//! A checker that has never found a bug shows nothing. Each bug here names the checker that must find it;
//! others may, too. A plant never makes a history that cannot be read: it is a gate that lies, not a
//! recorder that fails.

mod answers;
mod keys;
mod logs;
mod places;

use crate::history::History;
use crate::reference::Dice;

/// What the checker must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The promise is broken.
    Broken,
    /// The history is too thin to tell.
    Unknown,
}

/// A bug.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// What the gate does wrong.
    pub name: &'static str,
    /// The checker that must find it.
    pub found_by: &'static str,
    /// What that checker must say.
    pub expected: Expected,
    /// Plants it. False if the history has no place for it.
    pub plant: fn(&mut History, &mut Dice) -> bool,
}

const fn bug(
    found_by: &'static str,
    name: &'static str,
    plant: fn(&mut History, &mut Dice) -> bool,
) -> Bug {
    Bug {
        name,
        found_by,
        expected: Expected::Broken,
        plant,
    }
}

const fn thin(
    found_by: &'static str,
    name: &'static str,
    plant: fn(&mut History, &mut Dice) -> bool,
) -> Bug {
    Bug {
        name,
        found_by,
        expected: Expected::Unknown,
        plant,
    }
}

/// Every bug.
pub const ALL: &[Bug] = &[
    bug(
        "single_valued",
        "granted_while_in_doubt",
        keys::granted_while_in_doubt,
    ),
    bug(
        "single_valued",
        "granted_before_expiry",
        keys::granted_before_expiry,
    ),
    bug(
        "single_valued",
        "capacity_exceeded",
        keys::capacity_exceeded,
    ),
    bug("single_valued", "budget_exceeded", keys::budget_exceeded),
    bug(
        "single_valued",
        "once_granted_again",
        keys::once_granted_again,
    ),
    bug(
        "linearizable",
        "redeemed_at_expiry",
        keys::redeemed_at_expiry,
    ),
    bug(
        "linearizable",
        "refused_as_expired_too_early",
        keys::refused_as_expired_too_early,
    ),
    bug("linearizable", "stale_read", keys::stale_read),
    bug(
        "linearizable",
        "read_ahead_of_its_time",
        keys::read_ahead_of_its_time,
    ),
    bug(
        "linearizable",
        "denied_without_holder",
        keys::denied_without_holder,
    ),
    bug(
        "linearizable",
        "completed_without_redeem",
        keys::completed_without_redeem,
    ),
    bug(
        "linearizable",
        "revoked_after_redeem",
        keys::revoked_after_redeem,
    ),
    bug("linearizable", "both_outcomes", keys::both_outcomes),
    bug(
        "linearizable",
        "log_against_real_time",
        keys::log_against_real_time,
    ),
    bug(
        "convergent",
        "retry_with_another_permit",
        answers::retry_with_another_permit,
    ),
    bug(
        "convergent",
        "retry_with_another_statement",
        answers::retry_with_another_statement,
    ),
    bug(
        "convergent",
        "key_decided_for_two_requests",
        answers::key_decided_for_two_requests,
    ),
    bug(
        "convergent",
        "permit_of_another_attempt",
        answers::permit_of_another_attempt,
    ),
    bug(
        "convergent",
        "step_with_two_statements",
        answers::step_with_two_statements,
    ),
    bug("durable", "permit_forgotten", answers::permit_forgotten),
    bug(
        "durable",
        "redemption_forgotten",
        answers::redemption_forgotten,
    ),
    bug("durable", "leaf_rewritten", logs::leaf_rewritten),
    bug("durable", "leaf_gone", logs::leaf_gone),
    bug("fenced", "fence_given_twice", answers::fence_given_twice),
    bug("fenced", "fence_falls", answers::fence_falls),
    bug("fenced", "redeemed_twice", answers::redeemed_twice),
    bug(
        "in_force",
        "decision_under_old_policy",
        answers::decision_under_old_policy,
    ),
    bug(
        "in_force",
        "decision_under_future_policy",
        answers::decision_under_future_policy,
    ),
    bug(
        "in_force",
        "unused_permit_not_superseded",
        answers::unused_permit_not_superseded,
    ),
    bug(
        "in_force",
        "redeemed_under_later_policy",
        answers::redeemed_under_later_policy,
    ),
    bug(
        "in_force",
        "version_given_twice",
        answers::version_given_twice,
    ),
    bug("in_force", "version_read_late", answers::version_read_late),
    bug(
        "fail_closed",
        "permit_without_receipt",
        answers::permit_without_receipt,
    ),
    bug(
        "fail_closed",
        "receipt_that_does_not_verify",
        answers::receipt_that_does_not_verify,
    ),
    bug(
        "provable",
        "two_statements_at_a_leaf",
        logs::two_statements_at_a_leaf,
    ),
    bug(
        "provable",
        "one_statement_at_two_leaves",
        logs::one_statement_at_two_leaves,
    ),
    bug("provable", "heads_that_fork", logs::heads_that_fork),
    bug(
        "provable",
        "head_of_other_leaves",
        logs::head_of_other_leaves,
    ),
    bug("provable", "log_cut", logs::log_cut),
    thin(
        "provable",
        "node_that_shows_nothing",
        logs::node_that_shows_nothing,
    ),
    bug(
        "isolated",
        "permit_in_two_namespaces",
        logs::permit_in_two_namespaces,
    ),
    bug(
        "isolated",
        "redeemed_through_another",
        logs::redeemed_through_another,
    ),
    bug(
        "isolated",
        "denied_for_a_foreign_holder",
        logs::denied_for_a_foreign_holder,
    ),
    bug(
        "progress",
        "nothing_after_healing",
        logs::nothing_after_healing,
    ),
    bug("steady_time", "time_goes_back", logs::time_goes_back),
    bug("steady_time", "clock_jumps", logs::clock_jumps),
    thin("happened", "fault_without_proof", logs::fault_without_proof),
];
