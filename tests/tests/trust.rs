//! A client whose keys are those that offline roots signed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use holdpoint_tests::command::{Run, bare, finished};
use holdpoint_tests::dev::Dev;

const ASK: [&str; 5] = [
    "authorize",
    "--surface",
    "demo.echo",
    "--param",
    "message=a",
];

fn trust(dev: &Dev, words: &[&str]) {
    let _ = dev.cli(&[&["trust"], words].concat()).exits(0);
}

/// Asks from a folder of its own, with the user's configuration and no other.
fn elsewhere(dev: &Dev, words: &[&str]) -> Run {
    let scratch = dev.scratch();
    let mut command = bare(&scratch.join("elsewhere"));
    command
        .args(words)
        .env("XDG_CONFIG_HOME", scratch.join("config"))
        .env("XDG_STATE_HOME", scratch.join("state"));
    finished(words, &command.output().unwrap())
}

fn configured(dev: &Dev, bundle: &str) {
    let folder = dev.scratch().path().display();
    let text = format!(
        "endpoints = [\"{}\"]\ntrust = \"{folder}/{bundle}\"\nroots = \"{folder}/roots\"\n",
        dev.address()
    );
    dev.scratch().write("config/holdpoint/client.toml", text);
}

#[test]
fn client_believes_a_gate_whose_keys_roots_signed_and_no_bundle_that_is_older_than_one_it_believed()
{
    let dev = Dev::started();
    std::fs::create_dir(dev.scratch().join("elsewhere")).unwrap();
    let trust = |words: &[&str]| trust(&dev, words);
    trust(&[
        "new-root", "--key", "a.key", "--name", "a", "--roots", "roots",
    ]);
    trust(&[
        "init",
        "--roots",
        "roots",
        "--expires",
        "1d",
        "--out",
        "1.json",
    ]);
    trust(&[
        "init",
        "--previous",
        "1.json",
        "--expires",
        "1d",
        "--out",
        "2.json",
    ]);
    configured(&dev, "1.json");
    let unsigned = elsewhere(&dev, &ASK).exits(1);
    assert!(
        unsigned.stderr.contains("TRUST_NOT_ENOUGH_SIGNATURES"),
        "{}",
        unsigned.stderr
    );
    trust(&["sign", "1.json", "--key", "a.key"]);
    trust(&["sign", "2.json", "--key", "a.key"]);
    let first = elsewhere(&dev, &ASK).exits(0);
    let state = dev.scratch().join("state/holdpoint/trust.json");
    assert!(
        first.stderr.contains(&state.display().to_string()),
        "{}",
        first.stderr
    );
    configured(&dev, "2.json");
    let _ = elsewhere(&dev, &ASK).exits(0);
    configured(&dev, "1.json");
    let back = elsewhere(&dev, &ASK).exits(1);
    assert!(back.stderr.contains("TRUST_ROLLED_BACK"), "{}", back.stderr);
}

#[test]
fn keys_of_another_cluster_are_refused_by_what_the_gate_says_whoever_signed_them() {
    let dev = Dev::started();
    std::fs::create_dir(dev.scratch().join("elsewhere")).unwrap();
    let other = Dev::started();
    let foreign = other.scratch().join(".holdpoint/keys.json");
    let foreign = foreign.display().to_string();
    let roots = [
        "new-root", "--key", "a.key", "--name", "a", "--roots", "roots",
    ];
    trust(&dev, &roots);
    let init = [
        "init",
        "--roots",
        "roots",
        "--expires",
        "1d",
        "--out",
        "1.json",
    ];
    trust(&dev, &[&init[..], &["--key-set", &foreign]].concat());
    trust(&dev, &["sign", "1.json", "--key", "a.key"]);
    configured(&dev, "1.json");
    let refused = elsewhere(&dev, &ASK);
    assert_ne!(refused.code, 0, "{}", refused.stderr);
}
