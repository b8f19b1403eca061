use holdpoint_core::{GroupId, KeySpace, MapView, View};
use holdpoint_receipt::{ClusterTime, Fence, Name};
use proptest::prelude::*;
use rocksdb::perf::{PerfContext, PerfMetric, PerfStatsLevel, set_perf_stats};

use super::*;
use crate::data_dir::tests::new_dir;
use crate::fault::FaultLatch;
use crate::state::rocks::RocksState;
use crate::state::{Applied, StateStore};

fn keys() -> KeySpace {
    KeySpace::namespace(GroupId::FIRST, &Name::new("default").unwrap())
}

fn due(at: u64) -> StateKey {
    let at = ClusterTime::new(at).unwrap();
    keys().due(Kind::Expiry, at, Fence::new(1).unwrap())
}

fn put(at: u64) -> Write {
    Write::Put {
        key: due(at),
        value: at.to_be_bytes().to_vec(),
    }
}

fn delete(at: u64) -> Write {
    Write::Delete { key: due(at) }
}

fn commit(state: &RocksState, index: u64, writes: &[Write]) {
    let bytes = Vec::new();
    state.commit(writes, &Applied { index, bytes }).unwrap();
}

fn first(view: &impl View) -> Option<StateKey> {
    let Ok(rows) = view.scan(&keys().prefix(Kind::Expiry), None, 1) else {
        panic!("the state is read");
    };
    rows.into_iter().next().map(|(key, _)| key)
}

/// How many deleted rows `read` stepped over.
fn stepped_over(read: impl FnOnce()) -> u64 {
    set_perf_stats(PerfStatsLevel::EnableCount);
    let mut context = PerfContext::default();
    context.reset();
    read();
    let count = context.metric(PerfMetric::InternalDeleteSkippedCount);
    set_perf_stats(PerfStatsLevel::Disable);
    count
}

#[test]
fn a_scan_steps_over_what_the_last_commit_deleted_and_over_no_history() {
    const ROWS: u64 = 200_000;
    const STEP: usize = 100;
    let (_temp, dir) = new_dir();
    let state = dir.open_state(GroupId::FIRST, FaultLatch::new()).unwrap();
    let times: Vec<u64> = (1..=ROWS).collect();
    for (index, step) in (1..).zip(times.chunks(STEP)) {
        let writes: Vec<Write> = step.iter().map(|at| put(*at)).collect();
        commit(&state, index, &writes);
    }
    for (index, step) in (ROWS..).zip(times.chunks(STEP)) {
        let found = stepped_over(|| assert_eq!(first(&state), Some(due(step[0]))));
        assert!(
            found <= STEP as u64,
            "{found} deleted rows before {}",
            step[0]
        );
        let writes: Vec<Write> = step.iter().map(|at| delete(*at)).collect();
        commit(&state, index, &writes);
    }
    assert_eq!(first(&state), None);
    let found = stepped_over(|| assert_eq!(first(&state), None));
    assert_eq!(found, 0, "an empty index has its start at its end");
}

#[test]
fn a_row_before_the_known_start_is_found() {
    let (_temp, dir) = new_dir();
    let state = dir.open_state(GroupId::FIRST, FaultLatch::new()).unwrap();
    assert_eq!(first(&state), None);
    commit(&state, 1, &[put(50)]);
    assert_eq!(first(&state), Some(due(50)));
    commit(&state, 2, &[put(10)]);
    assert_eq!(first(&state), Some(due(10)));
}

#[test]
fn an_older_reader_finds_the_rows_that_have_gone_since() {
    let (_temp, dir) = new_dir();
    let state = dir.open_state(GroupId::FIRST, FaultLatch::new()).unwrap();
    commit(&state, 1, &[put(10), put(50)]);
    state
        .read(|older| {
            commit(&state, 2, &[delete(10)]);
            assert_eq!(first(&state), Some(due(50)));
            assert_eq!(first(older), Some(due(10)));
            // What the older one has found is nothing that a newer one may begin at, and the other
            // way round.
            commit(&state, 3, &[put(5)]);
            assert_eq!(first(older), Some(due(10)));
            assert_eq!(first(&state), Some(due(5)));
        })
        .unwrap();
}

#[test]
fn a_scan_before_an_end_finds_the_same_whether_or_not_a_start_is_known() {
    let (_temp, dir) = new_dir();
    let state = dir.open_state(GroupId::FIRST, FaultLatch::new()).unwrap();
    let prefix = keys().prefix(Kind::Expiry);
    let times = |end: u64| -> Vec<StateKey> {
        let rows = state.read(|reader| reader.scan_before(&prefix, &due(end), 2).unwrap());
        rows.unwrap().into_iter().map(|(key, _)| key).collect()
    };
    commit(&state, 1, &[put(10), put(20), put(30)]);
    // Twice: the second begins where the first has found the start.
    for _ in 0..2 {
        assert_eq!(times(10), []);
        assert_eq!(times(11), [due(10)]);
        assert_eq!(times(99), [due(10), due(20)]);
    }
    commit(&state, 2, &[delete(10), put(25)]);
    assert_eq!(times(20), []);
    assert_eq!(times(26), [due(20), due(25)]);
    commit(&state, 3, &[put(5)]);
    assert_eq!(times(6), [due(5)]);
}

#[test]
fn nothing_is_known_while_a_commit_goes_on() {
    let starts = Starts::default();
    let prefix = keys().prefix(Kind::Expiry);
    let before = starts.version().unwrap();
    starts.remember(before, &prefix, due(50).into_bytes());
    assert_eq!(starts.start_of(before, &prefix), Some(due(50).into_bytes()));
    starts.begin(&[put(10)]);
    assert_eq!(starts.version(), None);
    assert_eq!(starts.start_of(before, &prefix), None);
    starts.remember(before, &prefix, due(60).into_bytes());
    starts.end();
    let after = starts.version().unwrap();
    assert_eq!(starts.start_of(after, &prefix), Some(due(10).into_bytes()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn every_scan_finds_what_a_map_does(
        commits in prop::collection::vec(
            (prop::collection::vec((1_u64..20, any::<bool>()), 0..6), 1_usize..4),
            1..40,
        ),
    ) {
        let (_temp, dir) = new_dir();
        let state = dir.open_state(GroupId::FIRST, FaultLatch::new()).unwrap();
        let mut map = MapView::new();
        let prefix = keys().prefix(Kind::Expiry);
        for (index, (changes, limit)) in (1..).zip(commits) {
            let writes: Vec<Write> = changes
                .into_iter()
                .map(|(at, is_there)| if is_there { put(at) } else { delete(at) })
                .collect();
            map.commit(&writes);
            commit(&state, index, &writes);
            prop_assert_eq!(
                state.scan(&prefix, None, limit).unwrap(),
                map.scan(&prefix, None, limit).unwrap()
            );
        }
    }
}
