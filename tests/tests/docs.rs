//! Every command of the README and of the help is run, in the order in which a reader meets it.
//!
//! In the README a comment before a block says what is special about it: `test: exits N`, or
//! `test: own` for the blocks that a test of their own runs.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use holdpoint_receipt::keys::Epoch;
use holdpoint_receipt::{ClusterId, KeySet, Name, NodeId, NodeSecretKeys, SecretKey, TreeSize};
use holdpoint_tests::command::holdpoint;
use holdpoint_tests::deadline::until_blocking;
use holdpoint_tests::dev::Dev;
use holdpoint_tests::pages::{self, Block};
use holdpoint_tests::repository;
use holdpoint_tests::scratch::Scratch;
use holdpoint_tests::shell::{self, Group};

const MAIN_TF: &str = "resource \"terraform_data\" \"one\" {\n  input = \"first\"\n}\n";

fn readme() -> String {
    std::fs::read_to_string(repository::root().join("README.md")).unwrap()
}

fn blocks() -> Vec<Block> {
    pages::blocks(&readme())
}

fn has_terraform() -> bool {
    Command::new("terraform")
        .arg("version")
        .output()
        .is_ok_and(|out| out.status.success())
}

/// A folder as the README and the help assume it, with a node beside it.
fn folder() -> Dev {
    let dev = Dev::started();
    let scratch = dev.scratch();
    scratch.write("README.md", readme());
    scratch.write("main.tf", MAIN_TF);
    if has_terraform() {
        let init = "terraform init -input=false >/dev/null && terraform plan -input=false -out plan.tfplan >/dev/null";
        let _ = shell::run(scratch.path(), init, &[]).exits(0);
    } else {
        // A stand-in of the same name, so that the lines stay as they are printed.
        scratch.write("plan.tfplan", "a plan");
        let stand_in = scratch.write(
            "bin/terraform",
            "#!/bin/sh\n[ \"$1\" = plan ] && echo a plan >plan.tfplan\nexit 0\n",
        );
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(stand_in, mode).unwrap();
    }
    let passphrase = scratch.write("passphrase", "correct horse battery staple\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(passphrase, mode).unwrap();
    let starter = repository::root().join("policies/starter");
    let copy = format!("cp -r '{}' policy", starter.display());
    let _ = shell::run(scratch.path(), &copy, &[]).exits(0);
    dev
}

fn with_stand_in(line: &str) -> String {
    if has_terraform() {
        line.to_owned()
    } else {
        format!("PATH=$PWD/bin:$PATH; {line}")
    }
}

#[test]
fn readme_blocks_do_what_they_say() {
    let dev = folder();
    let mut run = 0;
    for block in blocks() {
        if block.note.starts_with("own") {
            continue;
        }
        let code = block.exits();
        for line in &block.lines {
            // The one thing that a reader fills in.
            let line = line.replace("pmt_…", "$PERMIT");
            let permit = if line.contains("$PERMIT") {
                in_doubt(&dev)
            } else {
                String::new()
            };
            let _ = shell::run(
                dev.scratch().path(),
                &with_stand_in(&line),
                &[("PERMIT", &permit)],
            )
            .exits(code);
            run += 1;
        }
    }
    assert!(
        run >= 6,
        "the README has only {run} commands outside blocks with tests of their own"
    );
}

/// The id of a permit that is redeemed and has no outcome.
fn in_doubt(dev: &Dev) -> String {
    let id = issued(dev, &["--surface", "demo.echo", "--param", "message=hello"]);
    let _ = dev.cli(&["redeem", &id]).exits(0);
    id
}

fn issued(dev: &Dev, what: &[&str]) -> String {
    let mut words = vec!["authorize", "--output", "json"];
    words.extend(what);
    dev.cli(&words).exits(0).json()["permit"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn make_dev_gets_to_a_first_permit_through_the_printed_command() {
    assert!(
        blocks().iter().any(|block| block.lines == ["make dev"]),
        "the README says `make dev`"
    );
    let scratch = Scratch::new();
    scratch.write("README.md", "read me");
    let address = holdpoint_tests::ports::free(1).remove(0);
    let said_file = scratch.join("said");
    let said = File::create(&said_file).unwrap();
    // The target directory that this test was built in, so that nothing is built twice.
    let target = holdpoint_tests::binary::holdpoint()
        .parent()
        .unwrap()
        .parent()
        .unwrap();
    let dir = scratch.join(".holdpoint");
    let mut make = Command::new("make");
    make.arg("dev")
        .arg(format!("ARGS=--dir {} --listen {address}", dir.display()))
        .current_dir(repository::root())
        .env("CARGO_TARGET_DIR", target)
        .stdin(Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(said);
    let mut make = Group::start(make);
    let printed = until_blocking("make dev is ready", Duration::from_mins(30), || {
        let said = std::fs::read_to_string(&said_file).unwrap();
        let over = make.head().try_wait().unwrap();
        assert!(over.is_none(), "make dev ended with {over:?}: {said}");
        if said.contains("ready in") {
            Ok(said)
        } else {
            Err(said)
        }
    });
    let line = printed
        .lines()
        .find(|line| line.trim_start().starts_with("try:"))
        .unwrap();
    let line = line.trim_start().trim_start_matches("try:").trim();
    let said = shell::run(scratch.path(), line, &[]).exits(0);
    assert!(said.stdout.contains("PERMIT"), "{}", said.stdout);
}

#[test]
fn make_test_is_the_second_command() {
    let found: Vec<_> = blocks()
        .into_iter()
        .flat_map(|block| block.lines)
        .filter(|line| line.starts_with("make "))
        .collect();
    assert_eq!(found, ["make dev", "make test"]);
}

#[test]
fn cluster_of_the_readme_decides() {
    let (nodes_started, then): (Vec<String>, Vec<String>) = blocks()
        .into_iter()
        .filter(|block| block.note == "own cluster")
        .flat_map(|block| block.lines)
        .partition(|line| line.starts_with("holdpoint serve "));
    for port in [7411, 7412, 7421, 7422, 7431, 7432] {
        if TcpListener::bind(("127.0.0.1", port)).is_err() {
            eprintln!("skipped: port {port} is taken");
            return;
        }
    }
    let scratch = Scratch::new();
    let example = std::fs::read(repository::root().join("deploy/cluster.example.toml")).unwrap();
    scratch.write("deploy/cluster.example.toml", example);
    let policies = format!(
        "cp -r '{}' .",
        repository::root().join("policies").display()
    );
    let _ = shell::run(scratch.path(), &policies, &[]).exits(0);
    let mut nodes = Vec::new();
    for line in &nodes_started {
        let mut node = shell::shell(scratch.path(), &format!("exec {line}"));
        let said = File::create(scratch.join(&format!("said-{}", nodes.len()))).unwrap();
        node.stdout(Stdio::null()).stderr(said);
        nodes.push(Group::start(node));
    }
    assert_eq!(nodes.len(), 3);
    let (status, then) = then.split_first().unwrap();
    assert!(status.contains(" status "), "{status}");
    until_blocking(
        "three nodes elected a leader",
        Duration::from_mins(1),
        || {
            let run = shell::run(scratch.path(), status, &[]);
            if run.code == 0 {
                Ok(())
            } else {
                Err(format!("{}{}", run.stdout, run.stderr))
            }
        },
    );
    assert!(
        then.iter().any(|line| line.contains(" authorize ")),
        "{then:?}"
    );
    for line in then {
        let _ = shell::run(scratch.path(), line, &[]).exits(0);
    }
}

#[test]
fn examples_of_the_help_do_what_they_say() {
    let scratch = Scratch::new();
    let listed = holdpoint(scratch.path(), &["help", "examples", "--output", "json"])
        .exits(0)
        .json();
    let examples = listed["examples"].as_array().unwrap();
    assert!(examples.len() >= 20, "{examples:?}");
    let shared = folder();
    for example in examples {
        let command = example["command"].as_str().unwrap();
        let help = holdpoint(
            scratch.path(),
            &command.split_whitespace().chain(["-h"]).collect::<Vec<_>>(),
        )
        .exits(0);
        for line in example["lines"].as_array().unwrap() {
            let line = line.as_str().unwrap();
            assert!(
                help.stdout.contains(line),
                "`{command} -h` does not show `{line}`"
            );
            if line.contains("holdpoint erase") {
                // The permit is live.
                let permit = issued(
                    &shared,
                    &["--surface", "demo.echo", "--param", "message=hello"],
                );
                let variables = [("PERMIT", permit.as_str())];
                let _ = shell::run(shared.scratch().path(), line, &variables).exits(1);
                continue;
            }
            // Nobody but its one node is there to come or go.
            let comes_or_goes = ["cluster add", "cluster promote", "cluster remove"];
            if comes_or_goes.iter().any(|part| line.contains(part)) {
                let _ = shell::run(shared.scratch().path(), &with_stand_in(line), &[]).exits(1);
            } else if ["holdpoint dev", "holdpoint serve", "holdpoint witness"]
                .iter()
                .any(|start| line.starts_with(start))
            {
                stays_up(line);
            } else if line.contains("--data-dir") {
                // For a node that is stopped.
                let mut dev = folder();
                dev.kill();
                let _ = shell::run(dev.scratch().path(), line, &[]).exits(0);
            } else if [
                "infra.apply",
                "plan=",
                "policy put",
                "policy activate",
                "policy rollback",
                "policy shadow",
                "session",
            ]
            .iter()
            .any(|part| line.contains(part))
            {
                // These change what others would find.
                try_example(&folder(), line);
            } else {
                try_example(&shared, line);
            }
        }
    }
}

fn try_example(dev: &Dev, line: &str) {
    let line = line.replace("127.0.0.1:7400", dev.address());
    let permit = if !line.contains("$PERMIT") {
        String::new()
    } else if line.contains("plan=") {
        issued(
            dev,
            &[
                "--surface",
                "infra.apply",
                "--bind",
                "plan=@plan.tfplan",
                "--param",
                "workspace=prod-eu",
            ],
        )
    } else {
        issued(dev, &["--surface", "demo.echo", "--param", "message=hello"])
    };
    let redeemed = if line.contains("$REDEEMED") {
        in_doubt(dev)
    } else {
        String::new()
    };
    let digest = if line.contains("$DIGEST") {
        let put = dev
            .cli(&["policy", "put", "policy", "--output", "json"])
            .exits(0)
            .json();
        put["digest"].as_str().unwrap().to_owned()
    } else {
        String::new()
    };
    let subject = if line.contains("$SUBJECT") {
        to_be_approved(dev)
    } else {
        String::new()
    };
    let salt = if line.contains("$SALT") {
        salt_of_closed_session(dev)
    } else {
        String::new()
    };
    let variables = [
        ("PERMIT", permit.as_str()),
        ("REDEEMED", &redeemed),
        ("DIGEST", &digest),
        ("SUBJECT", &subject),
        ("SALT", &salt),
    ];
    let _ = shell::run(dev.scratch().path(), &with_stand_in(&line), &variables).exits(0);
}

/// The digest of what a request of its own waits to have approved.
fn to_be_approved(dev: &Dev) -> String {
    let asked = dev.cli(&[
        "authorize",
        "--surface",
        "payment.execute",
        "--param",
        "account=main",
        "--param",
        "amount_minor:=250000",
        "--param",
        "currency=EUR",
        "--param",
        "invoice=INV-7",
        "--output",
        "json",
    ]);
    asked.exits(121).json()["missing_approvals"][0]["subject_digest"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The salt of a session that is closed now; its receipt is `closed.json`.
fn salt_of_closed_session(dev: &Dev) -> String {
    let closed = dev.cli(&["session", "close", "turn-8", "--output", "json"]);
    let closed = closed.exits(0).json();
    let path = dev.scratch().join(closed["receipt"].as_str().unwrap());
    std::fs::copy(path, dev.scratch().join("closed.json")).unwrap();
    closed["salt"].as_str().unwrap().to_owned()
}

/// A command that serves until it is stopped: it says that it is ready.
fn stays_up(line: &str) {
    for port in [7400, 7500] {
        if line.starts_with("holdpoint dev") && TcpListener::bind(("127.0.0.1", port)).is_err() {
            eprintln!("skipped `{line}`: port {port} is taken");
            return;
        }
    }
    let scratch = Scratch::new();
    one_node_cluster(scratch.path());
    keys_of_the_example(scratch.path());
    let said_file = scratch.join("said");
    let said = File::create(&said_file).unwrap();
    let mut command = shell::shell(scratch.path(), &format!("exec {line}"));
    command.stdout(said.try_clone().unwrap()).stderr(said);
    let mut group = Group::start(command);
    until_blocking(
        "the command said that it is ready",
        Duration::from_mins(1),
        || {
            let said = std::fs::read_to_string(&said_file).unwrap();
            let over = group.head().try_wait().unwrap();
            assert!(over.is_none(), "`{line}` ended with {over:?}: {said}");
            if said.contains("ready") {
                Ok(())
            } else {
                Err(said)
            }
        },
    );
}

fn one_node_cluster(directory: &Path) {
    let ports = holdpoint_tests::ports::free(2);
    let text = format!(
        "cluster_id = \"{}\"\n[[node]]\nid = 1\nclient = \"{}\"\npeer = \"{}\"\ndata_dir = \"node-1\"\n",
        "5f".repeat(16),
        ports[0],
        ports[1]
    );
    std::fs::write(directory.join("cluster.toml"), text).unwrap();
}

/// The published keys of the log that the help of `witness` names.
fn keys_of_the_example(directory: &Path) {
    let key = |seed: u8| SecretKey::from_seed(&[seed; 32]);
    let keys = NodeSecretKeys::new(key(1), key(2)).unwrap().public();
    let epoch = Epoch {
        tree_size_from: TreeSize::default(),
        signers_needed: 1,
        nodes: BTreeMap::from([(NodeId::new(1).unwrap(), keys)]),
    };
    let cluster: ClusterId = "00112233445566778899aabbccddeeff".parse().unwrap();
    let namespace = Name::new("default").unwrap();
    let keys = KeySet::new(cluster, namespace, vec![epoch], Vec::new()).unwrap();
    std::fs::write(directory.join("keys.json"), keys.to_file()).unwrap();
}

/// `benches/README.md` measures what signatures cost against a program that needs one of three.
#[test]
fn patch_that_lets_one_signature_do_fits_the_source() {
    let patch = repository::root().join("benches/one-signer.patch");
    let patch = std::fs::read_to_string(patch).unwrap();
    let mut lines = patch.lines();
    let file = lines.find_map(|line| line.strip_prefix("+++ b/")).unwrap();
    let source = std::fs::read_to_string(repository::root().join(file)).unwrap();
    let before: Vec<&str> = lines
        .filter_map(|line| line.strip_prefix([' ', '-']))
        .collect();
    assert!(before.len() > 1, "a hunk has its surroundings");
    assert!(source.contains(&before.join("\n")), "make it anew: {patch}");
}
