//! Says what a command means.
//!
//! ```text
//! judge(view, position, now, command) -> outcome, writes
//! ```
//!
//! [`judge()`] borrows the state, so it cannot change it. It never evaluates policy, never reads a
//! clock and never draws a random number: all of that stands in the command. Each submodule holds
//! one kind of command, with its steps in the order of the specification.

mod activate;
mod approvals;
mod authorize;
mod bounds;
mod changes;
mod cluster;
mod complete;
mod decide;
mod dispute;
mod draft;
mod drain;
mod ends;
mod epochs;
mod erase;
mod facts;
mod freeze;
mod gate;
mod handover;
mod keys;
mod lifecycle;
mod marks;
mod outline;
mod pending;
mod places;
mod policies;
mod put;
mod queue;
mod redeem;
mod retention;
mod revoke;
mod sessions;
mod statements;
mod sweep;
mod tombstones;
mod usage;

use holdpoint_receipt::{ClusterTime, Name};

use crate::command::{Authorize, Command};
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind};
use crate::outcome::{Offer, Outcome};
use crate::position::{GroupId, LogPosition};
use crate::query::Query;
use crate::record::GroupRecord;
use crate::rejection::Rejection;
use crate::view::{View, Write};

use gate::{Changes, Gate};

pub(crate) use cluster::set_voters;
pub(crate) use draft::Draft;
pub(crate) use lifecycle::let_expired_go;
pub(crate) use queue::with_place;
pub(crate) use statements::permit_id;
pub(crate) use sweep::is_due as sweep_is_due;

/// What a command meant, and what it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The answer.
    pub outcome: Outcome,
    /// The changes, one per key, in order of the keys.
    pub writes: Vec<Write>,
    /// Attempts whose turn it is now, in the order in which they were found.
    pub offers: Vec<Offer>,
}

impl Judged {
    fn unchanged(outcome: Outcome) -> Self {
        Self {
            outcome,
            writes: Vec::new(),
            offers: Vec::new(),
        }
    }
}

/// What came of a command in a draft: whether its writes count.
enum Verdict {
    /// The writes of the draft take effect.
    Changed(Outcome),
    /// They do not.
    Unchanged(Outcome),
}

impl Verdict {
    fn reject(rejection: Rejection) -> Self {
        Self::Unchanged(Outcome::Rejected(rejection))
    }

    /// For a command that is not about a namespace.
    fn judged<V: View>(self, draft: Draft<'_, V>) -> Judged {
        match self {
            Self::Changed(outcome) => Judged {
                outcome,
                writes: draft.into_writes(),
                offers: Vec::new(),
            },
            Self::Unchanged(outcome) => Judged::unchanged(outcome),
        }
    }
}

/// Says what `command` means at `at`, when cluster time is `now`.
///
/// Total: every command that decodes has an outcome, the same on every node. A command that must not
/// take effect is an outcome too.
///
/// # Errors
///
/// [`ApplyError`] is about the state, never about the command: the node must stop.
pub fn judge<V: View>(
    view: &V,
    at: LogPosition,
    now: ClusterTime,
    command: &Command,
) -> Result<Judged, ApplyError<V::Error>> {
    let mut draft = Draft::new(view, at, now);
    let group_key = KeySpace::group(at.group).single(Kind::Group);
    let Some(group) = draft.read::<GroupRecord>(&group_key)? else {
        let Command::Bootstrap(bootstrap) = command else {
            return Ok(rejected(Rejection::NotBootstrapped));
        };
        return Ok(cluster::bootstrap(&mut draft, bootstrap)?.judged(draft));
    };
    let (needed, level) = (command.feature_level(), group.feature_level);
    if needed > level {
        return Ok(rejected(Rejection::FeatureLevel { needed, level }));
    }
    match command.namespace() {
        None => in_group(draft, &group, command),
        Some(namespace) => in_namespace(draft, &group, namespace, command),
    }
}

/// What `attempt` finds in the state as it is: a recorded decision, a reason for silence, or what an
/// evaluation must rest on.
///
/// This is [`judge()`] without an entry: it takes no effect, and so it is for the leader only, after it
/// has made sure that `view` is the newest state. An evaluation in `attempt` is left aside.
///
/// # Errors
///
/// As for [`judge()`].
pub fn look<V: View>(
    view: &V,
    group: GroupId,
    attempt: &Authorize,
) -> Result<Outcome, ApplyError<V::Error>> {
    let clock = Query::new(view, group).clock()?;
    let lookup = Authorize {
        evaluation: None,
        ..attempt.clone()
    };
    // A lookup states nothing, so nothing of its position but the term is used.
    let at = LogPosition {
        group,
        term: clock.term,
        index: 0,
        place: 0,
    };
    Ok(judge(view, at, clock.now, &Command::Authorize(Box::new(lookup)))?.outcome)
}

fn rejected(rejection: Rejection) -> Judged {
    Judged::unchanged(Outcome::Rejected(rejection))
}

/// Judges what is about the group and names no namespace.
fn in_group<V: View>(
    mut draft: Draft<'_, V>,
    group: &GroupRecord,
    command: &Command,
) -> Result<Judged, ApplyError<V::Error>> {
    let verdict = match command {
        Command::Bootstrap(_) => Verdict::reject(Rejection::AlreadyBootstrapped),
        Command::StepTime(step) => cluster::step_time(&mut draft, group, step)?,
        Command::AnnounceNode(node) => cluster::announce(&mut draft, group, node)?,
        Command::RaiseFeatureLevel(raise) => {
            cluster::raise_feature_level(&mut draft, group, *raise)?
        }
        Command::RotateKeys(command) => keys::rotate(&mut draft, group, command)?,
        Command::RetireKeys(command) => keys::retire(&mut draft, group, command)?,
        Command::RevokeKeys(command) => marks::revoke(&mut draft, group, command)?,
        Command::RequireSigners(command) => keys::require(&mut draft, group, command)?,
        Command::PutPolicy(_)
        | Command::ActivatePolicy(_)
        | Command::Authorize(_)
        | Command::Redeem(_)
        | Command::Complete(_)
        | Command::Revoke(_)
        | Command::LeaveQueue(_)
        | Command::Release(_)
        | Command::Approve(_)
        | Command::RevokeApproval(_)
        | Command::AskApproval(_)
        | Command::CloseSession(_)
        | Command::Freeze(_)
        | Command::CancelDrain(_)
        | Command::SetShadow(_)
        | Command::DeletePolicy(_)
        | Command::SetRetention(_)
        | Command::Sweep(_)
        | Command::RecordHandover(_)
        | Command::Dispute(_)
        | Command::Erase(_) => Verdict::reject(Rejection::UnknownNamespace),
    };
    Ok(verdict.judged(draft))
}

/// Judges in the one namespace that a command names; no other is reachable from there.
fn in_namespace<V: View>(
    draft: Draft<'_, V>,
    group: &GroupRecord,
    namespace: &Name,
    command: &Command,
) -> Result<Judged, ApplyError<V::Error>> {
    let Some(mut gate) = Gate::open(draft, group, namespace)? else {
        return Ok(rejected(Rejection::UnknownNamespace));
    };
    match in_gate(&mut gate, command)? {
        Verdict::Changed(outcome) => {
            let Changes { writes, offers } = gate.close()?;
            Ok(Judged {
                outcome,
                writes,
                offers,
            })
        }
        Verdict::Unchanged(outcome) => Ok(Judged::unchanged(outcome)),
    }
}

fn in_gate<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Command,
) -> Result<Verdict, ApplyError<V::Error>> {
    match command {
        Command::PutPolicy(command) => put::put_policy(gate, command),
        Command::ActivatePolicy(command) => activate::activate_policy(gate, command),
        Command::Authorize(command) => authorize::authorize(gate, command),
        Command::Redeem(command) => redeem::redeem(gate, command),
        Command::Complete(command) => complete::complete(gate, command),
        Command::Revoke(command) => revoke::revoke(gate, command),
        Command::LeaveQueue(command) => places::leave_queue(gate, command),
        Command::Release(command) => revoke::release(gate, command),
        Command::Approve(command) => approvals::approve(gate, command),
        Command::RevokeApproval(command) => approvals::revoke_approval(gate, command),
        Command::AskApproval(command) => pending::ask_approval(gate, command),
        Command::CloseSession(command) => sessions::close_session(gate, command),
        Command::Freeze(command) => freeze::freeze(gate, command),
        Command::CancelDrain(command) => drain::cancel_drain(gate, command),
        Command::SetShadow(command) => policies::set_shadow(gate, command),
        Command::DeletePolicy(command) => policies::delete_policy(gate, command),
        Command::SetRetention(command) => Ok(retention::set_retention(gate, command)),
        Command::Sweep(command) => sweep::sweep(gate, command),
        Command::RecordHandover(command) => handover::record_handover(gate, command),
        Command::Dispute(command) => dispute::dispute(gate, command),
        Command::Erase(command) => erase::erase(gate, command),
        Command::Bootstrap(_)
        | Command::StepTime(_)
        | Command::AnnounceNode(_)
        | Command::RaiseFeatureLevel(_)
        | Command::RotateKeys(_)
        | Command::RetireKeys(_)
        | Command::RevokeKeys(_)
        | Command::RequireSigners(_) => Ok(Verdict::reject(Rejection::UnknownNamespace)),
    }
}
