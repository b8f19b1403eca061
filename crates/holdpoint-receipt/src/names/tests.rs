use proptest::prelude::*;

use super::*;

#[test]
fn name_outside_its_alphabet_or_length_is_refused() {
    for good in ["a", "infra.apply", "a-b_c.9", &"x".repeat(64)] {
        assert_eq!(Name::new(good).unwrap().as_str(), good);
    }
    assert_eq!(Name::new("").unwrap_err().to_string(), "the name is empty");
    assert_eq!(
        Name::new("x".repeat(65)).unwrap_err().to_string(),
        "the name has 65 bytes, at most 64 are accepted"
    );
    assert_eq!(
        Name::new("infra/apply").unwrap_err().to_string(),
        "the name has '/' at byte 5; accepted are `a` to `z`, `0` to `9`, `.`, `_` and `-`"
    );
    assert!(Name::new("Infra").is_err());
    assert!(Name::new("é").is_err());
}

#[test]
fn texts_with_control_or_foreign_characters_are_refused() {
    for bad in ["a\n", "\0", "\u{7f}", "é", "\u{202e}"] {
        assert!(Caller::new(bad).is_err(), "{bad:?}");
        assert!(IdempotencyKey::new(bad).is_err(), "{bad:?}");
        assert!(BoundKey::new(bad).is_err(), "{bad:?}");
    }
    assert!(Caller::new("CN=ci runner 7, O=Example").is_ok());
    assert!(IdempotencyKey::new("k".repeat(128)).is_ok());
    assert!(IdempotencyKey::new("k".repeat(129)).is_err());
    assert!(BoundKey::new("k".repeat(512)).is_ok());
    assert!(BoundKey::new("k".repeat(513)).is_err());
}

#[test]
fn permit_id_is_shown_in_base32_of_rfc_4648() {
    let id = PermitId::from_bytes(*b"foobarfoobarfoob");
    // `printf foobarfoobarfoob | base32`, in lower case and without `=`.
    assert_eq!(id.to_string(), "pmt_mzxw6ytbojtg633cmfzgm33pmi");
}

#[test]
fn permit_id_with_spare_bits_set_is_refused() {
    let text = PermitId::from_bytes([0; 16]).to_string();
    assert_eq!(text, format!("pmt_{}", "a".repeat(26)));
    assert!(
        format!("pmt_{}b", "a".repeat(25))
            .parse::<PermitId>()
            .is_err()
    );
    assert!(
        format!("pmt_{}", "a".repeat(27))
            .parse::<PermitId>()
            .is_err()
    );
    assert!(
        format!("pmt_{}", "A".repeat(26))
            .parse::<PermitId>()
            .is_err()
    );
    assert!(
        format!("pmt_{}", "1".repeat(26))
            .parse::<PermitId>()
            .is_err()
    );
    assert!("pmt_".parse::<PermitId>().is_err());
}

#[test]
fn fence_rises_within_its_epoch_and_never_into_the_next() {
    let before = Fence::before_first_of(1).unwrap();
    let first = before.next().unwrap();
    assert_eq!(
        (first.epoch(), first.counter(), first.get()),
        (1, 1, (1 << 40) + 1)
    );
    let last = Fence::new((2 << 40) - 1).unwrap();
    assert_eq!(last.next(), None);
    assert!(Fence::new(1 << 53).is_err());
    assert_eq!(Fence::MAX.next(), None);
    assert_eq!(
        Fence::before_first_of(Fence::EPOCH_MAX).unwrap().epoch(),
        8_191
    );
    assert_eq!(Fence::before_first_of(Fence::EPOCH_MAX + 1), None);
}

#[test]
fn node_id_is_at_least_one() {
    assert_eq!(
        NodeId::new(0).unwrap_err().to_string(),
        "the node id must be a whole number from 1 to 9007199254740991 (2^53-1)"
    );
    assert_eq!("7".parse::<NodeId>().unwrap().get(), 7);
    assert!("x".parse::<NodeId>().is_err());
    assert!("9007199254740992".parse::<NodeId>().is_err());
}

#[test]
fn cluster_time_is_shown_in_utc() {
    let check = |time_ms, text| assert_eq!(ClusterTime::new(time_ms).unwrap().to_string(), text);
    check(0, "1970-01-01T00:00:00.000Z");
    check(1_795_356_725_231, "2026-11-22T14:12:05.231Z");
    check(951_782_400_000, "2000-02-29T00:00:00.000Z");
    check(4_107_542_399_999, "2100-02-28T23:59:59.999Z");
    check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
}

proptest! {
    #[test]
    fn ids_read_back_from_their_text(bytes in any::<[u8; 16]>()) {
        let permit = PermitId::from_bytes(bytes);
        prop_assert_eq!(permit.to_string().parse(), Ok(permit));
        let cluster = ClusterId::from_bytes(bytes);
        prop_assert_eq!(cluster.to_string().parse(), Ok(cluster));
    }

    #[test]
    fn a_text_that_is_a_permit_id_is_the_only_text_of_it(text in "pmt_[a-z2-7]{25}[aeimquy4]") {
        prop_assert_eq!(text.parse::<PermitId>().unwrap().to_string(), text);
    }
}

#[test]
fn duration_is_shown_exactly_in_the_units_that_it_has() {
    for (ms, shown) in [
        (0, "0s"),
        (250, "250ms"),
        (601_000, "10m1s"),
        (5_400_000, "1h30m"),
        (87_066_000, "1d11m6s"),
        (7_776_000_000, "90d"),
    ] {
        assert_eq!(show_duration(ms), shown);
    }
}
