//! Changes of the membership: what the keys allow, then what the group says.
//!
//! ```text
//! add      no condition here
//! promote  waits for the last handover of keys, and until the node is announced
//! remove   waits for the last handover; who is left must be able to take over from who signs now
//! ```
//!
//! A change that the group has made opens an epoch of keys, and nothing is proved under it before
//! enough signers of the last one have handed over. So a change that would leave too few of them is
//! refused before it is made: afterwards nobody could take it back. Nothing here touches a key.

use std::collections::BTreeSet;
use std::time::Duration;

use holdpoint_core::record::EpochRecord;
use holdpoint_core::{Query, View};
use holdpoint_proto::v1;
use holdpoint_raft::{ChangeMembersError, GroupMembership, MemberPlace};
use holdpoint_receipt::{Caller, NodeId, Reason};
use holdpoint_storage::StoreError;
use tokio::time::Instant;

use super::Gate;
use crate::admit::Admitted;
use crate::api::{MemberChange, MembersCall};
use crate::evaluate::ReadFault;
use crate::refused::Refused;
use crate::roles::{self, Role};

/// How often what passes by itself is looked at again.
const POLL: Duration = Duration::from_millis(50);

/// Why a change may not be made, as the applied state has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hindrance {
    /// The signers before and after the last change have not both signed yet.
    HandoverPending,
    /// Nobody knows the keys of the node.
    NotAnnounced,
    /// Too few of the voters that there would be could sign.
    TooFewSigners {
        /// How many could.
        left: usize,
        /// How many must.
        needed: usize,
    },
}

/// The sets of voters before and after a change.
struct Sets {
    node: NodeId,
    is_promotion: bool,
    after: BTreeSet<NodeId>,
}

impl Gate {
    /// Adds, promotes or removes a node.
    pub(crate) async fn change_members(
        &self,
        caller: Caller,
        call: MembersCall,
        admitted: &Admitted,
    ) -> Result<v1::ChangeMembersResponse, Refused> {
        roles::require(&caller, Role::Operator)?;
        self.lead(admitted).await?;
        let (node, before) = (call.node, self.parts.members.membership());
        let replay = is_so(call.change, node, &before);
        if !replay {
            self.known_at_all(call, &before)?;
            self.keys_allow(call, admitted).await?;
        }
        if !call.dry_run {
            tracing::info!(%caller, %node, change = ?call.change, "changing the membership");
            self.make(call, admitted).await?;
        }
        let after = self.parts.members.membership();
        let ids = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|node| node.get()).collect();
        Ok(v1::ChangeMembersResponse {
            replay,
            voters: ids(&after.voters),
            learners: ids(&after.learners),
            refusal: None,
        })
    }

    /// Resolves once this node learns that it was removed.
    pub(crate) async fn removed(&self) {
        let mut membership = self.parts.group.membership();
        let told = membership.wait_for(|told| told.own == MemberPlace::Removed);
        if told.await.is_err() {
            // The group has stopped; whoever waits for its fault learns why.
            std::future::pending::<()>().await;
        }
    }

    /// What is wrong whatever the keys say. The group says so, too, when it comes to it.
    fn known_at_all(&self, call: MembersCall, before: &GroupMembership) -> Result<(), Refused> {
        let node = call.node;
        let error = match call.change {
            MemberChange::Add if before.removed.contains_key(&node) => {
                ChangeMembersError::UsedBefore { node }
            }
            MemberChange::Add if !self.parts.group.has_greeted(node) => {
                ChangeMembersError::UnknownNode { node }
            }
            MemberChange::Promote | MemberChange::Remove if !before.members.contains_key(&node) => {
                ChangeMembersError::NotMember { node }
            }
            MemberChange::Remove if before.voters.len() == 1 && before.voters.contains(&node) => {
                return Err(Refused::never(Reason::MembersUnfit).saying(format!(
                    "Node {node} is the last voter; without one nothing is decided."
                )));
            }
            _ => return Ok(()),
        };
        Err(self.not_changed(&error))
    }

    /// Waits for a while until the keys allow the change.
    async fn keys_allow(&self, call: MembersCall, admitted: &Admitted) -> Result<(), Refused> {
        let until = Instant::now() + admitted.left() / 2;
        loop {
            let Some(sets) = sets(call, &self.parts.members.membership()) else {
                return Ok(());
            };
            let found = self.look(admitted, move |state| hindrance(state, &sets));
            let Some(hindrance) = found.await? else {
                return Ok(());
            };
            let is_lasting = matches!(hindrance, Hindrance::TooFewSigners { .. });
            if is_lasting || Instant::now() >= until {
                return Err(hindered(call.node, hindrance));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn make(&self, call: MembersCall, admitted: &Admitted) -> Result<(), Refused> {
        let (group, wait) = (&self.parts.group, admitted.left());
        let made = match call.change {
            MemberChange::Add => group.add_learner(call.node, wait).await,
            MemberChange::Promote => group.promote(&[call.node], wait).await,
            MemberChange::Remove => group.remove(call.node, wait).await,
        };
        made.map_err(|error| self.not_changed(&error))
    }

    fn not_changed(&self, error: &ChangeMembersError) -> Refused {
        let reason = match error {
            ChangeMembersError::NotLeader { .. } => return self.not_leader(false),
            ChangeMembersError::MayHaveHappened { .. } => {
                return Refused::unknown(Reason::Timeout).saying(sentence(error));
            }
            ChangeMembersError::UnknownNode { .. } | ChangeMembersError::NotMember { .. } => {
                Reason::MemberUnknown
            }
            ChangeMembersError::UsedBefore { .. } | ChangeMembersError::OtherDirectory { .. } => {
                Reason::MemberUsedBefore
            }
            ChangeMembersError::NotCaughtUp { .. } => Reason::MemberBehind,
            ChangeMembersError::TooMany { .. } | ChangeMembersError::NoMajority { .. } => {
                Reason::MembersUnfit
            }
            ChangeMembersError::InProgress => Reason::MembersPending,
        };
        Refused::never(reason).saying(sentence(error))
    }
}

/// What the group says, as a sentence.
fn sentence(error: &ChangeMembersError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// Whether nothing is left to be done.
fn is_so(change: MemberChange, node: NodeId, now: &GroupMembership) -> bool {
    let is_member = now.members.contains_key(&node);
    match change {
        _ if now.is_joint => false,
        MemberChange::Add => is_member,
        MemberChange::Promote => now.voters.contains(&node),
        MemberChange::Remove => !is_member && now.removed.contains_key(&node),
    }
}

/// The voters after a change, if it changes them.
fn sets(call: MembersCall, now: &GroupMembership) -> Option<Sets> {
    let node = call.node;
    let mut after = now.voters.clone();
    let is_promotion = call.change == MemberChange::Promote;
    let is_other = match call.change {
        MemberChange::Add => false,
        MemberChange::Promote => after.insert(node),
        MemberChange::Remove => after.remove(&node),
    };
    is_other.then_some(Sets {
        node,
        is_promotion,
        after,
    })
}

/// What keeps a change of voters from being made, by the keys of every namespace.
fn hindrance<V: View<Error = StoreError>>(
    state: &Query<'_, V>,
    sets: &Sets,
) -> Result<Option<Hindrance>, ReadFault> {
    for name in state.namespaces(None)? {
        let Some(log) = state.namespace(&name)? else {
            continue;
        };
        if log.handover()?.is_some() {
            return Ok(Some(Hindrance::HandoverPending));
        }
        let newest = log.newest_epoch()?;
        if let Some(hindrance) = newest.and_then(|(_, epoch)| too_few_hand_over(&epoch, sets)) {
            return Ok(Some(hindrance));
        }
    }
    if sets.is_promotion && state.node(sets.node)?.is_none() {
        return Ok(Some(Hindrance::NotAnnounced));
    }
    let (mut left, needed) = (0, sets.after.len() / 2 + 1);
    for voter in &sets.after {
        let signs = state.node(*voter)?.is_some_and(|known| !known.retired);
        left += usize::from(signs);
    }
    Ok((left < needed).then_some(Hindrance::TooFewSigners { left, needed }))
}

/// Whether too few of those who sign now would be left to hand over to the next epoch.
fn too_few_hand_over(epoch: &EpochRecord, sets: &Sets) -> Option<Hindrance> {
    let stays = |node: &NodeId| sets.after.contains(node);
    let left = epoch.signers.iter().filter(|it| stays(&it.node)).count();
    let needed = usize::try_from(epoch.signers_needed).unwrap_or(usize::MAX);
    (left < needed).then_some(Hindrance::TooFewSigners { left, needed })
}

fn hindered(node: NodeId, hindrance: Hindrance) -> Refused {
    match hindrance {
        Hindrance::HandoverPending => Refused::never(Reason::KeysPending),
        Hindrance::NotAnnounced => Refused::never(Reason::MemberBehind).saying(format!(
            "The keys of node {node} are not announced yet; repeat when `holdpoint status` shows that \
             it answers."
        )),
        Hindrance::TooFewSigners { left, needed } => {
            Refused::never(Reason::TooFewSigners).saying(format!(
                "Of the voters that there would be, {left} could sign, and {needed} must; let others \
                 join first."
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use holdpoint_core::record::SignerRecord;
    use holdpoint_raft::Member;

    use super::*;

    fn id(node: u64) -> NodeId {
        NodeId::new(node).unwrap()
    }

    fn membership(voters: &[u64], learners: &[u64]) -> GroupMembership {
        let ids = |nodes: &[u64]| nodes.iter().map(|node| id(*node)).collect();
        let members = voters.iter().chain(learners);
        GroupMembership {
            voters: ids(voters),
            learners: ids(learners),
            members: members.map(|it| (id(*it), Member::default())).collect(),
            ..GroupMembership::default()
        }
    }

    fn call(change: MemberChange, node: u64) -> MembersCall {
        MembersCall {
            change,
            node: id(node),
            dry_run: false,
        }
    }

    fn check(
        change: MemberChange,
        node: u64,
        signers: &[u64],
        needed: u32,
        expected: Option<usize>,
    ) {
        let signer = |node: &u64| SignerRecord {
            node: id(*node),
            log_key: [1; 32],
            cosign_key: [2; 32],
        };
        let epoch = EpochRecord {
            signers_needed: needed,
            signers: signers.iter().map(signer).collect(),
            leaf: 0,
            handover: None,
        };
        let now = membership(signers, &[4]);
        let sets = sets(call(change, node), &now).unwrap();
        let left = too_few_hand_over(&epoch, &sets).map(|found| match found {
            Hindrance::TooFewSigners { left, .. } => left,
            other => panic!("{other:?}"),
        });
        assert_eq!(left, expected);
    }

    #[test]
    fn who_signs_now_must_be_able_to_hand_over_after_the_change() {
        check(MemberChange::Remove, 1, &[1, 2, 3], 2, None);
        check(MemberChange::Remove, 1, &[1, 2, 3], 3, Some(2));
        check(MemberChange::Remove, 1, &[1, 2], 2, Some(1));
        check(MemberChange::Promote, 4, &[1, 2], 2, None);
    }

    #[test]
    fn only_a_change_that_moves_the_voters_needs_the_keys() {
        let now = membership(&[1, 2, 3], &[4]);
        assert!(sets(call(MemberChange::Add, 5), &now).is_none());
        assert!(sets(call(MemberChange::Remove, 4), &now).is_none());
        assert!(sets(call(MemberChange::Promote, 3), &now).is_none());
        assert_eq!(
            sets(call(MemberChange::Promote, 4), &now)
                .unwrap()
                .after
                .len(),
            4
        );
    }

    #[test]
    fn change_that_is_half_way_is_never_taken_for_one_that_was_made() {
        let mut now = membership(&[1, 2, 3], &[]);
        assert!(is_so(MemberChange::Promote, id(3), &now));
        now.is_joint = true;
        assert!(!is_so(MemberChange::Promote, id(3), &now));
    }

    #[test]
    fn what_the_group_says_becomes_a_sentence() {
        let said = sentence(&ChangeMembersError::InProgress);
        assert_eq!(
            said,
            "Another change of the membership is half way; try again when it is through."
        );
    }
}
