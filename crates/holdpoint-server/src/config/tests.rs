use std::path::{Path, PathBuf};

use holdpoint_receipt::keys::{Algorithm, KeyName, VerifierKey};
use holdpoint_receipt::{NodeId, SecretKey};

use super::*;
use crate::key_files::SealingFile;

const GOOD: &str = r#"cluster_id = "00112233445566778899aabbccddeeff"

[[node]]
id = 1
client = "127.0.0.1:7411"
peer = "127.0.0.1:7412"
data_dir = "data/1"

[[node]]
id = 2
client = "[::1]:7421"
peer = "127.0.0.1:7422"
data_dir = "/var/lib/holdpoint/2"
"#;

fn parse(text: &str) -> Result<ClusterFile, ConfigError> {
    ClusterFile::parse(text, Path::new("etc/cluster.toml"))
}

/// Replaces one part of the good file and checks the refusal.
fn check(from: &str, to: &str, refusal: &str) {
    assert!(GOOD.contains(from), "{from}");
    let error = parse(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
    assert_eq!(error, refusal);
}

#[test]
fn cluster_file_is_read_and_relative_directories_count_from_it() {
    let file = parse(GOOD).unwrap();
    assert_eq!(file.cluster.to_string(), "00112233445566778899aabbccddeeff");
    let first = file.node(NodeId::new(1).unwrap()).unwrap();
    assert_eq!(first.client.to_string(), "127.0.0.1:7411");
    assert_eq!(first.data_dir, PathBuf::from("etc/data/1"));
    let second = file.node(NodeId::new(2).unwrap()).unwrap();
    assert_eq!(second.data_dir, PathBuf::from("/var/lib/holdpoint/2"));
}

#[test]
fn verdicts_are_audited_unless_the_file_says_otherwise() {
    assert!(parse(GOOD).unwrap().audit);
    let off = GOOD.replacen("\n\n", "\naudit = false\n\n", 1);
    assert!(!parse(&off).unwrap().audit);
    let other = parse(&GOOD.replacen("\n\n", "\naudit = \"no\"\n\n", 1));
    let error = other.unwrap_err().to_string();
    assert!(error.starts_with("etc/cluster.toml:2: "), "{error}");
}

#[test]
fn unknown_key_is_refused_with_its_line() {
    let error = parse(&GOOD.replacen("peer", "pear", 1))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("etc/cluster.toml:6: unknown field `pear`"),
        "{error}"
    );
    let error = parse(&GOOD.replacen("id = 2", "id = 2\nid = 3", 1))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("etc/cluster.toml:11: duplicate key"),
        "{error}"
    );
}

#[test]
fn missing_key_and_wrong_type_are_refused_with_their_line() {
    let error = parse(&GOOD.replacen("id = 1\n", "", 1))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("etc/cluster.toml:3: missing field `id`"),
        "{error}"
    );
    let error = parse(&GOOD.replacen("id = 1", "id = \"1\"", 1))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("etc/cluster.toml:4: invalid type: string"),
        "{error}"
    );
    let error = parse("cluster_id = \"00112233445566778899aabbccddeeff\"").unwrap_err();
    assert!(
        error.to_string().contains("no [[node]] is listed"),
        "{error}"
    );
}

#[test]
fn malformed_cluster_id_node_id_and_address_are_refused_with_their_line() {
    check(
        "00112233445566778899aabbccddeeff",
        "0011",
        "etc/cluster.toml:1: cluster_id `0011`: not a cluster id: give exactly 32 lower-case \
         hexadecimal digits",
    );
    check(
        "id = 1",
        "id = 0",
        "etc/cluster.toml:4: the node id must be a whole number from 1 to 9007199254740991 (2^53-1)",
    );
    check(
        "127.0.0.1:7411",
        "localhost:7411",
        "etc/cluster.toml:5: client `localhost:7411` is not an IP address with a port, such as \
         127.0.0.1:7411",
    );
    check(
        "127.0.0.1:7412",
        "127.0.0.1:0",
        "etc/cluster.toml:6: peer `127.0.0.1:0` has no port; other nodes must know it",
    );
}

#[test]
fn address_beyond_loopback_is_refused_while_callers_are_believed_by_name() {
    check(
        "127.0.0.1:7411",
        "0.0.0.0:7411",
        "etc/cluster.toml:5: client `0.0.0.0:7411` is not a loopback address: callers are only \
         believed on loopback in this version (authentication `loopback`); use an address such as \
         127.0.0.1:7411",
    );
    assert!(require_loopback("192.168.0.1:7400".parse().unwrap()).is_err());
    assert!(require_loopback(DevOptions::default().client).is_ok());
}

#[test]
fn anything_said_twice_is_refused_with_the_first_line() {
    check(
        "id = 2",
        "id = 1",
        "etc/cluster.toml:10: id `1` is already id of line 4",
    );
    check(
        "127.0.0.1:7422",
        "127.0.0.1:7411",
        "etc/cluster.toml:12: peer `127.0.0.1:7411` is already client of line 5",
    );
    check(
        "/var/lib/holdpoint/2",
        "./data//1",
        "etc/cluster.toml:13: data_dir `etc/data/1` is already data_dir of line 7",
    );
}

#[test]
fn unknown_node_is_refused_with_the_listed_ones() {
    let error = parse(GOOD)
        .unwrap()
        .node(NodeId::new(3).unwrap())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "node 3 is not in the cluster file `etc/cluster.toml`, which lists 1, 2"
    );
}

#[test]
fn missing_cluster_file_is_refused_with_what_to_give() {
    let error = ClusterFile::read(Path::new("/nonexistent/cluster.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("give its path with --config or HOLDPOINT_CONFIG"),
        "{error}"
    );
}

#[test]
fn witnesses_are_read_and_each_has_a_name_an_address_and_a_key_of_its_own() {
    let key = |seed: u8| {
        let name = KeyName::new("w.example").unwrap();
        let public = SecretKey::from_seed(&[seed; 32]).public();
        VerifierKey::new(name, Algorithm::CosignatureV1, public)
    };
    let witness = |name: &str, url: &str, vkey: &VerifierKey| {
        format!("\n[[witness]]\nname = \"{name}\"\nurl = \"{url}\"\nvkey = \"{vkey}\"\n")
    };
    let first = witness("w1", "http://127.0.0.1:7600/log", &key(1));
    let file = parse(&format!("{GOOD}{first}")).unwrap();
    let [entry] = file.witnesses.as_slice() else {
        panic!("{file:?}");
    };
    assert_eq!((entry.name.as_str(), entry.url.path()), ("w1", "/log"));
    assert_eq!(entry.verifier, key(1));
    let log_key = VerifierKey::new(key(1).name().clone(), Algorithm::Ed25519, *key(1).key());
    for (second, said) in [
        (
            witness("w1", "http://127.0.0.1:7601", &key(2)),
            "name `w1` is that of another witness",
        ),
        (
            witness("w2", "http://127.0.0.1:7601", &key(1)),
            "vkey is that of another witness",
        ),
        (
            witness("w2", "https://w.example", &key(2)),
            "is not an address such as http://",
        ),
        (
            witness("w2", "w.example", &key(2)),
            "is not an address such as http://",
        ),
        (
            witness("w2", "http://w.example", &log_key),
            "vkey is not one that a witness signs with",
        ),
        (witness("W 2", "http://w.example", &key(2)), "name: "),
    ] {
        let error = parse(&format!("{GOOD}{first}{second}")).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn file_that_keys_are_encrypted_under_counts_from_the_cluster_file_and_is_one_of_two() {
    let with =
        |setting: &str| parse(&GOOD.replacen("data_dir", &format!("{setting}\ndata_dir"), 1));
    let sealing = |setting: &str| with(setting).unwrap().nodes[0].sealing.clone();
    assert_eq!(parse(GOOD).unwrap().nodes[0].sealing, None);
    assert_eq!(
        sealing("key_passphrase_file = \"node-1.pass\""),
        Some(SealingFile::Passphrase("etc/node-1.pass".into()))
    );
    assert_eq!(
        sealing("key_encryption_key_file = \"/run/kek\""),
        Some(SealingFile::KeyEncryptionKey("/run/kek".into()))
    );
    for (setting, said) in [
        ("key_passphrase_file = \"\"", "key_passphrase_file is empty"),
        (
            "key_passphrase_file = \"a\"\nkey_encryption_key_file = \"b\"",
            "not under both",
        ),
    ] {
        let error = with(setting).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
