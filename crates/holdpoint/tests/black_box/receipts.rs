//! Receipts offline: one for an operation, many at once, their story, and what they hide.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::merkle::{Frontier, leaf_of, prove_inclusion};
use holdpoint_receipt::names::TreeSize;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::statement::{Salt, Verdict};
use holdpoint_receipt::{
    Body, Caller, ClusterTime, Digest, Json, KeySet, Name, NodeId, NodeSecretKeys, Params, Proof,
    Receipt, Request, SecretKey, Statement, sha256,
};
use serde_json::Value;

use super::offline::golden;
use super::{Place, Run};

/// The salt of every statement of the golden log.
const SALT: [u8; 32] = [7; 32];

fn digits(bytes: &[u8; 32]) -> String {
    Digest::from_bytes(*bytes).to_string()
}

/// A folder with the receipts of the golden log's leaves as `0.json`, `1.json` and so on.
pub(crate) fn story() -> Place {
    let place = Place::new();
    place.write("keys.json", &golden("keys.json"));
    let lines: Vec<Value> = golden("log.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (head, leaves) = lines.split_last().unwrap();
    let checkpoint: Note = head["checkpoint"].as_str().unwrap().parse().unwrap();
    let statements: Vec<Statement> = leaves
        .iter()
        .map(|leaf| {
            let text = leaf["statement"].as_str().unwrap();
            Statement::from_json(Json::parse(text.as_bytes()).unwrap()).unwrap()
        })
        .collect();
    let mut frontier = Frontier::new();
    let mut nodes = BTreeMap::new();
    for statement in &statements {
        for node in frontier.append(leaf_of(&statement.receipt_hash())).unwrap() {
            nodes.insert((node.level, node.index), node.hash);
        }
    }
    let size = frontier.size();
    for (leaf_index, statement) in (0..).zip(statements) {
        let node = |level, index| Ok::<_, Infallible>(nodes.get(&(level, index)).copied());
        let receipt = Receipt {
            statement,
            proof: Proof {
                leaf_index,
                tree_size: TreeSize::new(size).unwrap(),
                hashes: prove_inclusion(leaf_index, size, node).unwrap(),
            },
            checkpoint: checkpoint.clone(),
        };
        place.write(&format!("{leaf_index}.json"), &receipt.to_file());
    }
    place
}

pub(crate) fn with_keys(place: &Place, command: &str, words: &[&str]) -> Run {
    let words = [&["receipt", command, "--keys", "keys.json"][..], words].concat();
    place.run(&words)
}

#[test]
fn receipts_of_one_operation_tell_its_story_in_whatever_order() {
    let place = story();
    let files = ["9.json", "4.json", "2.json", "8.json", "3.json", "6.json"];
    let told = with_keys(&place, "chain", &files).exits(0).stdout();
    assert!(
        told.starts_with("VALID  COMMITTED, by 6 receipts of one operation\n  leaf 2  APPROVED"),
        "{told}"
    );
    assert!(
        told.contains("1 later outcome(s) contradict the first"),
        "{told}"
    );
    let json = [&files[..], &["--output", "json"]].concat();
    let told = with_keys(&place, "chain", &json).exits(0);
    let told = told.json("holdpoint.receipt-chain/1");
    assert_eq!(told["standing"], "COMMITTED");
    assert_eq!(told["conflicts"], 1);
    assert_eq!(told["approvals_shown"], true);
    let leaves = told["statements"].as_array().unwrap().iter();
    let leaves: Vec<&str> = leaves
        .map(|statement| statement["leaf_index"].as_str().unwrap())
        .collect();
    assert_eq!(leaves, ["2", "3", "4", "6", "8", "9"]);
    let granted = with_keys(&place, "chain", &["3.json"]).exits(0).stdout();
    assert!(
        granted.contains("the approvals that it used are not among these receipts"),
        "{granted}"
    );
}

#[test]
fn story_with_a_gap_or_with_a_receipt_that_does_not_verify_is_refused_with_one_reason() {
    let place = story();
    let gap = with_keys(&place, "chain", &["3.json", "6.json", "--output", "json"]).exits(10);
    let gap = gap.json("holdpoint.receipt-chain/1");
    assert_eq!(
        (&gap["verdict"], &gap["code"]),
        (&"INVALID".into(), &"CHAIN_LINK".into())
    );
    let two = with_keys(&place, "chain", &["3.json", "5.json"])
        .exits(10)
        .stdout();
    assert!(two.starts_with("INVALID  CHAIN_DECISIONS  "), "{two}");
    place.write("4.json", "{}\n");
    let broken = with_keys(&place, "chain", &["3.json", "4.json"])
        .exits(10)
        .stdout();
    assert!(
        broken.starts_with("INVALID  MALFORMED  `4.json`: "),
        "{broken}"
    );
}

#[test]
fn many_receipts_are_a_line_each_and_the_worst_of_them_counts() {
    let place = story();
    let good = with_keys(&place, "verify", &["0.json", "3.json"])
        .exits(0)
        .stdout();
    assert!(good.starts_with("0.json: VALID  KEYS"), "{good}");
    assert_eq!(good.lines().count(), 3, "{good}");
    let newer = golden("receipt.json").replace("holdpoint.receipt/1", "holdpoint.receipt/2");
    place.write("newer.json", &newer);
    let _ = with_keys(&place, "verify", &["0.json", "newer.json"]).exits(11);
    place.write("broken.json", "{}\n");
    let words = ["0.json", "broken.json", "newer.json", "--output", "json"];
    let judged = with_keys(&place, "verify", &words).exits(10);
    let judged = judged.json("holdpoint.receipt-verify/1");
    assert_eq!(judged["verdict"], "INVALID");
    let receipts = judged["receipts"].as_array().unwrap().iter();
    let verdicts: Vec<_> = receipts
        .map(|one| {
            (
                one["file"].as_str().unwrap(),
                one["verdict"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("0.json", "VALID"),
        ("broken.json", "INVALID"),
        ("newer.json", "UNVERIFIABLE"),
    ];
    assert_eq!(verdicts, expected);
}

#[test]
fn hidden_member_is_opened_by_its_own_salt_and_by_no_other() {
    let place = story();
    let open = |field: &str, option: &str, salt: &str, code: i32| {
        let words = ["3.json", "--field", field, option, salt];
        with_keys(&place, "open", &words).exits(code).stdout()
    };
    let own = Salt::from_bytes(SALT).of_member("caller_commitment");
    let own = digits(own.as_bytes());
    let opened = open("caller=loopback:ci", "--salt", &own, 0);
    assert!(
        opened.starts_with("VALID  caller_commitment is of `loopback:ci`\n  PERMIT pmt_"),
        "{opened}"
    );
    let whole = digits(&SALT);
    let bound = "bound.workspace=workspace/prod-eu";
    let _ = open(bound, "--statement-salt", &whole, 0);
    let other = open("actor=alice", "--salt", &own, 10);
    assert!(other.starts_with("INVALID  ANOTHER_VALUE  "), "{other}");
    let other = open("caller=loopback:dev", "--salt", &own, 10);
    assert!(other.starts_with("INVALID  ANOTHER_VALUE  "), "{other}");
    let none = open("session=turn-9", "--statement-salt", &whole, 10);
    assert!(none.starts_with("INVALID  NO_SUCH_MEMBER  "), "{none}");
    for words in [
        &["3.json", "--field", "fence=41", "--salt", &own][..],
        &["3.json", "--field", "caller", "--salt", &own],
        &["3.json", "--field", "caller=x", "--salt", "abc"],
        &["3.json", "--field", "caller=x"],
    ] {
        let _ = with_keys(&place, "open", words).exits(2);
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// A permit of these times for `request`, in a log of its own that the golden log's first node signed.
fn permit(request: &Request, issued_ms: u64, expires_ms: u64, is_dev: bool) -> String {
    let seed = |role: u8| SecretKey::from_seed(&[2 + role; 32]);
    let node_keys = NodeSecretKeys::new(seed(0), seed(1)).unwrap();
    let keys = KeySet::parse(golden("keys.json").as_bytes()).unwrap();
    let mut statement = Receipt::parse(golden("receipt.json").as_bytes())
        .unwrap()
        .statement;
    statement.issued_at = ClusterTime::new(issued_ms).unwrap();
    statement.is_dev = is_dev;
    let Body::Decision(decision) = &mut statement.body else {
        panic!("not a decision");
    };
    decision.request_digest = request.digest();
    decision.not_after = ClusterTime::new(issued_ms + 1).unwrap();
    if let Verdict::Permit(grant) = &mut decision.verdict {
        grant.expires_at = ClusterTime::new(expires_ms).unwrap();
    }
    let head = Checkpoint {
        origin: Origin::new(keys.authority(), keys.namespace()),
        size: TreeSize::new(1).unwrap(),
        root: leaf_of(&statement.receipt_hash()),
    };
    let node = NodeId::new(1).unwrap();
    let signature = node_keys.sign_head(keys.authority(), node, &head, 1_795_356_725);
    let receipt = Receipt {
        statement,
        proof: Proof {
            leaf_index: 0,
            tree_size: head.size,
            hashes: vec![],
        },
        checkpoint: head.to_note(vec![signature]).unwrap(),
    };
    receipt.to_file()
}

fn asked(place: &Place) -> Request {
    place.write("plan.tfplan", "a plan");
    let params = [
        ("plan_sha256", Json::str(sha256(b"a plan").to_string())),
        ("workspace", Json::str("prod-eu")),
    ];
    Request {
        namespace: Name::new("default").unwrap(),
        caller: Caller::new("loopback:ci").unwrap(),
        actor: None,
        surface: Name::new("infra.apply").unwrap(),
        action: Name::new("apply").unwrap(),
        params: Params::from_json(Json::object(params)).unwrap(),
        session: None,
        step: None,
        prerequisites: vec![],
    }
}

#[test]
fn live_permit_is_valid_for_its_own_operation_and_bytes_only() {
    let place = story();
    let request = asked(&place);
    let (now, hour) = (now_ms(), 3_600_000);
    place.write("permit.json", &permit(&request, now, now + hour, false));
    let execute = |words: &[&str], code: i32| {
        let words = [&["permit.json", "--mode", "execute"], words].concat();
        with_keys(&place, "verify", &words).exits(code).stdout()
    };
    let operation = [
        "--surface",
        "infra.apply",
        "--action",
        "apply",
        "--bind",
        "plan=@plan.tfplan",
        "--param",
        "workspace=prod-eu",
        "--caller",
    ];
    let by = |caller| [&operation[..], &[caller]].concat();
    let valid = execute(&by("ci"), 0);
    assert!(valid.contains(" · to be redeemed within "), "{valid}");
    let digest = request.digest().to_string();
    let _ = execute(&["--request-digest", &digest], 0);
    let another = execute(&by("mallory"), 10);
    assert!(
        another.starts_with("INVALID  BINDING_MISMATCH"),
        "{another}"
    );
    place.write("plan.tfplan", "another plan");
    let another = execute(&by("ci"), 10);
    assert!(
        another.starts_with("INVALID  BINDING_MISMATCH"),
        "{another}"
    );
}

#[test]
fn permit_that_expired_a_development_node_s_and_another_kind_are_for_audits_only() {
    let place = story();
    let request = asked(&place);
    let digest = request.digest().to_string();
    let execute = |file: &str, more: &[&str], code: i32| {
        let words = [file, "--mode", "execute", "--request-digest", &digest];
        let words = [&words[..], more].concat();
        let run = with_keys(&place, "verify", &words).exits(code);
        let _ = with_keys(&place, "verify", &[file]).exits(0);
        run.stdout()
    };
    let (now, long_ago, hour) = (now_ms(), 1_600_000_000_000, 3_600_000);
    place.write(
        "old.json",
        &permit(&request, long_ago, long_ago + hour, false),
    );
    let old = execute("old.json", &[], 10);
    assert!(old.starts_with("INVALID  EXPIRED  "), "{old}");
    place.write("dev.json", &permit(&request, now, now + hour, true));
    let dev = execute("dev.json", &[], 10);
    assert!(dev.starts_with("INVALID  DEV_MODE  "), "{dev}");
    let _ = execute("dev.json", &["--accept-dev"], 0);
    let redeemed = execute("4.json", &[], 10);
    assert!(redeemed.starts_with("INVALID  WRONG_KIND  "), "{redeemed}");
}

#[test]
fn mode_that_does_not_fit_its_options_is_a_wrong_command_line() {
    let place = story();
    let digest = "0".repeat(64);
    for words in [
        &["3.json", "--mode", "execute"][..],
        &["3.json", "--request-digest", &digest],
        &["3.json", "--accept-dev"],
        &["3.json", "--mode", "execute", "--surface", "infra.apply"],
        &["3.json", "--mode", "execute", "--param", "a=b"],
        &[
            "3.json",
            "--mode",
            "execute",
            "--request-digest",
            &digest,
            "--param",
            "a=b",
        ],
        &[
            "3.json",
            "4.json",
            "--mode",
            "execute",
            "--request-digest",
            &digest,
        ],
    ] {
        let run = with_keys(&place, "verify", words).exits(2);
        assert_eq!(run.stdout(), "", "{words:?}");
    }
}
