//! `holdpoint receipt chain`: the story of one operation, from the files of its receipts.

use std::path::PathBuf;

use clap::Args;
use holdpoint_receipt::chain::{self, Chain, Standing};
use holdpoint_receipt::statement::Outcome;
use holdpoint_receipt::{Verified, verify};
use serde_json::{Value, json};

use super::{KeysArgs, Problem, read_receipt};
use crate::describe::describe;
use crate::output::{Answer, Failure, number, optional};

/// The answer's schema.
const SCHEMA: &str = "receipt-chain";

/// Verify offline that receipts are the whole story of one operation
///
/// Its approvals, its decision and each later step, in whatever order the files are named. None may be
/// left out between two; the approvals may be, all of them. It cannot say that nothing came after the
/// last one: only the gate knows that.
#[derive(Debug, Args)]
pub(crate) struct ChainArgs {
    /// The receipts
    #[arg(value_name = "FILE", required = true)]
    receipts: Vec<PathBuf>,
    #[command(flatten)]
    keys: KeysArgs,
}

/// Verifies it. Asks nobody.
pub(super) fn perform(args: &ChainArgs) -> Result<Answer, Failure> {
    let files: Vec<_> = args
        .receipts
        .iter()
        .map(|path| read_receipt(path))
        .collect::<Result<_, _>>()?;
    let keys = match args.keys.read()? {
        Ok(keys) => keys,
        Err(problem) => return Ok(problem.answer(SCHEMA)),
    };
    // Each receipt by itself first: the chain is of verified ones.
    let mut receipts = Vec::new();
    for (path, file) in args.receipts.iter().zip(&files) {
        match verify(file, &keys) {
            Ok(verified) => receipts.push(verified),
            Err(error) => return Ok(Problem::from(error).of(path).answer(SCHEMA)),
        }
    }
    match chain::verify(receipts) {
        Ok(chain) => told(&chain),
        Err(error) => Ok(Problem::invalid(error.code(), &error).answer(SCHEMA)),
    }
}

fn told(chain: &Chain) -> Result<Answer, Failure> {
    let receipts: Vec<&Verified> = chain
        .approvals()
        .iter()
        .chain([chain.decision()])
        .chain(chain.steps())
        .collect();
    let word = standing(chain.standing());
    let mut answer = Answer::new(SCHEMA).line(format!(
        "VALID  {word}, by {} receipts of one operation",
        receipts.len()
    ));
    let mut statements = Vec::new();
    for receipt in receipts {
        let statement = receipt.statement();
        let (leaf, sentence) = (statement.place.leaf_index(), describe(statement));
        answer = answer.line(format!("  leaf {leaf}  {sentence}"));
        statements.push(json!({
            "leaf_index": number(leaf),
            "sentence": sentence,
            "receipt_hash": receipt.receipt_hash().to_string(),
            "statement": serde_json::from_str::<Value>(&statement.to_canonical())?,
        }));
    }
    if !chain.are_approvals_shown() {
        answer = answer.line("  the approvals that it used are not among the files");
    }
    let conflicts = chain.conflict_count();
    if conflicts > 0 {
        answer = answer.line(format!(
            "  {conflicts} later outcome(s) contradict the first"
        ));
    }
    let decided = chain.decision().statement().body.decision();
    let grant = decided.and_then(|decided| decided.verdict.grant());
    Ok(answer
        .member("verdict", "VALID")
        .member("standing", word)
        .member("permit", optional(grant.map(|grant| grant.permit_id)))
        .member("conflicts", conflicts)
        .member("approvals_shown", chain.are_approvals_shown())
        .member("statements", statements))
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Denied => "DENIED",
        Standing::Granted => "GRANTED",
        Standing::Redeemed => "REDEEMED",
        Standing::Completed(Outcome::Committed) => "COMMITTED",
        Standing::Completed(Outcome::Aborted) => "ABORTED",
        Standing::Revoked => "REVOKED",
        Standing::Superseded => "SUPERSEDED",
        Standing::Released => "RELEASED",
    }
}
