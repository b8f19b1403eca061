//! Every shell block of the guide and of the runbooks is run as a reader would run it: each page from
//! its beginning, in one shell, in a fresh folder beside a `holdpoint dev`.
//!
//! Blocks that the page shows as ```` ```text ```` are not run.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use holdpoint_tests::dev::Dev;
use holdpoint_tests::pages::{Block, blocks};
use holdpoint_tests::repository;
use holdpoint_tests::shell;

/// What the shell ends with when a block ended with another code than its note says.
const OTHER_CODE: i32 = 99;

fn pages(folder: &str) -> Vec<PathBuf> {
    let read = fs::read_dir(repository::root().join("docs").join(folder)).unwrap();
    let mut pages: Vec<PathBuf> = read.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "md"));
    pages.sort();
    pages
}

/// One shell for the whole page, so that a later block has the variables of an earlier one. Each block
/// leaves what it prints in a file of its own.
fn script(blocks: &[Block]) -> String {
    let mut script = String::new();
    for (place, block) in blocks.iter().enumerate() {
        let lines = block.lines.join("\n");
        let exits = block.exits();
        writeln!(script, "echo {} >at", block.line).unwrap();
        if exits == 0 {
            writeln!(script, "{{ {lines}\n}} >said-{place} 2>&1").unwrap();
        } else {
            writeln!(
                script,
                "set +e\n{{ {lines}\n}} >said-{place} 2>&1\n[ $? = {exits} ] || exit {OTHER_CODE}\nset -e"
            )
            .unwrap();
        }
    }
    script
}

fn follow(page: &Path) {
    let text = fs::read_to_string(page).unwrap();
    let blocks = blocks(&text);
    let name = page.strip_prefix(repository::root()).unwrap().display();
    if blocks.is_empty() {
        return;
    }
    let dev = Dev::started();
    let folder = dev.scratch();
    let run = shell::run(folder.path(), &script(&blocks), &[]);
    let said = |place: usize| fs::read_to_string(folder.join(&format!("said-{place}")));
    if run.code != 0 {
        let at = fs::read_to_string(folder.join("at")).unwrap_or_default();
        let at = at.trim();
        let place = blocks.iter().position(|block| block.line.to_string() == at);
        let said = place.map(|place| said(place).unwrap_or_default());
        panic!(
            "{name}:{at}: the block ended otherwise than the page says ({}): {}",
            run.code,
            said.unwrap_or_default()
        );
    }
    for (place, block) in blocks.iter().enumerate() {
        let said = said(place).unwrap();
        for wanted in block.says() {
            assert!(
                said.contains(wanted),
                "{name}:{}: `{wanted}` is not said: {said}",
                block.line
            );
        }
    }
}

#[test]
fn pages_of_the_guide_do_what_they_say() {
    let pages = pages("guide");
    assert!(pages.len() >= 9, "{pages:?}");
    for page in pages {
        follow(&page);
    }
}

#[test]
fn runbooks_do_what_they_say() {
    let pages = pages("runbooks");
    assert!(pages.len() >= 4, "{pages:?}");
    for page in pages {
        follow(&page);
    }
}
