use std::sync::Arc;

use holdpoint_receipt::Reason;
use proptest::prelude::*;

use super::*;
use crate::believe::AnswerError;
use crate::endpoints::Address;

fn endpoints(count: usize) -> Endpoints {
    let address = |place| {
        format!("127.0.0.1:{}", place + 1)
            .parse::<Address>()
            .unwrap()
    };
    Endpoints::new(address(0), (1..count).map(address))
}

/// How a node of the test behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    /// Refuses connections at once.
    Dead,
    /// Takes the request and never answers.
    BlackHoled,
    /// Says at once that it does not lead.
    Follower,
    /// Says that it cannot tell.
    Doubtful,
    /// Has no room.
    Full,
    /// Gives a receipt that does not verify.
    Liar,
    /// Answers within a millisecond.
    Healthy,
}

fn fault(behaviour: Behaviour, waited: Duration) -> Option<Fault> {
    let cannot = |decided| Fault::CannotDecide {
        reason: Reason::NotLeader,
        decided,
    };
    match behaviour {
        Behaviour::Dead => Some(Fault::Unreachable("connection refused".to_owned())),
        Behaviour::BlackHoled => Some(Fault::NoAnswer(waited)),
        Behaviour::Follower => Some(cannot(Decided::Never)),
        Behaviour::Doubtful => Some(cannot(Decided::Unknown)),
        Behaviour::Full => Some(Fault::CannotDecide {
            reason: Reason::Overloaded,
            decided: Decided::Never,
        }),
        Behaviour::Liar => Some(Fault::NotBelieved(Arc::new(AnswerError::ReceiptMissing))),
        Behaviour::Healthy => None,
    }
}

/// What became of a call.
#[derive(Debug)]
struct Run {
    answered_at: Option<Duration>,
    ended_at: Duration,
    asked: Vec<Slot>,
    asked_last_at: Duration,
    decided: Decided,
}

/// Plays one call against nodes that behave in these ways, in simulated time.
fn play(
    endpoints: &mut Endpoints,
    behaviours: &[Behaviour],
    deadline: Duration,
    jitter: u32,
) -> Run {
    let mut now = Duration::ZERO;
    let mut retry = Retry::new(deadline);
    let (mut asked, mut asked_last_at) = (Vec::new(), now);
    loop {
        match retry.next(endpoints, now, jitter) {
            Step::GiveUp => {
                let decided = retry.decided();
                return Run {
                    answered_at: None,
                    ended_at: now,
                    asked,
                    asked_last_at,
                    decided,
                };
            }
            Step::Pause { until } => {
                assert!(until > now && until <= deadline, "{until:?} at {now:?}");
                now = until;
            }
            Step::Ask { slot, give_up_at } => {
                assert!(
                    give_up_at > now && give_up_at <= deadline,
                    "{give_up_at:?} at {now:?}"
                );
                asked.push(slot);
                asked_last_at = now;
                let behaviour = behaviours[slot.0];
                let Some(fault) = fault(behaviour, give_up_at.saturating_sub(now)) else {
                    endpoints.answered(slot);
                    let decided = retry.decided();
                    return Run {
                        answered_at: Some(now),
                        ended_at: now,
                        asked,
                        asked_last_at,
                        decided,
                    };
                };
                if behaviour == Behaviour::BlackHoled {
                    now = give_up_at;
                }
                match behaviour {
                    Behaviour::Follower | Behaviour::Doubtful | Behaviour::Full => {
                        endpoints.alive(slot);
                    }
                    _ => endpoints.failed(slot, now),
                }
                retry.failed(slot, fault);
            }
        }
    }
}

const DEADLINE: Duration = Duration::from_secs(5);

#[test]
fn one_dead_and_one_black_holed_node_of_three_fail_no_call_and_delay_only_the_first() {
    use Behaviour::{BlackHoled, Dead, Healthy};
    let mut nodes = endpoints(3);
    let first = play(&mut nodes, &[Dead, BlackHoled, Healthy], DEADLINE, 0);
    assert_eq!(first.asked, [Slot(0), Slot(1), Slot(2)]);
    assert!(first.answered_at.unwrap() <= DEADLINE / 8);
    let second = play(&mut nodes, &[Dead, BlackHoled, Healthy], DEADLINE, 0);
    assert_eq!(
        (second.asked, second.answered_at),
        (vec![Slot(2)], Some(Duration::ZERO))
    );
}

#[test]
fn leader_that_falls_silent_costs_one_call_half_of_its_deadline_and_later_ones_nothing() {
    use Behaviour::{BlackHoled, Follower, Healthy};
    let mut nodes = endpoints(3);
    assert_eq!(
        play(&mut nodes, &[Healthy, Follower, Follower], DEADLINE, 0).asked,
        [Slot(0)]
    );
    let behaviours = [BlackHoled, Follower, Healthy];
    let next = play(&mut nodes, &behaviours, DEADLINE, 0);
    assert_eq!(
        (next.asked.len(), next.answered_at),
        (3, Some(DEADLINE / 2))
    );
    let later = play(&mut nodes, &behaviours, DEADLINE, 0);
    assert_eq!(
        (later.asked, later.answered_at),
        (vec![Slot(2)], Some(Duration::ZERO))
    );
}

#[test]
fn nothing_sent_is_decided_never_and_a_lost_answer_is_decided_unknown() {
    use Behaviour::{BlackHoled, Dead, Doubtful, Follower};
    let decided = |nodes: &[Behaviour]| {
        let run = play(&mut endpoints(nodes.len()), nodes, DEADLINE, 7);
        assert_eq!(run.answered_at, None);
        run.decided
    };
    assert_eq!(decided(&[Dead, Dead, Dead]), Decided::Never);
    assert_eq!(decided(&[Dead, Follower]), Decided::Never);
    assert_eq!(decided(&[Dead, BlackHoled, Follower]), Decided::Unknown);
    assert_eq!(decided(&[Doubtful]), Decided::Unknown);
}

#[test]
fn answer_that_is_not_believed_is_asked_for_once_of_every_node() {
    let run = play(&mut endpoints(3), &[Behaviour::Liar; 3], DEADLINE, 7);
    assert_eq!(run.asked, [Slot(0), Slot(1), Slot(2)]);
    assert_eq!(run.ended_at, Duration::ZERO);
    assert_eq!(run.decided, Decided::Unknown);
}

#[test]
fn node_without_room_is_asked_again_after_pauses_and_the_others_are_left_alone() {
    use Behaviour::{Follower, Full, Healthy};
    let mut nodes = endpoints(3);
    play(&mut nodes, &[Healthy, Follower, Follower], DEADLINE, 0);
    let run = play(&mut nodes, &[Full, Follower, Follower], DEADLINE, 0);
    assert!(
        run.asked.iter().all(|slot| *slot == Slot(0)),
        "{:?}",
        run.asked
    );
    assert!((5..20).contains(&run.asked.len()), "{:?}", run.asked);
    assert_eq!((run.answered_at, run.decided), (None, Decided::Never));
}

#[test]
fn call_that_is_ended_asks_nobody_any_more() {
    let mut retry = Retry::new(DEADLINE);
    let nodes = endpoints(3);
    assert!(matches!(
        retry.next(&nodes, Duration::ZERO, 0),
        Step::Ask { .. }
    ));
    retry.end();
    retry.failed(Slot(0), fault(Behaviour::Full, Duration::ZERO).unwrap());
    assert_eq!(retry.next(&nodes, Duration::ZERO, 0), Step::GiveUp);
    assert_eq!(retry.decided(), Decided::Never);
}

#[test]
fn pauses_double_up_to_their_maximum_and_differ_by_jitter() {
    assert_eq!(pause(0, 0), PAUSE_MIN / 2);
    assert_eq!(pause(0, 1_000), PAUSE_MIN);
    assert_eq!(pause(3, 1_000), PAUSE_MIN * 8);
    assert_eq!(pause(60, 1_000), PAUSE_MAX);
    assert_eq!(pause(60, 0), PAUSE_MAX / 2);
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        Just(Behaviour::Dead),
        Just(Behaviour::BlackHoled),
        Just(Behaviour::Follower),
        Just(Behaviour::Doubtful),
        Just(Behaviour::Liar),
    ]
}

proptest! {
    #[test]
    fn one_healthy_node_among_any_others_answers_every_call_within_half_its_deadline(
        mut nodes in proptest::collection::vec(behaviour(), 1..7),
        place in any::<prop::sample::Index>(),
        jitters in proptest::collection::vec(any::<u32>(), 1..4),
        deadline_ms in 2_000_u64..60_000,
    ) {
        let place = place.index(nodes.len() + 1);
        nodes.insert(place, Behaviour::Healthy);
        let deadline = Duration::from_millis(deadline_ms);
        let mut endpoints = endpoints(nodes.len());
        for (call, jitter) in jitters.into_iter().enumerate() {
            let run = play(&mut endpoints, &nodes, deadline, jitter);
            prop_assert!(run.answered_at.unwrap() <= deadline / 2);
            prop_assert!(call == 0 || run.asked == [Slot(place)]);
        }
    }

    #[test]
    fn call_without_an_answer_ends_and_says_never_only_if_nothing_can_have_happened(
        nodes in proptest::collection::vec(behaviour(), 1..7),
        jitter in any::<u32>(),
        deadline_ms in 1_u64..60_000,
    ) {
        let deadline = Duration::from_millis(deadline_ms);
        let run = play(&mut endpoints(nodes.len()), &nodes, deadline, jitter);
        let certain = |slot: &Slot| {
            matches!(nodes[slot.0], Behaviour::Dead | Behaviour::Follower)
        };
        prop_assert_eq!(run.answered_at, None);
        prop_assert_eq!(run.decided == Decided::Never, run.asked.iter().all(certain));
        let is_full = run.ended_at + TRY_MIN >= deadline && run.ended_at <= deadline;
        prop_assert!(is_full || nodes.contains(&Behaviour::Liar));
        let is_first = run.asked.len() == 1;
        let is_early = run.asked_last_at.is_zero() || run.asked_last_at + TRY_MIN <= deadline;
        prop_assert!(is_first || is_early, "{run:?}");
        for round in run.asked.chunks(nodes.len()) {
            let distinct: BTreeSet<_> = round.iter().collect();
            prop_assert_eq!(distinct.len(), round.len());
        }
    }
}
