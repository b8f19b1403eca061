//! A witness over its listener.

use std::path::Path;

use holdpoint_proto::v1;
use holdpoint_receipt::keys::VerifierKey;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Name, cosignature, verify};
use holdpoint_server::config::WitnessEntry;
use holdpoint_server::witness::{WatchedLog, Witness, WitnessOptions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::public_log::{Answer, exchange};
use crate::support::{LONG, POLL, echo, keys};
use crate::trio::Trio;

/// A witness in this process.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) address: String,
    pub(crate) vkey: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts one in `folder` that watches the log with these keys.
    pub(crate) async fn start(folder: &Path, origin: &str, keys_json: &str, port: u16) -> Self {
        let keys = folder.join("keys.json");
        std::fs::write(&keys, keys_json).unwrap();
        let witness = Witness::start(WitnessOptions {
            listen: ([127, 0, 0, 1], port).into(),
            key: folder.join("witness.key"),
            sealing: None,
            name: Some("w.example".to_owned()),
            state: folder.join("state"),
            logs: vec![WatchedLog {
                origin: origin.to_owned(),
                keys,
            }],
        });
        let witness = witness.await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        Self {
            address: witness.address().to_string(),
            vkey: witness.verifier().to_string(),
            stop,
            task: tokio::spawn(witness.run(async {
                let _ = stopped.await;
            })),
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(LONG, self.task)
            .await
            .unwrap()
            .unwrap();
    }

    /// Submits a body.
    pub(crate) async fn submit(&self, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "POST /add-checkpoint HTTP/1.1\r\nhost: witness\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        );
        Answer::parse(&exchange(&self.address, request.as_bytes()).await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_submission_has_the_status_that_c2sp_gives_it() {
    let scratch = tempfile::tempdir().unwrap();
    let node = crate::support::Dev::start(scratch.path().join("dev")).await;
    let (keys, address) = (node.keys().await, node.address.clone());
    let head = crate::public_log::get(&address, "/log/default/checkpoint").await;
    let (head, origin) = (head.text().to_owned(), keys.origin().to_string());
    let witness = Running::start(scratch.path(), &origin, &keys.to_file(), 0).await;
    let hash = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let other = head.replace(&origin, "other.example/log");
    for (body, status) in [
        ("nothing".to_owned(), 400),
        (format!("old 9999999\n\n{head}"), 400),
        (format!("old 0\n\n{other}"), 404),
        (
            format!("old 0\n\n{}", head.replace('\u{2014}', "\u{2014} x")),
            400,
        ),
        (format!("old 0\n{hash}\n\n{head}"), 422),
        (format!("old 1\n\n{head}"), 409),
        (format!("old 0\n\n{head}"), 200),
        (format!("old 0\n\n{head}"), 409),
        ("x".repeat(64 * 1024), 400),
    ] {
        let answer = witness.submit(&body).await;
        assert_eq!(answer.status, status, "{body}\n{}", answer.text());
    }
    let told = witness.submit(&format!("old 0\n\n{head}")).await;
    assert_eq!(told.headers["content-type"], "text/x.tlog.size");
    let size = head.lines().nth(1).unwrap();
    assert_eq!(told.text(), format!("{size}\n"));
    let forged = head.replacen(&format!("\n{size}\n"), "\n999\n", 1);
    let refused = witness.submit(&format!("old {size}\n\n{forged}")).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let signed = witness.submit(&format!("old {size}\n\n{head}")).await;
    assert!(
        signed.text().starts_with("\u{2014} w.example "),
        "{}",
        signed.text()
    );
    let (vkey, port) = (
        witness.vkey.clone(),
        witness.address.rsplit(':').next().unwrap().parse(),
    );
    witness.stop().await;
    // It is the same witness, with the same memory, after a restart.
    let again = Running::start(scratch.path(), &origin, &keys.to_file(), port.unwrap()).await;
    assert_eq!(again.vkey, vkey);
    let forgets = again.submit(&format!("old 0\n\n{head}")).await;
    assert_eq!(
        (forgets.status, forgets.text()),
        (409, format!("{size}\n").as_str())
    );
    again.stop().await;
    node.stop().await;
}

/// The vkey and the port of a witness that watches nothing yet.
async fn made(folder: &Path) -> (String, u16) {
    let witness = Witness::start(WitnessOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        key: folder.join("witness.key"),
        sealing: None,
        name: Some("w.example".to_owned()),
        state: folder.join("state"),
        logs: Vec::new(),
    });
    let witness = witness.await.unwrap();
    (witness.verifier().to_string(), witness.address().port())
}

/// Waits until the node at `address` shows a valid line of the witness.
async fn shows(address: &str, verifier: &VerifierKey) {
    let shown = async {
        loop {
            let head = crate::public_log::get(address, "/log/default/checkpoint").await;
            let note: Note = head.text().parse().unwrap();
            let mut lines = note.signatures().iter();
            if let Some(line) = lines.find(|line| line.name == *verifier.name()) {
                return cosignature::verify(verifier.key(), &line.signature, note.text());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let shown = tokio::time::timeout(LONG, shown).await;
    shown.expect("the witness's line is shown in time").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_has_its_heads_witnessed_and_the_status_shows_who_lags() {
    let scratch = tempfile::tempdir().unwrap();
    let (vkey, port) = made(scratch.path()).await;
    let mut trio = Trio::prepared().await;
    trio.file().witnesses.push(WitnessEntry {
        name: Name::new("w1").unwrap(),
        url: format!("http://127.0.0.1:{port}").parse().unwrap(),
        verifier: vkey.parse().unwrap(),
    });
    let trio = trio.decide().await;
    let leader = trio.leader().await;
    let until = async |wanted: &dyn Fn(&v1::WitnessStatus) -> bool| {
        let reached = async {
            loop {
                let status = trio.status(leader).await;
                let witness = status.witnesses.first().cloned().unwrap();
                if wanted(&witness) {
                    return (status.tree_size, witness);
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(LONG, reached).await.expect("in time")
    };
    let (_, silent) = until(&|witness| !witness.trouble.is_empty()).await;
    assert_eq!((silent.name.as_str(), silent.signed_size), ("w1", None));
    assert!(silent.lag.unwrap() > 0, "{silent:?}");

    let keys = keys(trio.channel(leader)).await;
    let origin = keys.origin().to_string();
    let witness = Running::start(scratch.path(), &origin, &keys.to_file(), port).await;
    let (size, signed) = until(&|witness| witness.lag == Some(0)).await;
    assert_eq!(signed.signed_size, Some(size), "{signed:?}");
    assert_eq!((signed.lag_seconds, signed.trouble.as_str()), (Some(0), ""));
    let address = trio.address(leader);
    let head = crate::public_log::get(&address, "/log/default/checkpoint").await;
    let note: Note = head.text().parse().unwrap();
    let line = note.signatures().last().unwrap();
    let verifier: VerifierKey = vkey.parse().unwrap();
    assert_eq!(line.name, *verifier.name());
    cosignature::verify(verifier.key(), &line.signature, note.text()).unwrap();

    witness.stop().await;
    let asked = echo("while nobody watches", "hello");
    let decided = trio.gate(leader).authorize(asked).await.unwrap();
    let receipt = decided.into_inner().receipt.unwrap();
    verify(&receipt.file, &keys).unwrap();
    until(&|witness| witness.lag.is_some_and(|lag| lag > 0) && !witness.trouble.is_empty()).await;
    let witness = Running::start(scratch.path(), &origin, &keys.to_file(), port).await;
    let (size, signed) = until(&|witness| witness.lag == Some(0)).await;
    assert_eq!(signed.signed_size, Some(size), "{signed:?}");
    for follower in (1..=3).filter(|id| *id != leader) {
        let address = trio.address(follower);
        shows(&address, &verifier).await;
        let known = trio.status(follower).await.witnesses;
        assert!(known[0].signed_size.is_some(), "{known:?}");
    }
    witness.stop().await;
}
