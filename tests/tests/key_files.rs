//! Key files that are encrypted: by whom they are opened, and that nothing of them leaks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use holdpoint_receipt::{Sealing, SecretKey};
use holdpoint_tests::command::{Run, bare, finished};
use holdpoint_tests::deadline::until_blocking;
use holdpoint_tests::dev::Dev;
use holdpoint_tests::scratch::Scratch;
use holdpoint_tests::shell::Group;

const PASSPHRASE: &str = "correct horse battery staple";
const OTHER: &str = "four five six seven";

/// A directory with two passphrase files.
fn prepared() -> Scratch {
    let scratch = Scratch::new();
    for (name, words) in [("passphrase", PASSPHRASE), ("other", OTHER)] {
        let path = scratch.write(name, format!("{words}\n"));
        set_mode(&path, 0o600);
    }
    scratch
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Starts a node that is to be refused, in the directory of one that was killed.
fn refused_start(dev: &Dev, passphrase: Option<&str>) -> Run {
    let words = ["dev", "--listen", dev.address()];
    let mut command = bare(dev.scratch().path());
    command.args(words);
    if let Some(file) = passphrase {
        command.env("HOLDPOINT_KEY_PASSPHRASE_FILE", file);
    }
    finished(&words, &command.output().unwrap())
}

fn decides(dev: &Dev) {
    let words = [
        "authorize",
        "--surface",
        "demo.echo",
        "--param",
        "message=a",
    ];
    let _ = dev.cli(&words).exits(0);
}

#[test]
fn node_with_a_passphrase_decides_rotates_and_logs_nothing_of_its_secrets() {
    let environment = [
        ("HOLDPOINT_KEY_PASSPHRASE_FILE", "passphrase"),
        ("HOLDPOINT_LOG", "trace"),
    ];
    let mut dev = Dev::started_in(prepared(), &environment);
    decides(&dev);
    let folder = dev.scratch().join(".holdpoint/keys");
    let mut secrets = vec![PASSPHRASE.to_owned()];
    secrets.extend(bodies(&folder));
    let _ = dev.cli(&["keys", "rotate", "--node", "1"]).exits(0);
    decides(&dev);
    secrets.extend(bodies(&folder));
    assert!(secrets.len() >= 5, "the first pair and the second");
    dev.kill();
    let mut said = dev.said();
    dev.start();
    said.push_str(&dev.said());
    assert!(said.contains("TRACE"), "the log has everything");
    for secret in &secrets {
        assert!(!said.contains(secret.as_str()), "a secret was logged");
    }
    decides(&dev);
}

/// The secret of each key file as it would stand in PEM, without what is the same for all keys.
fn bodies(folder: &Path) -> Vec<String> {
    let sealing = Sealing::from_passphrase(PASSPHRASE.as_bytes()).unwrap();
    let mut bodies = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        // Keys that were replaced are wiped while this looks.
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        let Ok(key) = SecretKey::from_sealed_pem(&text, &sealing) else {
            continue;
        };
        let body = key.to_pem().as_str().lines().nth(1).unwrap().to_owned();
        bodies.push(body.get(24..).unwrap().to_owned());
    }
    bodies
}

#[test]
fn encrypted_keys_open_with_their_passphrase_only_and_openssl_reads_them_too() {
    let mut dev = Dev::started_in(prepared(), &[]);
    dev.kill();
    let reencrypt = |words: &[&str]| {
        let all = [&["keys", "reencrypt", "--data-dir", ".holdpoint"], words].concat();
        dev.cli(&all)
    };
    let changed = reencrypt(&["--new-passphrase-file", "passphrase"]).exits(0);
    assert_eq!(changed.stdout.matches("ENCRYPTED").count(), 2);
    let without = refused_start(&dev, None).exits(1);
    assert!(
        without.stderr.contains("is encrypted; name the file"),
        "{}",
        without.stderr
    );
    let wrong = refused_start(&dev, Some("other")).exits(1);
    assert!(
        wrong
            .stderr
            .contains("not under key_passphrase_file `other`"),
        "{}",
        wrong.stderr
    );
    let unopened = reencrypt(&["--new-passphrase-file", "other"]).exits(1);
    assert!(
        unopened.stderr.contains("--old-passphrase-file"),
        "{}",
        unopened.stderr
    );
    let openssl = Command::new("openssl")
        .args(["pkey", "-noout", "-passin", "file:passphrase"])
        .args(["-in", ".holdpoint/keys/node.key"])
        .current_dir(dev.scratch().path())
        .output();
    if let Ok(openssl) = openssl {
        let said = String::from_utf8_lossy(&openssl.stderr);
        assert!(openssl.status.success(), "{said}");
    }
    let moved = [
        "--old-passphrase-file",
        "passphrase",
        "--new-passphrase-file",
        "other",
    ];
    let _ = reencrypt(&moved).exits(0);
    let again = reencrypt(&moved).exits(0);
    assert!(again.stdout.contains("so already"), "{}", again.stdout);
    let plain = ["--old-passphrase-file", "other", "--plain"];
    let _ = reencrypt(&plain).exits(0);
    dev.start();
    decides(&dev);
}

#[test]
fn files_of_secrets_that_others_can_read_are_refused_before_anything_starts() {
    let mut dev = Dev::started_in(prepared(), &[]);
    dev.kill();
    let passphrase = dev.scratch().join("passphrase");
    set_mode(&passphrase, 0o644);
    let refused = refused_start(&dev, Some("passphrase")).exits(1);
    assert!(
        refused
            .stderr
            .contains("`passphrase` can be read by others (mode 644)"),
        "{}",
        refused.stderr
    );
    let key = dev.scratch().join(".holdpoint/keys/log.key");
    set_mode(&key, 0o604);
    let refused = refused_start(&dev, None).exits(1);
    assert!(refused.stderr.contains("chmod 600"), "{}", refused.stderr);
}

#[test]
fn cluster_file_names_the_passphrase_of_a_node_and_the_environment_another() {
    let scratch = prepared();
    let ports = holdpoint_tests::ports::free(2);
    let cluster = format!(
        "cluster_id = \"{}\"\n[[node]]\nid = 1\nclient = \"{}\"\npeer = \"{}\"\n\
         data_dir = \"node-1\"\nkey_passphrase_file = \"gone\"\n",
        "5f".repeat(16),
        ports[0],
        ports[1]
    );
    scratch.write("cluster.toml", cluster);
    let words = ["serve", "--config", "cluster.toml", "--node", "1"];
    let start = |environment: &[(&str, &str)]| {
        let mut command = bare(scratch.path());
        command.args(words).envs(environment.iter().copied());
        finished(&words, &command.output().unwrap())
    };
    let refused = start(&[]).exits(1);
    assert!(
        refused
            .stderr
            .contains("key_passphrase_file `gone` is not there"),
        "{}",
        refused.stderr
    );
    let refused = start(&[("HOLDPOINT_KEY_ENCRYPTION_KEY_FILE", "passphrase")]).exits(1);
    assert!(
        refused.stderr.contains("64 hexadecimal digits"),
        "{}",
        refused.stderr
    );
    assert!(!scratch.join("node-1").exists(), "nothing was opened");
    // The file that the cluster file names counts from its folder.
    set_mode(&scratch.write("gone", PASSPHRASE), 0o600);
    let said = scratch.join("said");
    let mut command = bare(scratch.path());
    command
        .args(words)
        .stderr(File::create(&said).unwrap())
        .stdout(Stdio::null());
    let _node = Group::start(command);
    until_blocking("the node is ready", Duration::from_mins(1), || {
        let said = std::fs::read_to_string(&said).unwrap();
        if said.contains("ready in") {
            Ok(())
        } else {
            Err(said)
        }
    });
    assert_eq!(bodies(&scratch.join("node-1/keys")).len(), 2);
}
