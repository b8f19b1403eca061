//! The harness itself, at a second a cell and without any threshold on time: whatever can be started
//! here is started, and every workload of it comes to an end with results.

use std::process::Command;

/// Titles of the tables, as the results have them.
const TABLES: [&str; 5] = ["W1", "W2", "W3", "W4", "W5"];
const SYSTEMS: [&str; 3] = ["Holdpoint", "etcd", "PostgreSQL"];

#[test]
fn every_workload_of_every_system_that_is_installed_has_results() {
    let output = Command::new(env!("CARGO_BIN_EXE_holdpoint-load"))
        .args(["compare", "--quick", "--seconds", "1"])
        .env("HOLDPOINT_BIN", holdpoint_tests::binary::holdpoint())
        .output()
        .expect("the load generator can be started");
    let page = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{told}", output.status);
    for system in SYSTEMS {
        if page.contains(&format!("* {system} was left out: ")) {
            assert_ne!(system, "Holdpoint", "{told}");
            println!("skipped: {system} is not installed");
            continue;
        }
        for table in TABLES {
            let rate = rate(&page, table, system);
            assert!(
                rate.is_some_and(|rate| rate != "0.000"),
                "{system} has no results in {table}: {rate:?}\n{page}\n{told}"
            );
        }
    }
}

/// The third column of the first row of a system in a table.
fn rate<'a>(page: &'a str, table: &str, system: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("## {table}: "))?;
    let rows = rest.lines().take_while(|line| !line.starts_with("## "));
    let mut cells = rows.map(|row| row.split('|').map(str::trim).skip(1));
    let of_system = |cells: &mut std::iter::Skip<_>| cells.nth(1) == Some(system);
    cells.find_map(|mut cells| of_system(&mut cells).then(|| cells.next())?)
}
