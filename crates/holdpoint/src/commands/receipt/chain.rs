//! `holdpoint receipt chain`: the story of one operation, from the files of its receipts or from the
//! gate.

use std::path::{Path, PathBuf};

use clap::Args;
use holdpoint_client::Opening;
use holdpoint_receipt::chain::{self, Chain, Standing};
use holdpoint_receipt::statement::Outcome;
use holdpoint_receipt::{Verified, verify};
use serde_json::{Value, json};

use super::{Problem, read_receipt, short_name, story};
use crate::describe::describe;
use crate::gate::GateArgs;
use crate::output::{Answer, Failure, number, optional};
use crate::trusted::{self, TrustArgs};
use crate::visible::visible;

/// The answer's schema.
const SCHEMA: &str = "receipt-chain";

/// Verify that receipts are the whole story of one operation
///
/// Its approvals, its decision and each later step. Of a permit or a leaf, the gate is asked for every
/// statement up to now, each with a fresh proof, and for what of it this caller may see. Files are
/// verified offline, in whatever order they are named; then `--keys` or `--trust` is needed. None may be left out
/// between two; the approvals may be, all of them. Files cannot say that nothing came after the last
/// one: only the gate knows that.
#[derive(Debug, Args)]
pub(crate) struct ChainArgs {
    /// A permit (`pmt_…`), the leaf of a statement about it, or the files of the receipts
    #[arg(value_name = "PERMIT|LEAF|FILE", required = true)]
    what: Vec<String>,
    /// Save the receipts of a permit or leaf to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    gate: GateArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Verifies it.
pub(super) fn perform(args: &ChainArgs) -> Result<Answer, Failure> {
    if let [one] = args.what.as_slice()
        && let Some(of) = story::named(one)
    {
        let keys = match args.trust.read()?.transpose() {
            Ok(keys) => keys,
            Err(untrusted) => return Ok(Problem::from(untrusted).answer(SCHEMA)),
        };
        return story::perform(of, &args.gate, keys, args.out.as_deref());
    }
    if args.out.is_some() {
        return Err(Failure::usage(
            "--out is for the receipts of a permit or a leaf; these are files already",
        ));
    }
    let receipts: Vec<&Path> = args.what.iter().map(Path::new).collect();
    of_files(&receipts, args)
}

/// Verifies the chain of files. Asks nobody.
fn of_files(paths: &[&Path], args: &ChainArgs) -> Result<Answer, Failure> {
    let files: Vec<_> = paths
        .iter()
        .map(|path| read_receipt(path))
        .collect::<Result<_, _>>()?;
    let keys = match trusted::read(args.gate.keys.as_deref(), &args.trust)? {
        Ok(keys) => keys,
        Err(untrusted) => return Ok(Problem::from(untrusted).answer(SCHEMA)),
    };
    // Each receipt by itself first: the chain is of verified ones.
    let mut receipts = Vec::new();
    for (path, file) in paths.iter().zip(&files) {
        match verify(file, &keys) {
            Ok(verified) => receipts.push(verified),
            Err(error) => return Ok(Problem::from(error).of(path).answer(SCHEMA)),
        }
    }
    match chain::verify(receipts) {
        Ok(chain) => told(&chain, &[]),
        Err(error) => Ok(Problem::invalid(error.code(), &error).answer(SCHEMA)),
    }
}

/// The chain in words, with what is known to stand behind its commitments.
pub(super) fn told(chain: &Chain, openings: &[Opening]) -> Result<Answer, Failure> {
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
        for opening in openings.iter().filter(|opening| opening.leaf_index == leaf) {
            let value = opening.value.as_deref().map(visible).unwrap_or_default();
            let name = short_name(&opening.field);
            answer = answer.line(format!("          {name} = {value}"));
        }
        statements.push(json!({
            "leaf_index": number(leaf),
            "sentence": sentence,
            "receipt_hash": receipt.receipt_hash().to_string(),
            "statement": serde_json::from_str::<Value>(&statement.to_canonical())?,
        }));
    }
    if !chain.are_approvals_shown() {
        answer = answer.line("  the approvals that it used are not among these receipts");
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
