use proptest::prelude::*;

use super::*;

fn address(port: usize) -> Address {
    format!("127.0.0.1:{port}").parse().unwrap()
}

fn three() -> Endpoints {
    Endpoints::new(address(1), [address(2), address(3), address(2)])
}

/// The order in which one call asks the nodes.
fn order(endpoints: &Endpoints, now: Duration) -> Vec<usize> {
    let mut tried = BTreeSet::new();
    let mut order = Vec::new();
    while let Some(slot) = endpoints.choose(&tried, now) {
        tried.insert(slot);
        order.push(slot.0);
    }
    order
}

#[test]
fn node_that_answered_is_asked_first_next_time() {
    let mut endpoints = three();
    assert_eq!(order(&endpoints, Duration::ZERO), [0, 1, 2]);
    assert!(!endpoints.is_proven(Slot(1)));
    endpoints.answered(Slot(1));
    assert!(endpoints.is_proven(Slot(1)));
    assert_eq!(order(&endpoints, Duration::ZERO), [1, 2, 0]);
    endpoints.failed(Slot(1), Duration::ZERO);
    assert!(!endpoints.is_proven(Slot(1)));
}

#[test]
fn failed_node_is_left_alone_until_its_time_is_up_and_then_twice_as_long() {
    let mut endpoints = three();
    endpoints.failed(Slot(0), Duration::ZERO);
    assert_eq!(order(&endpoints, Duration::ZERO), [1, 2, 0]);
    assert_eq!(order(&endpoints, QUARANTINE_MIN), [0, 1, 2]);
    endpoints.failed(Slot(0), QUARANTINE_MIN);
    assert_eq!(order(&endpoints, QUARANTINE_MIN * 2), [1, 2, 0]);
    assert_eq!(order(&endpoints, QUARANTINE_MIN * 3), [0, 1, 2]);
    endpoints.alive(Slot(0));
    assert_eq!(order(&endpoints, QUARANTINE_MIN * 2), [0, 1, 2]);
}

#[test]
fn calls_that_fail_together_are_one_failure() {
    let mut endpoints = three();
    for _ in 0..64 {
        endpoints.failed(Slot(0), Duration::ZERO);
    }
    assert_eq!(order(&endpoints, QUARANTINE_MIN), [0, 1, 2]);
}

#[test]
fn leader_of_the_newest_term_is_preferred_and_an_older_hint_changes_nothing() {
    let mut endpoints = three();
    endpoints.hinted(address(3), 7);
    endpoints.hinted(address(2), 6);
    assert_eq!(order(&endpoints, Duration::ZERO), [2, 0, 1]);
    endpoints.hinted(address(9), 8);
    assert_eq!(order(&endpoints, Duration::ZERO), [3, 0, 1, 2]);
}

#[test]
fn hinted_leader_that_is_quarantined_is_asked_after_the_others() {
    let mut endpoints = three();
    endpoints.failed(Slot(2), Duration::ZERO);
    endpoints.hinted(address(3), 7);
    assert_eq!(order(&endpoints, Duration::ZERO), [0, 1, 2]);
}

#[test]
fn only_host_and_port_are_an_address() {
    for good in [
        "127.0.0.1:7411",
        "localhost:1",
        "[::1]:7411",
        "node-1.example:65535",
    ] {
        assert_eq!(good.parse::<Address>().unwrap().as_str(), good);
    }
    for bad in [
        "",
        "localhost",
        ":7411",
        "h:0",
        "h:65536",
        "http://h:1",
        "a b:1",
        "::1:7411",
        "h:1/x",
    ] {
        assert_eq!(
            bad.parse::<Address>().unwrap_err().to_string(),
            format!(
                "`{bad}` is not the address of a node: give `host:port`, such as `127.0.0.1:7411`"
            )
        );
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Answered(usize),
    Alive(usize),
    Failed(usize),
    Hinted(usize, u64),
    Passed(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0_usize..5).prop_map(Event::Answered),
        (0_usize..5).prop_map(Event::Alive),
        (0_usize..5).prop_map(Event::Failed),
        (1_usize..200, 0_u64..9).prop_map(|(port, term)| Event::Hinted(port, term)),
        (0_u64..40_000).prop_map(Event::Passed),
    ]
}

proptest! {
    #[test]
    fn whatever_happened_every_node_is_asked_once_and_quarantined_ones_last(
        events in proptest::collection::vec(event(), 0..200)
    ) {
        let mut endpoints = three();
        let mut now = Duration::ZERO;
        for event in events {
            match event {
                Event::Answered(place) => endpoints.answered(Slot(place)),
                Event::Alive(place) => endpoints.alive(Slot(place)),
                Event::Failed(place) => endpoints.failed(Slot(place), now),
                Event::Hinted(port, term) => endpoints.hinted(address(port), term),
                Event::Passed(ms) => now += Duration::from_millis(ms),
            }
            let order = order(&endpoints, now);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..endpoints.count()).collect::<Vec<_>>());
            prop_assert!(endpoints.count() <= NODES_MAX);
            let quarantined = |place: &usize| matches!(
                endpoints.nodes[*place].health,
                Health::Quarantined { until, .. } if until > now
            );
            prop_assert!(order.is_sorted_by_key(quarantined));
            for node in &endpoints.nodes {
                if let Health::Quarantined { until, .. } = node.health {
                    prop_assert!(until <= now + QUARANTINE_MAX);
                }
            }
        }
    }
}
