use super::*;

fn key(text: &str) -> StateKey {
    StateKey::from_bytes(text.as_bytes().to_vec())
}

fn map(keys: &[&str]) -> MapView {
    let mut map = MapView::new();
    let writes: Vec<Write> = keys
        .iter()
        .map(|text| Write::Put {
            key: key(text),
            value: text.as_bytes().to_vec(),
        })
        .collect();
    map.commit(&writes);
    map
}

fn scanned(view: &impl View<Error = Infallible>, after: Option<&str>, limit: usize) -> String {
    let after = after.map(key);
    let Ok(rows) = view.scan(b"a", after.as_ref(), limit);
    let keys: Vec<String> = rows.iter().map(|(key, _)| key.to_string()).collect();
    keys.join(" ")
}

#[test]
fn scan_stays_under_its_prefix_and_after_its_start() {
    let map = map(&["a1", "a2", "a3", "b1", "Z"]);
    assert_eq!(scanned(&map, None, 9), "a1 a2 a3");
    assert_eq!(scanned(&map, Some("a1"), 1), "a2");
    assert_eq!(scanned(&map, Some("Z"), 9), "a1 a2 a3");
    assert_eq!(scanned(&map, Some("b"), 9), "");
}

#[test]
fn overlay_reads_as_the_state_will_after_its_writes() {
    let base = map(&["a1", "a2", "a4", "a5", "b1"]);
    let mut overlay = Overlay::new(&base);
    overlay.delete(key("a1"));
    overlay.delete(key("a4"));
    overlay.put(key("a3"), b"a3".to_vec());
    assert_eq!(scanned(&overlay, None, 2), "a2 a3");
    assert_eq!(scanned(&overlay, None, 9), "a2 a3 a5");
    assert_eq!(overlay.get(&key("a1")), Ok(None));
    assert_eq!(overlay.get(&key("a3")), Ok(Some(b"a3".to_vec())));

    let expected = scanned(&overlay, None, 9);
    let writes = overlay.into_writes();
    let mut after = base.clone();
    after.commit(&writes);
    assert_eq!(scanned(&after, None, 9), expected);
    assert_ne!(after.state_hash(), base.state_hash());
}

#[test]
fn scan_before_an_end_finds_what_a_scan_finds_before_it() {
    let base = map(&["a1", "a2", "a4", "a5", "b1"]);
    let mut overlay = Overlay::new(&base);
    overlay.delete(key("a2"));
    overlay.put(key("a3"), b"a3".to_vec());
    overlay.put(key("a6"), b"a6".to_vec());
    for end in ["Z", "a", "a1", "a3", "a4", "a6", "a7", "b", "c"].map(key) {
        for limit in 0..8 {
            let Ok(rows) = overlay.scan(b"a", None, usize::MAX);
            let mut expected: Vec<Row> = rows.into_iter().filter(|(key, _)| *key < end).collect();
            expected.truncate(limit);
            let Ok(found) = overlay.scan_before(b"a", &end, limit);
            assert_eq!(found, expected, "at most {limit} before {end}");
        }
    }
}
