//! `policy diff`: what one bundle changes of another.

use std::path::Path;

use clap::Args;
use holdpoint_client::Gate;
use holdpoint_policy::{Bundle, Difference, Policy, diff, directory};
use serde_json::{Value, json};

use super::offline::load;
use crate::digests::parse_digest;
use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, read_failed};
use crate::output::{Answer, Failure};
use crate::progress::showing;
use crate::said::short_sha256;

/// Names the bundle in force.
const ACTIVE: &str = "active";

/// Say what one bundle changes of another
///
/// Each of the two is a folder, the digest of a stored bundle, or `active` for the one in force. Two
/// folders are compared offline.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The bundle before
    #[arg(value_name = "BEFORE")]
    before: String,
    /// The bundle after
    #[arg(value_name = "AFTER")]
    after: String,
    #[command(flatten)]
    gate: GateArgs,
}

/// Compares them.
pub(super) fn perform(args: &DiffArgs) -> Result<Answer, Failure> {
    let (before, after) = block_on(async {
        let is_offline = is_folder(&args.before) && is_folder(&args.after);
        let gate = if is_offline {
            None
        } else {
            Some(showing("connecting", args.gate.reach()).await?.gate)
        };
        let before = bundle(&args.before, gate.as_ref()).await?;
        Ok((before, bundle(&args.after, gate.as_ref()).await?))
    })?;
    let (before, after) = (load(&before)?, load(&after)?);
    let differences = diff(&before, &after);
    let answer = Answer::new("policy-diff").line(format!(
        "{} ({}) -> {} ({})",
        before.name(),
        short_sha256(&before.digest()),
        after.name(),
        short_sha256(&after.digest())
    ));
    let answer = differences.iter().fold(answer, |answer, difference| {
        answer.line(format!(
            "{:<8} {:<9} {difference}",
            difference.part.as_str(),
            difference.change.as_str()
        ))
    });
    let answer = match differences.len() {
        0 => answer.line("they decide everything alike"),
        1 => answer.line("1 difference"),
        count => answer.line(format!("{count} differences")),
    };
    Ok(answer
        .member("before", digest_of(&before))
        .member("after", digest_of(&after))
        .member(
            "differences",
            differences.iter().map(as_json).collect::<Value>(),
        ))
}

fn is_folder(named: &str) -> bool {
    named != ACTIVE && Path::new(named).is_dir()
}

/// The bundle that is named.
async fn bundle(named: &str, gate: Option<&Gate>) -> Result<Bundle, Failure> {
    if is_folder(named) {
        return Ok(directory::read(Path::new(named))?);
    }
    let digest = match named {
        ACTIVE => None,
        named => Some(parse_digest(named).map_err(|_| {
            Failure::usage(format!(
                "`{named}` is no folder, no digest of 64 hex digits, and not `{ACTIVE}`"
            ))
        })?),
    };
    let Some(gate) = gate else {
        return Err(Failure::usage(format!("`{named}` went away")));
    };
    let call = gate.policy(digest);
    let found = showing("reading the bundle", call).await;
    let found = found.map_err(|error| read_failed(&error))?;
    let bundle = Bundle::new(
        found
            .files
            .into_iter()
            .map(|file| (file.path, file.content)),
    )?;
    let computed = bundle.digest();
    if computed != found.digest || digest.is_some_and(|asked| asked != computed) {
        return Err(Failure::says(
            Exit::Silence,
            "RECEIPT_INVALID: the files are not those of the digest",
        ));
    }
    Ok(bundle)
}

fn digest_of(policy: &Policy) -> Value {
    json!({ "name": policy.name().as_str(), "digest": policy.digest().to_string() })
}

fn as_json(difference: &Difference) -> Value {
    json!({
        "part": difference.part.as_str(),
        "name": difference.name,
        "change": difference.change.as_str(),
        "sentence": difference.sentence,
        "waits_for_permits": difference.waits_for_permits,
    })
}
