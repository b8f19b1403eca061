//! `policy history`: what was in force when, and what waits to be.

use clap::Args;
use holdpoint_client::{ActivationMode, PendingActivation};
use holdpoint_receipt::{Digest, Name};
use serde_json::{Value, json};

use crate::gate::{GateArgs, block_on, read_failed};
use crate::output::{Answer, Failure, number, optional};
use crate::progress::showing;
use crate::said::{self, short_sha256};
use crate::visible::visible;

/// Show every activation: which bundle, since when, by whom, and where its statement stands
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    gate: GateArgs,
}

/// Lists them, the newest last.
pub(super) fn perform(args: &HistoryArgs) -> Result<Answer, Failure> {
    let list = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        showing("reading the list", reached.gate.policies())
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let name = |digest: &Digest| {
        let stored = list.stored.iter().find(|stored| stored.digest == *digest);
        stored.map_or("(deleted)", |stored| stored.name.as_str())
    };
    let heading = "VERSION  SINCE                     LEAF      BUNDLE";
    let mut answer = Answer::new("policy-history").line(heading);
    for activation in &list.activations {
        let by = activation
            .activated_by
            .as_ref()
            .map_or_else(String::new, |by| format!(" by {}", visible(by.as_str())));
        answer = answer.line(format!(
            "{:<8} {}  {:<8}  {} ({}){by}",
            format!("v{}", activation.version),
            activation.activated_at,
            activation.leaf_index,
            name(&activation.digest),
            short_sha256(&activation.digest)
        ));
    }
    if let Some(pending) = &list.draining {
        answer = answer.line(pending_line(pending, name(&pending.digest)));
    }
    for shadow in &list.shadows {
        answer = answer.line(format!(
            "shadow   {} ({}) is evaluated beside it",
            name(shadow),
            short_sha256(shadow)
        ));
    }
    let activations: Value = list
        .activations
        .iter()
        .map(|activation| {
            json!({
                "version": number(activation.version.get()),
                "digest": activation.digest.to_string(),
                "activated_at_ms": said::time(activation.activated_at),
                "activated_by": optional(activation.activated_by.as_ref()),
                "leaf_index": number(activation.leaf_index),
            })
        })
        .collect();
    let shadows: Vec<String> = list.shadows.iter().map(Digest::to_string).collect();
    Ok(answer
        .member("activations", activations)
        .member("draining", list.draining.as_ref().map(pending_json))
        .member("shadows", shadows))
}

const fn word(mode: ActivationMode) -> &'static str {
    match mode {
        ActivationMode::Refuse => "refuse",
        ActivationMode::Drain => "drain",
        ActivationMode::Revoke => "revoke",
    }
}

fn pending_line(pending: &PendingActivation, name: &str) -> String {
    let surfaces: Vec<&str> = pending.surfaces.iter().map(Name::as_str).collect();
    format!(
        "drains   {}            {name} ({}) by {}; nothing is granted on {}",
        pending.since,
        short_sha256(&pending.digest),
        visible(pending.principal.as_str()),
        surfaces.join(", ")
    )
}

fn pending_json(pending: &PendingActivation) -> Value {
    let surfaces: Vec<&str> = pending.surfaces.iter().map(Name::as_str).collect();
    json!({
        "digest": pending.digest.to_string(),
        "mode": word(pending.mode),
        "surfaces": surfaces,
        "principal": pending.principal.as_str(),
        "since_ms": said::time(pending.since),
    })
}
