//! Says for whom a node without data waits: soon, and then rarely. Decides nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tokio::time::Instant;

use super::Heard;
use crate::limits::{WAITING_TOLD_AFTER, WAITING_TOLD_PERIOD};
use crate::net::NetError;

/// When to say it next.
#[derive(Debug)]
pub(super) struct Waiting {
    due: Instant,
}

impl Waiting {
    /// Begins to wait at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now + WAITING_TOLD_AFTER,
        }
    }

    /// Says who has not answered, if it is time to.
    pub(super) fn tell(
        &mut self,
        now: Instant,
        heard: &BTreeMap<u64, Heard>,
        others: &BTreeMap<u64, String>,
    ) {
        if now < self.due {
            return;
        }
        if let Some(sentence) = sentence(heard, others) {
            tracing::warn!("{sentence}");
            self.due = now + WAITING_TOLD_PERIOD;
        }
    }
}

/// What this node waits for: to be added, or for who has not answered, and why. None if everybody has
/// and the group is to be founded.
fn sentence(heard: &BTreeMap<u64, Heard>, others: &BTreeMap<u64, String>) -> Option<String> {
    let has_group = |heard: &Heard| matches!(heard, Heard::Settled { knows_me: false });
    if let Some((node, _)) = heard.iter().find(|(_, heard)| has_group(heard)) {
        return Some(format!(
            "node {node} belongs to a group that does not name this node: waiting until it is added \
             there"
        ));
    }
    let mut silent = String::new();
    for (node, heard) in heard {
        let (Heard::Nothing(why), Some(address)) = (heard, others.get(node)) else {
            continue;
        };
        let comma = if silent.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(silent, "{comma}node {node} ({address}: {why})");
    }
    (!silent.is_empty()).then(|| {
        format!("waiting for {silent}; a new cluster begins when all listed nodes have answered")
    })
}

/// Why a peer gave no answer, without its address.
pub(super) fn why(error: NetError) -> String {
    match error {
        NetError::Unreachable { reason, .. } | NetError::Broken { reason, .. } => reason,
        NetError::TimedOut { wait, .. } => format!("no answer within {} ms", wait.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::Member;

    fn check(heard: Vec<(u64, Heard)>, expected: Option<&str>) {
        let others = (2..=4).map(|node| (node, format!("h{node}:1"))).collect();
        let said = sentence(&heard.into_iter().collect(), &others);
        assert_eq!(said.as_deref(), expected);
    }

    #[test]
    fn who_has_not_answered_is_named_with_the_reason_and_who_has_is_not() {
        let silent = |why: &str| Heard::Nothing(why.to_owned());
        check(
            vec![
                (2, Heard::Fresh(Member::default())),
                (3, silent("connection refused")),
                (4, silent("no answer within 600 ms")),
            ],
            Some(
                "waiting for node 3 (h3:1: connection refused), node 4 (h4:1: no answer within 600 \
                 ms); a new cluster begins when all listed nodes have answered",
            ),
        );
        let knows_me = false;
        check(
            vec![(2, Heard::Settled { knows_me }), (3, silent("refused"))],
            Some(
                "node 2 belongs to a group that does not name this node: waiting until it is added \
                 there",
            ),
        );
        check(vec![(2, Heard::Fresh(Member::default()))], None);
    }

    #[test]
    fn it_is_said_after_a_moment_and_then_rarely() {
        let others = BTreeMap::from([(2, "h2:1".to_owned())]);
        let heard = BTreeMap::from([(2, Heard::Nothing("refused".to_owned()))]);
        let began = Instant::now();
        let mut waiting = Waiting::new(began);
        let first = waiting.due;
        waiting.tell(began, &heard, &others);
        assert_eq!(waiting.due, first, "too early to be said");
        waiting.tell(first, &heard, &others);
        assert_eq!(waiting.due, first + WAITING_TOLD_PERIOD);
    }
}
