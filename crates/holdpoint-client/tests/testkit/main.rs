//! The testkit as users of it see it: the client, a bundle, scripted faults and a clock.
//!
//! No test sleeps, and none needs a node.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod approvals;
mod decisions;
mod faults;
mod page;
mod payment;
mod time;
mod waiting;

use holdpoint_client::testkit::{Bundle, Testbed};
use holdpoint_client::{Denied, Gate, Granted, Operation, Permit, Redeemed, Refusal, Silence};
use holdpoint_policy::starter;
use holdpoint_receipt::sha256;

fn bed() -> Testbed {
    Testbed::starter().unwrap()
}

/// The starter bundle with one text of its surfaces changed.
fn starter_with(text: &str, other: &str) -> Bundle {
    let files = starter::FILES.iter().map(|(path, content)| {
        let content = match *path {
            "surfaces.yaml" => {
                assert!(content.contains(text), "the starter bundle has no `{text}`");
                content.replace(text, other)
            }
            _ => (*content).to_owned(),
        };
        ((*path).to_owned(), content)
    });
    Bundle::new(files).unwrap()
}

fn echo(message: &str) -> Operation {
    Operation::new("demo.echo").param("message", message)
}

fn release(version: &str) -> Operation {
    Operation::new("deploy.release")
        .param("environment", "staging")
        .param("version", version)
        .bind_sha256("artifact", sha256(b"artifact"))
}

fn payment(invoice: &str, amount_minor: i64) -> Operation {
    Operation::new("payment.execute")
        .param("account", "main")
        .param("amount_minor", amount_minor)
        .param("currency", "EUR")
        .param("invoice", invoice)
}

fn export(dataset: &str) -> Operation {
    Operation::new("data.export")
        .param("dataset", dataset)
        .param("rows", 10)
        .bind_sha256("query", sha256(b"query"))
}

async fn granted(gate: &Gate, operation: &Operation) -> Permit<Granted> {
    gate.authorize(operation).await.unwrap()
}

async fn redeemed(gate: &Gate, operation: &Operation) -> Permit<Redeemed> {
    granted(gate, operation).await.redeem().await.unwrap()
}

async fn denied(gate: &Gate, operation: &Operation) -> Denied {
    match gate.authorize(operation).await {
        Err(Refusal::Denied(denied)) => denied,
        other => panic!("not denied: {other:?}"),
    }
}

async fn silent(gate: &Gate, operation: &Operation) -> Silence {
    match gate.authorize(operation).await {
        Err(Refusal::Silence(silence)) => silence,
        other => panic!("not silent: {other:?}"),
    }
}
