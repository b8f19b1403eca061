//! `holdpoint receipt chain PERMIT`: the story of one operation as the gate has it now.

use std::path::{Path, PathBuf};

use holdpoint_client::{DecisionOf, Opening, Receipt, Story};
use holdpoint_receipt::KeySet;
use serde_json::{Value, json};

use super::chain::told;
use super::short_name;
use crate::describe::describe;
use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, read_failed};
use crate::output::{Answer, Failure, number, optional};
use crate::progress::showing;
use crate::said;
use crate::shelf;
use crate::visible::visible;

/// The operation that a word names; none if it is the name of a file.
pub(super) fn named(word: &str) -> Option<DecisionOf> {
    if let Ok(permit) = word.parse() {
        return Some(DecisionOf::Permit(permit));
    }
    word.parse().ok().map(DecisionOf::Leaf)
}

/// Reads the story, verifies it and prints it.
pub(super) fn perform(
    of: DecisionOf,
    gate: &GateArgs,
    keys: Option<KeySet>,
    out: Option<&Path>,
) -> Result<Answer, Failure> {
    let story = block_on(async {
        let reached = showing("connecting", gate.reach_under(keys)).await?;
        showing("reading the story", reached.gate.story(of))
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let saved = match out {
        Some(folder) => save(folder, &story.receipts)?,
        None => Vec::new(),
    };
    let request = story.request.as_ref();
    let request = request.map(holdpoint_receipt::Request::to_canonical);
    let mut answer = told(&story.chain, &story.openings)?;
    if let Some(request) = &request {
        answer = answer.line(format!("  request   {}", visible(request)));
    }
    if let Some(erasure) = &story.erasure {
        answer = answer.line(format!("  request   {}", said::erased(erasure)));
    }
    if story.approvals_missing > 0 {
        answer = answer.line(format!(
            "  the statements of {} approval(s) that it used are no longer kept",
            story.approvals_missing
        ));
    }
    if request.is_none() && story.erasure.is_none() {
        answer = answer.line("  request   no longer stored, or not for this caller");
    }
    if let Some(dispute) = &story.dispute {
        answer = answer.line(format!("  DISPUTED  {}", describe(dispute.statement())));
    }
    if let Some(folder) = out {
        answer = answer.line(format!(
            "  {} receipts saved to {}",
            saved.len(),
            folder.display()
        ));
    }
    let request: Value = match &request {
        Some(request) => serde_json::from_str(request)?,
        None => Value::Null,
    };
    let hash_of = |receipt: &Receipt| receipt.hash();
    Ok(answer
        .member("request", request)
        .member("erasure", said::erasure(story.erasure.as_ref()))
        .member("approvals_missing", story.approvals_missing)
        .member("dispute", dispute(&story)?)
        .member(
            "dispute_hash",
            optional(story.dispute.as_ref().map(hash_of)),
        )
        .member("openings", openings(&story.openings))
        .member("saved", saved))
}

fn dispute(story: &Story) -> Result<Value, Failure> {
    let Some(dispute) = &story.dispute else {
        return Ok(Value::Null);
    };
    let statement = dispute.statement().to_canonical();
    Ok(serde_json::from_str(&statement)?)
}

fn openings(openings: &[Opening]) -> Value {
    let each = openings.iter().map(|opening| {
        json!({
            "leaf_index": number(opening.leaf_index),
            "field": short_name(&opening.field),
            "value": opening.value,
        })
    });
    each.collect()
}

/// A file for each receipt, named by its leaf: a folder that `receipt verify` takes as a whole.
fn save(folder: &Path, receipts: &[Receipt]) -> Result<Vec<String>, Failure> {
    let mut saved = Vec::new();
    for receipt in receipts {
        let leaf = receipt.statement().place.leaf_index();
        let path: PathBuf = folder.join(format!("leaf-{leaf}.json"));
        shelf::write(&path, receipt.file()).map_err(|error| {
            let message = format!("cannot write `{}`: {error}", path.display());
            Failure::says(Exit::Failure, message)
        })?;
        saved.push(path.display().to_string());
    }
    Ok(saved)
}
