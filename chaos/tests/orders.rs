//! What the search for an order takes for an explanation, and what not.
//!
//! A transcript is of one key. Each line is an operation: when it was called and answered, what was asked
//! of whose permit, and what was told. Lines with a cluster time (`@150`) or a life (`100-200`) have
//! receipts, whose leaves are in the order of the lines.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use chaos::checkers::linearizable;
use chaos::history::{Answered, Bound, Event, Header, History, Op, Outcome, PermitState, Proof};
use chaos::story::Story;
use chaos::verdict::Verdict;

const EXCLUSIVE: Bound = Bound::Exclusive {};
const TWO: Bound = Bound::Capacity { limit: 2 };

fn proof(leaf: usize, at_ms: u64) -> Proof {
    Proof {
        leaf: leaf as u64,
        hash: format!("{leaf:064x}"),
        at_ms,
        verifies: true,
    }
}

fn pair(text: &str) -> (u64, u64) {
    let (one, other) = text.split_once('-').expect("two numbers");
    (number(one), number(other))
}

fn number(text: &str) -> u64 {
    text.trim_start_matches('@').parse().expect("a number")
}

fn state(word: &str) -> PermitState {
    serde_json::from_value(word.into()).expect("a state")
}

/// The operation of one line; the leaf is that of the line.
fn event(line: &str, leaf: usize) -> Event {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [times, op, who, told @ ..] = words.as_slice() else {
        panic!("`{line}` is no operation");
    };
    let (call_us, return_us) = pair(times);
    let (outcome, rest) = match (*op, told) {
        ("complete", ["committed", rest @ ..]) => (Some(Outcome::Committed), rest),
        ("complete", ["aborted", rest @ ..]) => (Some(Outcome::Aborted), rest),
        (_, rest) => (None, rest),
    };
    let answer = match rest {
        ["timeout"] => Answered::Timeout {},
        ["refused", reason] => Answered::Refused {
            reason: (*reason).to_owned(),
        },
        ["permit", lives] => Answered::Permit {
            permit: format!("pmt_{who}"),
            fence: leaf as u64 + 1,
            issued_at_ms: pair(lives).0,
            expires_at_ms: pair(lives).1,
            version: 1,
            receipt: Some(proof(leaf, pair(lives).0)),
        },
        ["deny", reason, at] => Answered::Deny {
            reason: (*reason).to_owned(),
            version: 1,
            receipt: Some(proof(leaf, number(at))),
        },
        ["done", at] => Answered::Done {
            version: None,
            receipt: Some(proof(leaf, number(at))),
        },
        ["absent"] => Answered::Absent {},
        [word] => Answered::State { state: state(word) },
        _ => panic!("`{line}` is no operation"),
    };
    let op = match *op {
        "authorize" => Op::Authorize,
        "redeem" => Op::Redeem,
        "complete" => Op::Complete,
        "revoke" => Op::Revoke,
        "read" => Op::Read,
        _ => panic!("`{op}` is no operation"),
    };
    let event = Event {
        client: (*who).to_owned(),
        op,
        namespace: "default".to_owned(),
        key: Some("lock/k".to_owned()),
        permit: (op != Op::Authorize).then(|| format!("pmt_{who}")),
        digest: Some("0".repeat(64)),
        idem: Some((*who).to_owned()),
        amount: None,
        outcome,
        bundle: None,
        leaf: None,
        call_us,
        return_us,
        node: None,
        answer,
    };
    event.check().expect("an operation");
    event
}

fn verdict(bound: Bound, transcript: &str) -> Verdict {
    let lines = transcript.lines().filter(|line| !line.trim().is_empty());
    let events = lines.enumerate().map(|(leaf, line)| event(line, leaf));
    let history = History {
        header: Header::new("", &[], [("lock".to_owned(), bound)].into()),
        events: events.collect(),
        marks: Vec::new(),
    };
    linearizable::over(&Story::of(&history))
}

#[track_caller]
fn explained(transcript: &str) {
    let verdict = verdict(EXCLUSIVE, transcript);
    assert!(verdict.holds(), "{verdict}");
}

#[track_caller]
fn broken(transcript: &str) {
    let verdict = verdict(EXCLUSIVE, transcript);
    assert!(verdict.breach().is_some(), "{verdict}");
}

#[test]
fn permits_one_after_the_other_are_explained() {
    explained(
        "0-10   authorize a permit 100-200
         20-30  redeem a done @110
         40-50  complete a committed done @120
         60-70  authorize b permit 130-230
         80-90  read a COMMITTED",
    );
}

#[test]
fn permit_beside_one_that_is_redeemed_is_broken() {
    broken(
        "0-10   authorize a permit 100-200
         20-30  redeem a done @110
         60-70  authorize b permit 130-230",
    );
}

#[test]
fn completion_whose_answer_was_lost_may_have_made_room() {
    explained(
        "0-10   authorize a permit 100-200
         20-30  redeem a done @110
         40-50  complete a aborted timeout
         60-70  authorize b permit 130-230",
    );
}

#[test]
fn lost_operation_takes_effect_after_its_call_only() {
    broken(
        "0-10   authorize a permit 100-200
         20-30  redeem a done @110
         40-50  authorize b permit 130-230
         60-70  complete a aborted timeout",
    );
}

#[test]
fn lost_operation_may_take_effect_long_after_its_client_gave_up() {
    explained(
        "0-10     authorize a permit 100-200
         20-30    redeem a timeout
         40-50    read a ISSUED
         60-70    read a ISSUED
         80-90    read a REDEEMED",
    );
}

#[test]
fn what_was_seen_once_is_not_unseen() {
    broken(
        "0-10     authorize a permit 100-200
         20-30    redeem a timeout
         40-50    read a REDEEMED
         60-70    read a ISSUED",
    );
}

#[test]
fn reads_beside_a_redemption_may_see_either_state() {
    explained(
        "0-10     authorize a permit 100-200
         20-90    redeem a done @110
         30-40    read a ISSUED
         50-60    read a REDEEMED",
    );
    broken(
        "0-10     authorize a permit 100-200
         20-90    redeem a done @110
         30-40    read a REDEEMED
         50-60    read a ISSUED",
    );
}

#[test]
fn unredeemed_permit_makes_room_at_the_instant_of_its_expiry() {
    explained(
        "0-10   authorize a permit 100-200
         20-30  authorize b permit 200-300",
    );
    broken(
        "0-10   authorize a permit 100-200
         20-30  authorize b permit 199-300",
    );
}

#[test]
fn permit_is_redeemed_before_its_expiry_only() {
    explained(
        "0-10   authorize a permit 100-200
         20-30  redeem a done @199",
    );
    broken(
        "0-10   authorize a permit 100-200
         20-30  redeem a done @200",
    );
}

#[test]
fn redeemed_permit_does_not_expire() {
    broken(
        "0-10   authorize a permit 100-200
         20-30  redeem a done @110
         40-50  authorize b permit 900-1000",
    );
}

#[test]
fn refusal_as_expired_is_at_or_after_the_expiry() {
    explained(
        "0-10   authorize a permit 100-200
         20-30  redeem a refused EXPIRED
         40-50  authorize b permit 200-300",
    );
    // The key's time is still before it when the next thing happens.
    broken(
        "0-10   authorize a permit 100-200
         20-30  redeem a refused EXPIRED
         40-50  authorize b deny BOUND_HELD @150",
    );
}

#[test]
fn denial_needs_a_holder_or_a_request_that_may_have_become_one() {
    broken("0-10  authorize b deny BOUND_HELD @100");
    explained(
        "0-10   authorize c timeout
         20-30  authorize b deny BOUND_HELD @100
         40-50  authorize a permit 500-600",
    );
    broken(
        "0-10   authorize b deny BOUND_HELD @100
         20-30  authorize c timeout
         40-50  authorize a permit 500-600",
    );
}

#[test]
fn second_executor_is_refused_because_the_first_may_have_redeemed() {
    let lost = "0-10   authorize a permit 100-200
                20-30  redeem a timeout
                40-50  revoke a refused ALREADY_REDEEMED";
    explained(lost);
    broken(&lost.replace("redeem a timeout", "read a ISSUED"));
}

#[test]
fn revoked_permit_is_not_completed_and_an_aborted_one_not_committed() {
    broken(
        "0-10   authorize a permit 100-200
         20-30  revoke a done @110
         40-50  complete a committed done @120",
    );
    broken(
        "0-10   authorize a permit 100-200
         20-30  redeem a done @110
         40-50  complete a aborted done @120
         60-70  complete a committed done @130",
    );
}

#[test]
fn log_that_contradicts_real_time_is_broken() {
    // The redemption's leaf is before the grant's.
    broken(
        "20-30  redeem a done @100
         0-10   authorize a permit 100-200",
    );
}

#[test]
fn permit_that_is_unknown_after_it_was_shown_is_broken() {
    broken(
        "0-10   authorize a permit 100-200
         20-30  read a absent",
    );
    explained(
        "0-30   authorize a permit 100-200
         10-20  read a absent",
    );
}

#[test]
fn capacity_is_counted() {
    let two = "0-10   authorize a permit 100-200
               20-30  authorize b permit 110-210";
    assert!(verdict(TWO, two).holds());
    let three = format!("{two}\n 40-50 authorize c permit 120-220");
    assert!(verdict(TWO, &three).breach().is_some());
    let denied = format!("{two}\n 40-50 authorize c deny BOUND_EXHAUSTED @120");
    assert!(verdict(TWO, &denied).holds());
    let denied = "0-10 authorize a permit 100-200
                  40-50 authorize c deny BOUND_EXHAUSTED @120";
    assert!(verdict(TWO, denied).breach().is_some());
}
