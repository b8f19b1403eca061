//! The group: its beginning, its nodes, its feature level, its clocks.

use holdpoint_core::command::{AnnounceNode, Bootstrap, RaiseFeatureLevel, StepTime};
use holdpoint_core::{Command, GroupId, MapView, apply};

use crate::script::said;
use crate::world::{CLUSTER, START_MS, World, announce, bootstrap, name, node, time};

fn one(world: &mut World, command: Command) -> String {
    said(&world.one(command))
}

#[test]
fn cluster_begins_once_with_a_set_of_voters_and_the_default_namespace() {
    let begin = |epoch, voters: &[u64]| {
        let command = Command::Bootstrap(Bootstrap {
            cluster: CLUSTER,
            epoch,
            voters: voters.iter().map(|id| node(*id)).collect(),
            is_dev: true,
        });
        let entry = holdpoint_core::Entry {
            group: GroupId::FIRST,
            time: time(START_MS),
            commands: vec![command],
        };
        said(&apply(&MapView::new(), 1, 1, &entry).unwrap().outcomes[0])
    };
    let not_a_set = "rejected: the list of voters is empty or names one twice";
    assert_eq!(begin(0, &[]), not_a_set);
    assert_eq!(begin(0, &[1, 2, 1]), not_a_set);
    assert_eq!(
        begin(8_192, &[1]),
        "rejected: epoch 8192 is beyond the largest"
    );
    assert_eq!(begin(8_191, &[3, 1, 2]), "bootstrapped");

    let mut world = World::new();
    assert_eq!(
        one(&mut world, bootstrap()),
        "rejected: the group is bootstrapped already"
    );
    assert_eq!(world.query().namespaces(None).unwrap(), [name("default")]);
}

#[test]
fn fences_of_a_later_epoch_are_above_all_of_an_earlier_one() {
    let first_of = |epoch| holdpoint_receipt::Fence::before_first_of(epoch).unwrap();
    assert!(first_of(1).get() > (1 << 40) - 1);
    assert_eq!(first_of(1).next().unwrap().get(), (1 << 40) + 1);
}

#[test]
fn time_steps_need_the_clocks_of_a_majority_of_voters_each_once() {
    let mut world = World::new();
    let mut step = |clocks: &[(u64, u64)]| {
        let clocks = clocks.iter();
        let clocks = clocks
            .map(|(id, ahead)| (node(*id), time(START_MS + ahead)))
            .collect();
        one(&mut world, Command::StepTime(StepTime { clocks }))
    };
    let refused = "rejected: the clocks are not those of a majority of voters, each once";
    assert_eq!(step(&[]), refused);
    assert_eq!(step(&[(1, 5_000)]), refused);
    assert_eq!(step(&[(1, 5_000), (1, 5_000)]), refused);
    assert_eq!(step(&[(1, 5_000), (4, 5_000)]), refused);
    assert_eq!(step(&[(1, 9_000_000), (2, 5_000)]), "time +5s");
    assert_eq!(step(&[(1, 9_000_000), (2, 7_000), (3, 0)]), "time +7s");
    assert_eq!(step(&[(1, 0), (2, 0), (3, 9_000_000)]), "time +7s");
}

#[test]
fn node_keeps_its_incarnation_and_its_keys() {
    let mut world = World::new();
    let mut announced = |node| one(&mut world, Command::AnnounceNode(node));
    assert_eq!(announced(announce(2, 2)), "announced");
    assert_eq!(announced(announce(2, 2)), "announced");
    let incarnation = [9; 16];
    let lost = AnnounceNode {
        incarnation,
        ..announce(2, 2)
    };
    let refused = "rejected: node 2 is known under another incarnation; use a new node id";
    assert_eq!(announced(lost), refused);
    let log_key = [9; 32];
    let other = AnnounceNode {
        log_key,
        ..announce(2, 2)
    };
    assert_eq!(
        announced(other),
        "rejected: node 2 is known under other keys"
    );
    let feature_level_max = 0;
    let old = AnnounceNode {
        feature_level_max,
        ..announce(2, 2)
    };
    assert_eq!(announced(old), "rejected: feature level 0 is out of reach");
    let nodes = world.query().nodes(None).unwrap();
    assert_eq!(
        nodes.iter().map(|(id, _)| id.get()).collect::<Vec<_>>(),
        [2]
    );
}

#[test]
fn feature_level_rises_when_every_voter_can_apply_it_and_never_falls() {
    let mut world = World::new();
    let raise = |to| Command::RaiseFeatureLevel(RaiseFeatureLevel { to });
    let refused = "rejected: feature level 2 is out of reach";
    for id in [1, 2] {
        one(&mut world, Command::AnnounceNode(announce(id, id)));
        assert_eq!(one(&mut world, raise(2)), refused);
    }
    one(&mut world, Command::AnnounceNode(announce(3, 3)));
    assert_eq!(one(&mut world, raise(2)), "feature level 2");
    assert_eq!(one(&mut world, raise(2)), "feature level 2");
    assert_eq!(
        one(&mut world, raise(1)),
        "rejected: feature level 1 is out of reach"
    );
    assert_eq!(
        one(&mut world, raise(3)),
        "rejected: feature level 3 is out of reach"
    );
}
