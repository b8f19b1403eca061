//! Every node tells what it applied, as it applies it.

use std::sync::{Arc, Mutex};

use holdpoint_core::{GroupId, Outcome, Query};
use holdpoint_raft::{Applied, Group};
use holdpoint_receipt::Name;

use crate::support::commands::{activate_policy, announce, cluster_time, put_policy};
use crate::support::{Cluster, PATIENCE, until};

fn default() -> Name {
    Name::new("default").unwrap()
}

/// What the state of `group` shows of its one namespace.
fn tree_size(group: &Group) -> u64 {
    let read = group.local_view(|view| {
        let query = Query::new(&view, GroupId::FIRST);
        let namespace = query.namespace(&default()).unwrap();
        namespace.map(|it| it.head().unwrap().size)
    });
    read.unwrap().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_tells_its_index_its_time_and_the_size_of_its_trees() {
    let mut cluster = Cluster::of_three().await;
    cluster.propose(&put_policy()).await;
    let outcome = cluster.propose(&activate_policy()).await;
    for group in cluster.groups.values() {
        let mut applied = group.applied();
        let caught_up = |it: &Applied| it.index >= Some(outcome.position().index);
        tokio::time::timeout(PATIENCE, applied.wait_for(caught_up))
            .await
            .expect("an entry that is applied wakes")
            .unwrap();
    }
    cluster.settled().await;
    let told = |group: &Group| group.applied().borrow().clone();
    let expected = told(cluster.group(1));
    assert_eq!(expected.tree_sizes.get(&default()), Some(&1));
    // A node that starts on its directory tells what is there.
    cluster.stop(1).await;
    cluster.start(1).await;
    cluster.settled().await;
    for group in cluster.groups.values() {
        until("the same is told", || {
            let told = told(group);
            let is_state = told.index == group.applied_index() && told.now == cluster_time(group);
            is_state.then_some(())
        })
        .await;
        assert_eq!(told(group).tree_sizes[&default()], tree_size(group));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hook_sees_each_outcome_after_its_rows_are_in_the_state_on_every_node() {
    let cluster = Cluster::of_three().await;
    cluster.propose(&announce(1)).await;
    let seen: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
    for (node, group) in &cluster.groups {
        let (node, seen, hooked) = (*node, Arc::clone(&seen), group.clone());
        let is_first = group.on_applied(Arc::new(move |entry| {
            let has = |outcome: &Outcome| matches!(outcome, Outcome::Activated(_));
            if entry.meant.outcomes.iter().any(has) {
                seen.lock().unwrap().push((node, tree_size(&hooked)));
            }
        }));
        assert!(is_first);
        assert!(
            !group.on_applied(Arc::new(|_| panic!("the second hook"))),
            "the first hook stays"
        );
    }
    cluster.propose(&put_policy()).await;
    cluster.propose(&activate_policy()).await;
    until("all three hooks saw it", || {
        (seen.lock().unwrap().len() == 3).then_some(())
    })
    .await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1), (2, 1), (3, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_hear_of_a_commit_at_once_and_not_with_the_next_heartbeat() {
    let mut cluster = Cluster::new(&[1, 2, 3]);
    // The founder asks for votes at once, which wait until the others have joined. After that no
    // heartbeat comes before this test gives up.
    cluster.config.heartbeat = 2 * PATIENCE;
    cluster.config.election_min = 6 * PATIENCE;
    cluster.config.election_max = 7 * PATIENCE;
    cluster.net.let_votes_pass(false);
    for node in [1, 2, 3] {
        cluster.start(node).await;
    }
    until("all joined", || {
        let mut groups = cluster.groups.values();
        groups.all(Group::has_joined).then_some(())
    })
    .await;
    cluster.net.let_votes_pass(true);
    for node in 1..=20 {
        let outcome = cluster.propose(&announce(node)).await;
        let index = outcome.position().index;
        until("every node applied it", || {
            let mut groups = cluster.groups.values();
            let is_applied = |group: &Group| group.applied_index() >= Some(index);
            groups.all(is_applied).then_some(())
        })
        .await;
    }
}
