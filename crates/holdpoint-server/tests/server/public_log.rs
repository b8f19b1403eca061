//! The log as a public thing: what anybody can fetch over HTTP/1.1, and what it proves.

use std::collections::BTreeMap;

use holdpoint_proto::v1;
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::merkle::{Frontier, leaf_of};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Digest, KeySet, Receipt, verify};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::life::authorize;
use crate::support::{Dev, LONG, echo};

/// An answer of HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = bytes.split_at(end.expect("the head has an end") + 4);
        let head = str::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.parse().unwrap(),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_vec(),
        }
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// Sends bytes on a connection of their own, and reads until it is closed.
pub(crate) async fn exchange(address: &str, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Whoever refuses what is too long does not read the rest of it.
    let _ = stream.write_all(sent).await;
    let mut received = Vec::new();
    let reading = async {
        // A connection that is reset has said what it says.
        while stream
            .read_buf(&mut received)
            .await
            .is_ok_and(|count| count > 0)
        {}
    };
    let closed = tokio::time::timeout(LONG, reading).await;
    assert!(closed.is_ok(), "the connection stays open");
    received
}

/// Asks once.
pub(crate) async fn ask(address: &str, method: &str, path: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: log\r\nconnection: close\r\n\r\n");
    Answer::parse(&exchange(address, request.as_bytes()).await)
}

pub(crate) async fn get(address: &str, path: &str) -> Answer {
    ask(address, "GET", path).await
}

fn hashes(bytes: &[u8]) -> Vec<Digest> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    assert!(rest.is_empty());
    hashes.iter().copied().map(Digest::from_bytes).collect()
}

/// The receipt hashes in a bundle of entries.
fn entries(bytes: &[u8]) -> Vec<Digest> {
    let (entries, rest) = bytes.as_chunks::<34>();
    assert!(rest.is_empty());
    let hash = |entry: &[u8; 34]| {
        let hash = entry.strip_prefix(&[0, 32]).unwrap();
        Digest::from_bytes(hash.try_into().unwrap())
    };
    entries.iter().map(hash).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_and_entries_are_those_of_the_signed_head_and_of_every_receipt() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let keys = node.keys().await;
    let mut files = Vec::new();
    for turn in 0..5 {
        let decided = authorize(&node, echo(&format!("key-{turn}"), "hello")).await;
        files.push(decided.receipt.unwrap().file);
    }
    let answer = get(&node.address, "/log/default/checkpoint").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "public, max-age=1");
    let signed: Note = answer.text().parse().unwrap();
    let head: Checkpoint = signed.text().parse().unwrap();
    assert_eq!(head.origin, keys.origin());
    let size = head.size.get();

    let tile = get(&node.address, &format!("/log/default/tile/0/000.p/{size}")).await;
    assert_eq!(tile.status, 200, "{}", tile.text());
    assert_eq!(tile.headers["content-type"], "application/octet-stream");
    assert_eq!(tile.headers["cache-control"], "public, max-age=60");
    let leaves = hashes(&tile.body);
    let mut tree = Frontier::new();
    for leaf in &leaves {
        tree.append(*leaf).unwrap();
    }
    assert_eq!((tree.size(), tree.root()), (size, head.root));

    let path = format!("/log/default/tile/entries/000.p/{size}");
    let entries = entries(&get(&node.address, &path).await.body);
    assert_eq!(entries.iter().map(leaf_of).collect::<Vec<_>>(), leaves);
    for file in files {
        verify(&file, &keys).unwrap();
        let receipt = Receipt::parse(&file).unwrap();
        let leaf = usize::try_from(receipt.proof.leaf_index).unwrap();
        assert_eq!(entries[leaf], receipt.statement.receipt_hash());
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_tile_may_be_kept_for_ever_and_nothing_beyond_the_proven_head_is_shown() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    // One statement each, beside those that there are.
    let attempts = (0..256).map(|turn| {
        let (node, key) = (&node, format!("key-{turn}"));
        async move { authorize(node, echo(&key, "hello")).await }
    });
    futures_util::future::join_all(attempts).await;
    let full = get(&node.address, "/log/default/tile/0/000").await;
    assert_eq!((full.status, full.body.len()), (200, 8_192));
    assert_eq!(
        full.headers["cache-control"],
        "public, max-age=31536000, immutable"
    );
    let above = get(&node.address, "/log/default/tile/1/000.p/1").await;
    let mut tree = Frontier::new();
    for leaf in hashes(&full.body) {
        tree.append(leaf).unwrap();
    }
    assert_eq!(hashes(&above.body), [tree.root()]);
    let bundle = get(&node.address, "/log/default/tile/entries/000").await;
    assert_eq!((bundle.status, bundle.body.len()), (200, 256 * 34));
    for beyond in ["0/001", "0/001.p/255", "0/002.p/1", "1/000", "6/000.p/1"] {
        let answer = get(&node.address, &format!("/log/default/tile/{beyond}")).await;
        assert_eq!(answer.status, 404, "{beyond}");
        assert!(answer.text().contains("below the newest proven head"));
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_else_is_asked_gets_one_sentence() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    for (method, path, status, said) in [
        ("GET", "/", 404, "There is nothing here"),
        (
            "GET",
            "/log/other/checkpoint",
            404,
            "no proven head of `other`",
        ),
        (
            "GET",
            "/keys/other.json",
            404,
            "There is no log of `other`.",
        ),
        ("GET", "/log/default/tile/0/1", 400, "A tile is"),
        ("GET", "/log/De%66/checkpoint", 400, "not a name"),
        ("POST", "/log/default/checkpoint", 405, "Only GET, HEAD"),
        ("PRINT", "/keys/default.json", 405, "Only GET, HEAD"),
    ] {
        let answer = ask(&node.address, method, path).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.text().contains(said), "{}", answer.text());
        assert_eq!(answer.text().lines().count(), 1);
    }
    let keys = get(&node.address, "/keys/default.json").await;
    assert_eq!(KeySet::parse(&keys.body).unwrap(), node.keys().await);
    let jwks = get(&node.address, "/keys/default.jwks").await;
    assert_eq!(jwks.text(), node.keys().await.to_jwks());
    let head = ask(&node.address, "HEAD", "/keys/default.json").await;
    assert_eq!(head.headers["content-length"], keys.body.len().to_string());
    assert!(head.body.is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_that_is_too_long_is_refused_and_one_connection_serves_many_requests() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let long = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", "h".repeat(64 * 1024));
    let refused = exchange(&node.address, long.as_bytes()).await;
    // The system may drop the answer, because not all of the request was read.
    if !refused.is_empty() {
        assert_eq!(Answer::parse(&refused).status, 431);
    }
    let twice = "HEAD /keys/default.json HTTP/1.1\r\nhost: log\r\n\r\n\
                 GET / HTTP/1.1\r\nhost: log\r\nconnection: close\r\n\r\n";
    let answers = exchange(&node.address, twice.as_bytes()).await;
    let answers = String::from_utf8(answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{answers}");
    // The same port still answers what it was made for.
    let status = node.cluster().status(v1::StatusRequest {}).await.unwrap();
    assert!(status.into_inner().serving);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_stops_closes_connections_that_ask_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let mut silent = TcpStream::connect(&node.address).await.unwrap();
    let mut idle = TcpStream::connect(&node.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: log\r\n\r\n")
        .await
        .unwrap();
    assert!(idle.read(&mut [0; 1_024]).await.unwrap() > 0);
    node.stop().await;
    for stream in [&mut silent, &mut idle] {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "the connection stays open");
    }
}
