use holdpoint_receipt::Name;

use super::{AUDIT_FRESH_ENTRIES_MAX, Fresh, Next, Run};

/// Something that waits: runs from and to these leaves, each in a term.
fn waiting(runs: &[(u64, u64, u64)]) -> Fresh {
    let fresh = Fresh::default();
    fresh.set_wanted(true);
    for (from, to, term) in runs {
        let run = Run {
            from: *from,
            to: *to,
            term: *term,
            decisions: (*from..*to).map(|leaf| (leaf, 0)).collect(),
            commands: None,
            bytes: 10,
        };
        fresh.waiting().push(&name(), run);
    }
    fresh
}

fn name() -> Name {
    Name::new("default").unwrap()
}

fn counted(fresh: &Fresh) -> (usize, usize) {
    let waiting = fresh.waiting();
    (waiting.count, waiting.bytes)
}

/// The way from `from` to `to`: `+` what waits with its leaves, `.` what is read from the state.
fn way(fresh: &Fresh, mut from: u64, to: u64, own_term: Option<u64>) -> String {
    let mut way = Vec::new();
    while from < to {
        let next = match fresh.next(&name(), from, to, own_term) {
            Next::Fresh { runs, to } => {
                let leaves = runs.iter().flat_map(|run| &run.decisions);
                let leaves: Vec<u64> = leaves.map(|(leaf, _)| *leaf).collect();
                way.push(format!("+{leaves:?}"));
                to
            }
            Next::Stored { to } => {
                way.push(format!(".{from}..{to}"));
                to
            }
        };
        assert!(next > from, "each step gets on");
        from = next;
    }
    let (count, bytes) = counted(fresh);
    assert_eq!(bytes, count * 10, "what is left is counted");
    way.join(" ")
}

#[test]
fn what_follows_without_a_gap_is_taken_and_each_gap_is_read_from_the_state() {
    let fresh = waiting(&[(4, 6, 1), (6, 7, 1), (9, 10, 1)]);
    assert_eq!(
        way(&fresh, 0, 12, None),
        ".0..4 +[4, 5, 6] .7..9 +[9] .10..12"
    );
    let fresh = waiting(&[]);
    assert_eq!(way(&fresh, 3, 5, None), ".3..5");
}

#[test]
fn what_was_looked_at_before_is_not_looked_at_again() {
    let fresh = waiting(&[(0, 2, 1), (2, 6, 1), (6, 8, 1)]);
    assert_eq!(way(&fresh, 4, 8, None), "+[4, 5, 6, 7]");
}

#[test]
fn nothing_is_taken_that_is_not_told_to_be_applied() {
    let fresh = waiting(&[(0, 2, 1), (2, 6, 1)]);
    assert_eq!(way(&fresh, 0, 2, None), "+[0, 1]");
    assert_eq!(way(&fresh, 2, 6, None), "+[2, 3, 4, 5]");
}

#[test]
fn what_a_node_decided_itself_is_passed_over() {
    let fresh = waiting(&[(0, 2, 1), (2, 4, 2), (4, 5, 3)]);
    assert_eq!(way(&fresh, 0, 5, Some(2)), "+[0, 1, 4]");
    let fresh = waiting(&[(0, 2, 2), (2, 4, 2)]);
    assert_eq!(way(&fresh, 0, 4, Some(2)), "+[]");
}

#[test]
fn batch_ends_behind_the_run_that_fills_it() {
    let fresh = waiting(&[(0, 60, 1), (60, 70, 1), (70, 71, 1)]);
    let Next::Fresh { runs, to } = fresh.next(&name(), 0, 71, None) else {
        panic!("it waits");
    };
    assert_eq!((runs.len(), to), (2, 70));
}

#[test]
fn nothing_waits_once_the_node_does_not_audit_any_more() {
    let runs: Vec<_> = (0..AUDIT_FRESH_ENTRIES_MAX as u64)
        .map(|leaf| (leaf, leaf + 1, 1))
        .collect();
    let fresh = waiting(&runs);
    fresh.set_wanted(false);
    assert_eq!(counted(&fresh), (0, 0));
    fresh.set_wanted(true);
    assert_eq!(way(&fresh, 0, 5, None), ".0..5");
}
