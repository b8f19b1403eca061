//! `holdpoint trust show`: what a trust bundle says, and who is said to have signed it.

use std::path::PathBuf;

use clap::Args;
use holdpoint_receipt::ClusterTime;
use holdpoint_receipt::keys::VerifierKey;
use holdpoint_receipt::trust::TrustBundle;
use serde_json::{Value, json};

use super::members;
use crate::exit::Exit;
use crate::output::{Answer, Failure};
use crate::times::now;
use crate::trusted;

/// Show a trust bundle; nothing of it is verified
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The trust bundle
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
}

/// Shows it.
pub(super) fn perform(args: &ShowArgs) -> Result<Answer, Failure> {
    let parsed = trusted::parse(&args.bundle)?;
    let bundle = parsed.map_err(|untrusted| Failure::says(Exit::Failure, untrusted.sentence))?;
    let content = bundle.content();
    let mut answer = Answer::new("trust-show").line(format!(
        "version {} of cluster {}, {}",
        content.version,
        content.authority,
        expiry(content.expires_at_ms)
    ));
    answer = answer.line(format!(
        "  {} of {} roots must sign; not verified here:",
        content.threshold,
        content.roots.len()
    ));
    for (what, roots) in [("root", &content.roots), ("former", &content.former_roots)] {
        for root in roots {
            let word = if bundle.is_signed_by(root) {
                "signed"
            } else {
                "-"
            };
            answer = answer.line(format!("  {what:<6}  {word:<6}  {root}"));
        }
    }
    let mut sets = Vec::new();
    for keys in &content.keys {
        let (epochs, marks) = (keys.epochs().len(), keys.revocations().len());
        answer = answer.line(format!(
            "  keys    {}  sha256 {}  epochs {epochs}, marked {marks}",
            keys.namespace(),
            keys.digest()
        ));
        sets.push(json!({
            "namespace": keys.namespace().as_str(),
            "keys_digest": keys.digest().to_string(),
            "epochs": epochs,
            "revoked": marks,
        }));
    }
    let roots =
        |roots: &[VerifierKey]| -> Value { roots.iter().map(|root| one(&bundle, root)).collect() };
    Ok(members(answer, &bundle)
        .member("roots", roots(&content.roots))
        .member("former_roots", roots(&content.former_roots))
        .member("keys", sets))
}

fn one(bundle: &TrustBundle, root: &VerifierKey) -> Value {
    json!({ "vkey": root.to_string(), "signed": bundle.is_signed_by(root) })
}

fn expiry(expires_at_ms: u64) -> String {
    match ClusterTime::new(expires_at_ms) {
        Ok(at) if at <= now() => format!("expired at {at}"),
        Ok(at) => format!("trusted until {at}"),
        Err(_) => format!("trusted until {expires_at_ms} ms"),
    }
}
