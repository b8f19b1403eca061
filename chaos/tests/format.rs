//! The format that `HISTORY.md` documents is the one that is read and written.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::fs;
use std::path::Path;

use chaos::checkers;
use chaos::history::{History, Recorder, read};
use chaos::reference::{Plan, invent};
use chaos::report::{Overall, json, overall, table};

/// The example of the page.
fn example() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("HISTORY.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, after) = page.split_once("```json\n").unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

fn parsed(text: &str) -> History {
    read(text.as_bytes()).unwrap()
}

#[track_caller]
fn refused(text: &str, sentence: &str) {
    let error = read(text.as_bytes()).unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    let said = format!("{error} {}", source.unwrap_or_default());
    assert!(said.contains(sentence), "{said}");
}

fn written(history: &History) -> String {
    let mut bytes = Vec::new();
    history.write(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn example_of_the_page_is_read_and_nothing_in_it_is_broken() {
    let history = parsed(&example());
    assert_eq!((history.events.len(), history.marks.len()), (7, 2));
    let findings = checkers::check_all(&history);
    // It is too short to show everything, and says so.
    assert_eq!(overall(&findings), Overall::Unknown, "{}", table(&findings));
    let text = table(&findings);
    assert!(text.contains("isolated       not asked"), "{text}");
    assert!(text.contains("linearizable   holds"), "{text}");
    assert_eq!(json(&findings)["overall"], "unknown");
}

#[test]
fn every_member_of_the_page_is_one_of_the_format_and_the_other_way_round() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("HISTORY.md");
    let page = fs::read_to_string(page).unwrap();
    let history = invent(&Plan::default());
    let mut members = std::collections::BTreeSet::new();
    for event in &history.events {
        let value = serde_json::to_value(event).unwrap();
        members.extend(value.as_object().unwrap().keys().cloned());
        members.extend(value["answer"].as_object().unwrap().keys().cloned());
    }
    let header = serde_json::to_value(&history.header).unwrap();
    members.extend(header.as_object().unwrap().keys().cloned());
    members.extend(header["demands"].as_object().unwrap().keys().cloned());
    for member in members.iter().filter(|member| *member != "is") {
        assert!(
            page.contains(&format!("`{member}`")),
            "`{member}` is not on the page"
        );
    }
}

#[test]
fn history_that_was_written_is_read_as_it_was() {
    let history = invent(&Plan {
        operations: 400,
        ..Plan::default()
    });
    assert_eq!(parsed(&written(&history)), history);
}

#[test]
fn line_that_does_not_fit_is_named_by_its_number() {
    let example = example();
    refused("", "the history is empty");
    refused(
        &example.replace("history/1", "history/2"),
        "line 1: the format is `holdpoint.history/2`",
    );
    refused(
        &example.replace("\"isolated\"", "\"isolation\""),
        "line 1: `isolation` in `not_asked`",
    );
    refused(
        &example.replace("\"call_us\":10000", "\"call_us\":710000"),
        "line 5",
    );
    refused(
        &example.replace("\"idem\":\"w1/1\",", ""),
        "`authorize` has no `idem`",
    );
    refused(
        &example.replace("\"outcome\":\"committed\",", ""),
        "line 9: `complete` has no `outcome`",
    );
    refused(
        &example.replace("\"state\":\"COMMITTED\"", "\"state\":\"DONE\""),
        "line 10",
    );
    refused(
        &example.replace("\"op\":\"read\"", "\"op\":\"revoke\""),
        "`state` is no answer to `revoke`",
    );
    refused(
        &example.replace("lock/prod", "lease/prod"),
        "does not say what bound `lease`",
    );
    refused(
        &example.replace("\"verifies\":true", "\"verified\":true"),
        "line 4",
    );
    refused(&example.replace("22222222", "2222"), "is no digest");
    refused(
        &example.replace("\"expires_at_ms\":1700000010952", "\"expires_at_ms\":7"),
        "expires at 7",
    );
    refused(
        &example.replace("\"client\":\"w2\"", "\"client\":\"w2\",\"mood\":1"),
        "unknown field `mood`",
    );
    refused(example.trim_end(), "line 10 does not end");
}

#[test]
fn event_that_cannot_be_is_not_written() {
    let history = parsed(&example());
    let mut recorder = Recorder::begin(Vec::new(), &history.header).unwrap();
    let mut event = history.events[0].clone();
    event.return_us = 0;
    assert!(recorder.event(&event).is_err());
    let text = String::from_utf8(recorder.finish().unwrap()).unwrap();
    assert_eq!(text.lines().count(), 1);
}
