use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::believe::AnswerError;
use crate::fault::{Decided, Fault, NodeFault};
use crate::operation::OperationError;

fn unanswered(decided: Decided, faults: Vec<Fault>) -> Silence {
    let node = |(place, fault)| NodeFault {
        address: format!("127.0.0.1:74{place}1").parse().unwrap(),
        fault,
    };
    let nodes = faults.into_iter().enumerate().map(node).collect();
    let waited = Duration::from_millis(5_012);
    let attempt = AttemptName {
        key: IdempotencyKey::new("9f2c").unwrap(),
        not_after: ClusterTime::new(1_795_356_725_231).unwrap(),
    };
    Silence::unanswered(
        Unanswered {
            nodes,
            waited,
            decided,
        },
        Some(attempt),
    )
}

fn refused() -> Fault {
    Fault::Unreachable("connection refused".to_owned())
}

fn cannot(reason: Reason) -> Fault {
    Fault::CannotDecide {
        reason,
        decided: Decided::Unknown,
    }
}

#[test]
fn silence_without_a_quorum_says_who_answered_and_what_is_certain() {
    let silence = unanswered(
        Decided::Unknown,
        vec![cannot(Reason::NotLeader), refused(), refused()],
    );
    assert_eq!(
        silence.to_string(),
        "SILENCE NO_QUORUM: 1 of 3 nodes answered within 5.0 s (127.0.0.1:7401: NOT_LEADER; \
         127.0.0.1:7411: connection refused; 127.0.0.1:7421: connection refused); decided: \
         unknown, the same key `9f2c` finds the decision if there is one"
    );
}

#[test]
fn reason_is_the_one_that_says_most() {
    let reason = |decided, faults| unanswered(decided, faults).reason();
    let disbelieved = || Fault::NotBelieved(Arc::new(AnswerError::ReceiptMissing));
    let slow = || Fault::NoAnswer(Duration::from_secs(1));
    assert_eq!(
        reason(Decided::Never, vec![refused(), refused()]),
        Reason::Unreachable
    );
    assert_eq!(
        reason(Decided::Unknown, vec![refused(), slow()]),
        Reason::Timeout
    );
    // An answer was lost in an earlier round, so something did leave this host.
    assert_eq!(
        reason(Decided::Unknown, vec![refused(), refused()]),
        Reason::Timeout
    );
    assert_eq!(
        reason(Decided::Never, vec![refused(), cannot(Reason::NotLeader)]),
        Reason::NoQuorum
    );
    let overloaded = vec![cannot(Reason::NotLeader), cannot(Reason::Overloaded)];
    assert_eq!(reason(Decided::Never, overloaded), Reason::Overloaded);
    let lied = vec![cannot(Reason::NoQuorum), disbelieved()];
    assert_eq!(reason(Decided::Unknown, lied), Reason::ReceiptInvalid);
}

#[test]
fn silence_about_an_operation_that_cannot_be_said_is_certain() {
    let error = OperationError::Integer {
        name: "amount".to_owned(),
        value: 1 << 63,
    };
    let silence = Silence::operation(error);
    assert_eq!(
        silence.to_string(),
        "SILENCE INVALID_PARAMS: the operation cannot be asked for: `amount` is \
         9223372036854775808, which is beyond ±9007199254740991 (2^53-1); give it as a string; \
         decided: never"
    );
}

#[test]
fn doubt_of_an_earlier_submission_is_never_taken_back() {
    let silence = |decided| unanswered(decided, vec![refused()]);
    let check = |own, earlier| silence(own).at_least(earlier).decided();
    assert_eq!(check(Decided::Never, Decided::Never), Decided::Never);
    assert_eq!(check(Decided::Never, Decided::Unknown), Decided::Unknown);
    assert_eq!(check(Decided::Unknown, Decided::Never), Decided::Unknown);
}
