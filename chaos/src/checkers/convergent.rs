//! G3: the same attempt, request and policy version give the byte-identical statement, whichever
//! node answers and after any crash.
//!
//! Source: `SPEC` section 1 (3), section 4 "authorize" (steps 1 to 5) and section 5. It never asks
//! whether a decision is right, only whether it is one.

mod over;

use std::collections::BTreeMap;

use crate::history::Answer;
use crate::verdict::Verdict;

pub use over::over;

/// Checks that all answers to one attempt carry one statement.
///
/// Unknown unless at least `repeated_min` answers repeat an earlier one: a history without retries
/// says nothing of them.
#[must_use]
pub fn check(answers: &[Answer], repeated_min: usize) -> Verdict {
    let mut first: BTreeMap<&str, &[u8]> = BTreeMap::new();
    let mut repeated: usize = 0;
    for answer in answers {
        match first.get(answer.attempt.as_str()) {
            None => {
                first.insert(&answer.attempt, &answer.statement);
            }
            Some(statement) if *statement == answer.statement.as_slice() => {
                repeated = repeated.saturating_add(1);
            }
            Some(statement) => {
                return Verdict::broken(format!(
                    "attempt `{}` was answered with two statements:\n  {}\n  {}",
                    answer.attempt,
                    String::from_utf8_lossy(statement),
                    String::from_utf8_lossy(&answer.statement),
                ));
            }
        }
    }
    if repeated < repeated_min {
        return Verdict::Unknown(format!(
            "{repeated} answers were repeated, {repeated_min} are needed"
        ));
    }
    Verdict::Holds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(attempt: &str, statement: &str) -> Answer {
        Answer {
            attempt: attempt.to_owned(),
            statement: statement.as_bytes().to_vec(),
        }
    }

    #[test]
    fn retry_with_another_statement_is_broken() {
        let verdict = check(
            &[answer("a", "{1}"), answer("b", "{2}"), answer("a", "{3}")],
            1,
        );
        assert!(matches!(verdict, Verdict::Broken(breach) if breach.why.contains("`a`")));
    }

    #[test]
    fn retry_with_the_same_statement_holds() {
        assert_eq!(
            check(&[answer("a", "{1}"), answer("a", "{1}")], 1),
            Verdict::Holds
        );
    }

    #[test]
    fn history_without_retries_is_unknown() {
        let verdict = check(&[answer("a", "{1}"), answer("b", "{2}")], 1);
        assert!(matches!(verdict, Verdict::Unknown(_)));
    }
}
