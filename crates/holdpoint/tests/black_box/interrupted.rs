//! A gate that says nothing: what is left open is said, by a signal as well as by a time-out.

use std::fs;
use std::net::TcpListener;
use std::process::{Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Place;

/// A node that takes connections and answers nothing, and a place that has its keys.
fn mute() -> (Place, TcpListener, String) {
    let place = Place::new();
    place.write("keys.json", &super::offline::golden_keys().to_file());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (place, listener, address)
}

/// Starts the command, interrupts it when it has begun to ask, and waits for its end.
fn interrupted(place: &Place, listener: &TcpListener, words: &[&str]) -> Output {
    let mut command = place.command(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let _connection = listener.accept().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn authorize_that_is_interrupted_says_how_to_find_the_permit() {
    let (place, listener, address) = mute();
    let ask = [
        "authorize",
        "--surface",
        "s",
        "--keys",
        "keys.json",
        "--deadline",
        "60s",
    ];
    let words = [&ask[..], &["--endpoint", &address]].concat();
    let output = interrupted(&place, &listener, &words);
    assert_eq!(output.status.code(), Some(143));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("a permit may have been granted"), "{said}");
    assert!(
        said.contains(" --key ") && said.contains(" --not-after "),
        "{said}"
    );

    let words = [
        &words[..],
        &["--output", "json", "--key", "k1", "--not-after", "5"],
    ]
    .concat();
    let output = interrupted(&place, &listener, &words);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["decision"], "SILENCE");
    assert_eq!(object["decided"], "unknown");
    assert_eq!(
        (&object["key"], &object["not_after_ms"]),
        (&"k1".into(), &"5".into())
    );
}

#[test]
fn run_that_is_interrupted_while_it_asks_has_silence_as_its_result() {
    let (place, listener, address) = mute();
    let ask = [
        "run",
        "--surface",
        "s",
        "--keys",
        "keys.json",
        "--deadline",
        "60s",
    ];
    let rest = [
        "--endpoint",
        &address,
        "--result",
        "r.json",
        "--",
        "touch",
        "ran",
    ];
    let output = interrupted(&place, &listener, &[&ask[..], &rest].concat());
    assert_eq!(output.status.code(), Some(143));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains(" --key ") && said.contains(" --not-after "),
        "{said}"
    );
    let result = fs::read_to_string(place.path().join("r.json")).unwrap();
    let result: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(result["decision"], "SILENCE");
    assert_eq!(result["decided"], "unknown");
    assert!(!place.path().join("ran").exists());
}

#[test]
fn nodes_that_do_not_answer_in_time_are_not_called_nodes_that_answered() {
    let (place, _listener, address) = mute();
    let at = [
        "--endpoint",
        &address,
        "--deadline",
        "200ms",
        "--keys",
        "keys.json",
    ];
    let status = place
        .run(&[&["status"][..], &at].concat())
        .exits(11)
        .stdout();
    assert!(status.contains("no node answered in time"), "{status}");
    let read = ["get", "permit", "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa"];
    let said = place.run(&[&read[..], &at].concat()).exits(121).stderr();
    assert!(!said.contains("decided"), "{said}");
}
