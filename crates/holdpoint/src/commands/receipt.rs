//! `holdpoint receipt`: checks a receipt offline, and gives an old one a fresh proof.

mod refresh;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use holdpoint_receipt::keys::KEYS_BYTES_MAX;
use holdpoint_receipt::receipt::RECEIPT_BYTES_MAX;
use holdpoint_receipt::statement::Verdict;
use holdpoint_receipt::{Body, ClusterTime, KeySet, Statement, Verified, VerifyError, verify};
use serde_json::Value;

use crate::describe::describe;
use crate::exit::Exit;
use crate::inputs::{read_file, read_start};
use crate::output::{Answer, Failure, number};
use crate::times::now;

/// Check receipts
#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    Verify(VerifyArgs),
    Refresh(refresh::RefreshArgs),
}

/// Verify a receipt offline, with published keys only
///
/// Says what was decided and who signed it. It cannot say whether a permit is live now: only the gate
/// knows that.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The receipt; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    receipt: PathBuf,
    /// The published keys, from `holdpoint keys export` by a way that you trust
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDPOINT_KEYS",
        hide_env_values = true
    )]
    keys: PathBuf,
}

/// Does it.
pub(crate) fn perform(command: &ReceiptCommand) -> Result<Answer, Failure> {
    match command {
        ReceiptCommand::Verify(args) => verify_file(args),
        ReceiptCommand::Refresh(args) => refresh::perform(args),
    }
}

/// Verifies it. Asks nobody.
fn verify_file(args: &VerifyArgs) -> Result<Answer, Failure> {
    let keys = read_file(&args.keys, KEYS_BYTES_MAX)?;
    // One byte beyond the limit is read, so that a file that is too long is said to be no receipt.
    let file = read_start(&args.receipt, RECEIPT_BYTES_MAX)?;
    let keys = match KeySet::parse(&keys) {
        Ok(keys) => keys,
        Err(error) => {
            let shown = args.keys.display();
            return Ok(failed(
                "UNVERIFIABLE",
                "KEYS_MALFORMED",
                &format!("`{shown}` does not hold published keys: {error}"),
            ));
        }
    };
    Ok(match verify(&file, &keys) {
        Ok(verified) => valid(&verified, now())?,
        Err(error) => {
            let word = if is_unverifiable(&error) {
                "UNVERIFIABLE"
            } else {
                "INVALID"
            };
            failed(word, error.code(), &error.to_string())
        }
    })
}

/// Whether other keys or a newer program could still find the receipt valid.
const fn is_unverifiable(error: &VerifyError) -> bool {
    matches!(
        error,
        VerifyError::UnknownKey { .. } | VerifyError::UnknownSchema
    )
}

fn failed(word: &str, code: &str, why: &str) -> Answer {
    let exit = if word == "INVALID" {
        Exit::Degraded
    } else {
        Exit::NoQuorum
    };
    Answer::new("receipt-verify")
        .exit(exit)
        .line(format!("{word}  {code}  {why}"))
        .member("verdict", word)
        .member("code", code)
        .member("sentence", why)
}

fn valid(verified: &Verified, now: ClusterTime) -> Result<Answer, Failure> {
    let statement = verified.statement();
    let nodes: Vec<String> = verified
        .signers()
        .iter()
        .map(|signer| format!("node {}", signer.node))
        .collect();
    let mut line = format!(
        "  signed by {} of {} needed: {} · log {}, leaf {} of {}",
        nodes.len(),
        verified.signers_needed(),
        nodes.join(", "),
        statement.namespace,
        statement.place.leaf_index(),
        verified.head().size,
    );
    if let Some(life) = life(statement, now) {
        let _ = write!(line, " · {life}");
    }
    if statement.is_dev {
        line.push_str(" · dev");
    }
    let signers: Value = verified
        .signers()
        .iter()
        .map(|signer| number(signer.node.get()))
        .collect();
    Ok(Answer::new("receipt-verify")
        .line(format!("VALID  {}", describe(statement)))
        .line(line)
        .member("verdict", "VALID")
        .member("receipt_hash", verified.receipt_hash().to_string())
        .member(
            "statement",
            serde_json::from_str::<Value>(&statement.to_canonical())?,
        )
        .member("signers", signers)
        .member("signers_needed", verified.signers_needed())
        .member("leaf_index", number(statement.place.leaf_index()))
        .member("tree_size", number(verified.head().size.get())))
}

/// What is left of a permit's time by this machine's clock. An aid for people; it proves nothing.
fn life(statement: &Statement, now: ClusterTime) -> Option<String> {
    let Body::Decision(decision) = &statement.body else {
        return None;
    };
    let Verdict::Permit(grant) = &decision.verdict else {
        return None;
    };
    Some(if grant.expires_at <= now {
        "expired (audit only)".to_owned()
    } else {
        format!("to be redeemed before {} (audit only)", grant.expires_at)
    })
}
