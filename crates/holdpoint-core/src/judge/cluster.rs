//! The group itself: its beginning, its time, its nodes, its feature level.

use holdpoint_receipt::statement::KeysChange;
use holdpoint_receipt::{ClusterTime, Fence, Name, NodeId};

use super::Verdict;
use super::draft::Draft;
use super::epochs::{Cause, is_full, open_epochs};
use super::keys::are_fit;
use crate::codec::records::Present;
use crate::command::{AnnounceNode, Bootstrap, NAMESPACE_FIRST, RaiseFeatureLevel, StepTime};
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind};
use crate::limits::{EPOCHS_MAX, FEATURE_LEVEL_FIRST, NODES_MAX, RETENTION_DEFAULT, VOTERS_MAX};
use crate::outcome::Outcome;
use crate::record::{ClockRecord, GroupRecord, NamespaceRecord, NodeRecord, SignerRecord, Swept};
use crate::rejection::{Bounded, Rejection};
use crate::view::View;

pub(super) fn bootstrap<V: View>(
    draft: &mut Draft<'_, V>,
    command: &Bootstrap,
) -> Result<Verdict, ApplyError<V::Error>> {
    let mut voters = command.voters.clone();
    if let Some(rejection) = too_many(Bounded::Voters, voters.len(), VOTERS_MAX) {
        return Ok(Verdict::reject(rejection));
    }
    voters.sort_unstable();
    voters.dedup();
    if voters.is_empty() || voters.len() != command.voters.len() {
        return Ok(Verdict::reject(Rejection::Voters));
    }
    let epoch = command.epoch;
    // `Name::new` accepts our own constant; were it not to, no cluster could start.
    let (Some(fence), Ok(first)) = (Fence::before_first_of(epoch), Name::new(NAMESPACE_FIRST))
    else {
        return Ok(Verdict::reject(Rejection::Epoch { epoch }));
    };
    let keys = KeySpace::group(draft.at.group);
    let group = GroupRecord {
        cluster: command.cluster,
        epoch,
        voters,
        feature_level: FEATURE_LEVEL_FIRST,
        nodes: 0,
        signers_required: None,
        is_dev: command.is_dev,
    };
    draft.write(keys.single(Kind::Group), &group)?;
    // Time begins at zero, where nothing can be asked for yet, and is stepped by the voters' clocks.
    let clock = ClockRecord {
        now: ClusterTime::default(),
        term: draft.at.term,
    };
    draft.write(keys.single(Kind::Clock), &clock)?;
    draft.write(keys.namespace_name(&first), &Present)?;
    let namespace = NamespaceRecord {
        fence,
        active: None,
        frozen: false,
        frozen_surfaces: Vec::new(),
        bundles: 0,
        drain: None,
        shadows: Vec::new(),
        retention: RETENTION_DEFAULT,
        ticket: 0,
        waiters: 0,
        pending: 0,
        pending_bytes: 0,
        conflicts: 0,
        swept: Swept {
            fence,
            ..Swept::default()
        },
        epochs: 0,
        newest_epoch: None,
        disputes: 0,
    };
    let key = KeySpace::namespace(draft.at.group, &first).single(Kind::Namespace);
    draft.write(key, &namespace)?;
    Ok(Verdict::Changed(Outcome::Bootstrapped))
}

fn too_many(what: Bounded, count: usize, count_max: usize) -> Option<Rejection> {
    (count > count_max).then_some(Rejection::TooMuch {
        what,
        // usize has at most 64 bits on every target that exists, so this loses nothing.
        count: count as u64,
        count_max: count_max as u64,
    })
}

pub(super) fn step_time<V: View>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
    command: &StepTime,
) -> Result<Verdict, ApplyError<V::Error>> {
    if let Some(rejection) = too_many(Bounded::Clocks, command.clocks.len(), VOTERS_MAX) {
        return Ok(Verdict::reject(rejection));
    }
    let Some(median) = lower_median(&group.voters, &command.clocks) else {
        return Ok(Verdict::reject(Rejection::Clocks));
    };
    let now = draft.now.max(median);
    assert!(now >= draft.now, "cluster time never goes back");
    let key = KeySpace::group(draft.at.group).single(Kind::Clock);
    let term = draft.at.term;
    draft.write(key, &ClockRecord { now, term })?;
    Ok(Verdict::Changed(Outcome::TimeStepped { now }))
}

/// The lower median of the clocks of a majority of voters; none if they are not that.
///
/// Of an even number the lower of the two in the middle: time that comes late only makes permits
/// live longer in wall time, time that comes early would expire them.
fn lower_median(voters: &[NodeId], clocks: &[(NodeId, ClusterTime)]) -> Option<ClusterTime> {
    let mut nodes: Vec<NodeId> = clocks.iter().map(|(node, _)| *node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let is_each_once = nodes.len() == clocks.len();
    let are_voters = nodes.iter().all(|node| voters.contains(node));
    let is_majority = nodes.len() > voters.len().div_euclid(2);
    if !is_each_once || !are_voters || !is_majority {
        return None;
    }
    let mut times: Vec<ClusterTime> = clocks.iter().map(|(_, time)| *time).collect();
    times.sort_unstable();
    let middle = times.len().saturating_sub(1).div_euclid(2);
    times.get(middle).copied()
}

pub(super) fn announce<V: View>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
    command: &AnnounceNode,
) -> Result<Verdict, ApplyError<V::Error>> {
    let node = command.node;
    let to = command.feature_level_max;
    if to < group.feature_level {
        return Ok(Verdict::reject(Rejection::LevelOutOfReach { to }));
    }
    let keys = KeySpace::group(draft.at.group);
    let key = keys.node(node);
    let known = draft.read::<NodeRecord>(&key)?;
    let mut group = group.clone();
    if let Some(known) = &known {
        if known.incarnation != command.incarnation {
            return Ok(Verdict::reject(Rejection::Incarnation { node }));
        }
        // Receipts that were signed with the first keys must stay verifiable.
        if (known.log_key, known.cosign_key) != (command.log_key, command.cosign_key) {
            return Ok(Verdict::reject(Rejection::Keys { node }));
        }
    } else {
        let fresh = SignerRecord {
            node,
            log_key: command.log_key,
            cosign_key: command.cosign_key,
        };
        if !are_fit(draft, &group, &fresh)? {
            return Ok(Verdict::reject(Rejection::UnfitKeys { node }));
        }
        let nodes = group.nodes.saturating_add(1);
        let nodes_max = NODES_MAX as u64;
        if nodes > nodes_max {
            return Ok(Verdict::reject(Rejection::TooMuch {
                what: Bounded::Nodes,
                count: nodes,
                count_max: nodes_max,
            }));
        }
        group.nodes = nodes;
        draft.write(keys.single(Kind::Group), &group)?;
    }
    let record = NodeRecord {
        incarnation: command.incarnation,
        log_key: command.log_key,
        cosign_key: command.cosign_key,
        feature_level_max: to,
        evaluator_version: command.evaluator_version,
        announced_at: known.as_ref().map_or(draft.now, |known| known.announced_at),
        retired: known.as_ref().is_some_and(|known| known.retired),
    };
    draft.write(key, &record)?;
    if known.is_none() && is_full(draft, &group)? {
        return Ok(Verdict::reject(Rejection::TooMuch {
            what: Bounded::Epochs,
            count: EPOCHS_MAX.saturating_add(1),
            count_max: EPOCHS_MAX,
        }));
    }
    let cause = Cause {
        change: KeysChange::Announced,
        node: Some(node),
        by: None,
    };
    open_epochs(draft, &group, &cause)?;
    Ok(Verdict::Changed(Outcome::Announced))
}

/// The voters are these from now on. Nothing can refuse it: raft has committed it.
pub(crate) fn set_voters<V: View>(
    draft: &mut Draft<'_, V>,
    voters: &[NodeId],
) -> Result<(), ApplyError<V::Error>> {
    let key = KeySpace::group(draft.at.group).single(Kind::Group);
    let Some(group) = draft.read::<GroupRecord>(&key)? else {
        return Ok(());
    };
    let mut voters = voters.to_vec();
    voters.sort_unstable();
    voters.dedup();
    if voters.is_empty() || voters.len() > VOTERS_MAX {
        // The node that proposes memberships admits no such.
        return Ok(());
    }
    let group = GroupRecord { voters, ..group };
    draft.write(key, &group)?;
    let cause = Cause {
        change: KeysChange::Membership,
        node: None,
        by: None,
    };
    open_epochs(draft, &group, &cause)?;
    Ok(())
}

pub(super) fn raise_feature_level<V: View>(
    draft: &mut Draft<'_, V>,
    group: &GroupRecord,
    command: RaiseFeatureLevel,
) -> Result<Verdict, ApplyError<V::Error>> {
    let to = command.to;
    let keys = KeySpace::group(draft.at.group);
    let mut is_reachable = to >= group.feature_level;
    for voter in &group.voters {
        let node = draft.read::<NodeRecord>(&keys.node(*voter))?;
        is_reachable &= node.is_some_and(|node| node.feature_level_max >= to);
    }
    if !is_reachable {
        return Ok(Verdict::reject(Rejection::LevelOutOfReach { to }));
    }
    let group = GroupRecord {
        feature_level: to,
        ..group.clone()
    };
    draft.write(keys.single(Kind::Group), &group)?;
    Ok(Verdict::Changed(Outcome::FeatureLevelRaised { level: to }))
}
