//! The bundle that is built into the program.

use holdpoint_policy::{Policy, directory, starter};

#[test]
fn starter_loads_and_all_its_cases_pass() {
    let bundle = starter::bundle().unwrap();
    let policy = Policy::load(&bundle).unwrap();
    let report = policy.run_tests();
    assert!(report.is_acceptable(), "{report}");
    assert!(report.passed_count() >= 36, "{report}");
}

#[test]
fn built_in_starter_is_the_one_in_the_folder() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/starter");
    assert_eq!(
        directory::read(&folder).unwrap(),
        starter::bundle().unwrap()
    );
}
