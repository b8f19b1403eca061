//! Histories in which every promise is kept raise no alarm, and each planted bug does.

use std::collections::{BTreeMap, BTreeSet};

use chaos::checkers::{self, Finding};
use chaos::history::{Event, History};
use chaos::planted::{self, Bug, Expected};
use chaos::reference::{Dice, Plan, invent};
use chaos::story::Story;
use chaos::verdict::{Breach, EXCERPT_MAX, Verdict};

/// Clean histories that are checked.
const CLEAN: u64 = 2_000;
/// Histories in which each bug is planted.
const PLANTED: u64 = 8;

/// Small histories of very different density: few keys or many, answers that are mostly lost or never.
fn plan(seed: u64) -> Plan {
    let mut dice = Dice::new(seed ^ 0xc1ea);
    Plan {
        seed,
        operations: 120,
        keys: dice.between(1, 24),
        clients: dice.between(1, 10),
        lost_permille: dice.below(5) * 90,
    }
}

fn alarm(findings: &[Finding]) -> Option<&Finding> {
    let is_alarm = |finding: &&Finding| matches!(finding.verdict, Some(Verdict::Broken(_)));
    findings.iter().find(is_alarm)
}

#[test]
fn clean_history_raises_no_alarm_however_many_answers_are_lost() {
    for seed in 0..CLEAN {
        let history = invent(&plan(seed));
        let findings = checkers::check_all(&history);
        if let Some(finding) = alarm(&findings) {
            panic!(
                "seed {seed}: {}: {:?}",
                finding.checker.name, finding.verdict
            );
        }
        let search = findings
            .iter()
            .find(|one| one.checker.name == "linearizable");
        let search = search.and_then(|finding| finding.verdict.as_ref());
        let gave_up = search.is_some_and(|verdict| verdict.to_string().contains("steps"));
        assert!(!gave_up, "seed {seed}: {search:?}");
    }
}

#[test]
fn clean_history_of_some_length_is_found_to_keep_every_promise() {
    for seed in 0..12 {
        let findings = checkers::check_all(&invent(&Plan {
            seed,
            ..Plan::default()
        }));
        for finding in findings {
            let verdict = finding.verdict.expect("every checker is asked");
            assert!(
                verdict.holds(),
                "seed {seed}: {}: {verdict}",
                finding.checker.name
            );
        }
    }
}

#[test]
fn history_in_which_nothing_happened_shows_nothing() {
    let mut history = invent(&plan(1));
    history.events.clear();
    history.marks.clear();
    for finding in checkers::check_all(&history) {
        let verdict = finding.verdict.expect("every checker is asked");
        let name = finding.checker.name;
        assert!(matches!(verdict, Verdict::Unknown(_)), "{name}: {verdict}");
    }
}

#[test]
fn same_seed_gives_the_same_history() {
    assert_eq!(invent(&plan(7)), invent(&plan(7)));
    assert_ne!(invent(&plan(7)).events, invent(&plan(8)).events);
}

#[test]
fn there_are_two_dozen_kinds_of_bugs_and_each_checker_has_one() {
    assert!(planted::ALL.len() >= 24);
    for checker in checkers::ALL {
        let found = planted::ALL.iter().any(|bug| bug.found_by == checker.name);
        assert!(found, "{} has found nothing yet", checker.name);
    }
}

#[test]
fn each_planted_bug_is_found_by_its_checker_which_shows_it() {
    let mut missed = Vec::new();
    let mut places = vec![0; planted::ALL.len()];
    for seed in 0..PLANTED {
        let clean = invent(&Plan {
            seed,
            operations: 1_200,
            lost_permille: 20,
            ..Plan::default()
        });
        for (bug, places) in planted::ALL.iter().zip(&mut places) {
            match found(bug, &clean, seed) {
                None => {}
                Some(Ok(())) => *places += 1,
                Some(Err(why)) => missed.push(format!("{} in seed {seed}: {why}", bug.name)),
            }
        }
    }
    for (bug, places) in planted::ALL.iter().zip(places) {
        if places < 2 {
            missed.push(format!("{} found a place {places} times", bug.name));
        }
    }
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
}

/// Plants the bug in a clean history, and says whether it is found; none if it has no place there.
fn found(bug: &Bug, clean: &History, seed: u64) -> Option<Result<(), String>> {
    let mut history = clean.clone();
    if !(bug.plant)(&mut history, &mut Dice::new(seed)) {
        return None;
    }
    for event in &history.events {
        if let Err(misfit) = event.check() {
            return Some(Err(misfit.to_string()));
        }
    }
    let mut all = checkers::ALL.iter();
    let checker = all.find(|checker| checker.name == bug.found_by)?;
    let verdict = (checker.over)(&Story::of(&history));
    Some(match (bug.expected, &verdict) {
        (Expected::Unknown, Verdict::Unknown(_)) => Ok(()),
        (Expected::Broken, Verdict::Broken(breach)) => shows(breach, clean, &history),
        (_, verdict) => Err(verdict.to_string()),
    })
}

/// The excerpt is short, and has an operation that the plant changed, if it changed any.
fn shows(breach: &Breach, clean: &History, planted: &History) -> Result<(), String> {
    let before = by_call(&clean.events);
    let is_new = |event: &&Event| {
        let same = before.get(&(event.call_us, event.client.as_str()));
        !same.is_some_and(|events| events.contains(event))
    };
    let changed = planted.events.iter().filter(is_new);
    let changed: BTreeSet<String> = changed
        .filter_map(|event| serde_json::to_string(event).ok())
        .collect();
    let is_shown = changed.is_empty() || breach.excerpt.iter().any(|line| changed.contains(line));
    let is_short = (1..=EXCERPT_MAX).contains(&breach.excerpt.len());
    if is_shown && is_short && breach.reproduce.is_some() {
        Ok(())
    } else {
        Err(format!("what was planted is not shown: {breach}"))
    }
}

fn by_call(events: &[Event]) -> BTreeMap<(u64, &str), Vec<&Event>> {
    let mut sorted: BTreeMap<(u64, &str), Vec<&Event>> = BTreeMap::new();
    for event in events {
        let name = (event.call_us, event.client.as_str());
        sorted.entry(name).or_default().push(event);
    }
    sorted
}
