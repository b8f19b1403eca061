//! `policy put`, `list`, `get` and `delete`: bundles in a cluster.

use std::path::PathBuf;

use clap::Args;
use holdpoint_client::{BundleFile, PutPolicyError};
use holdpoint_policy::{Bundle, directory};
use holdpoint_receipt::Digest;
use serde_json::{Value, json};

use super::offline;
use crate::digests::parse_digest;
use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, call_failed, read_failed};
use crate::output::{Answer, Failure, number, optional};
use crate::progress::showing;
use crate::said::{self, short_sha256};
use crate::shelf;

/// Store a bundle; it comes into force with `policy activate`
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The bundle's folder
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Check and test the bundle here, and store nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// List stored bundles and activations
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    gate: GateArgs,
}

/// Read a stored bundle, the one in force unless a digest is given
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The bundle's digest
    #[arg(value_name = "DIGEST", value_parser = parse_digest)]
    digest: Option<Digest>,
    /// Write its files into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    gate: GateArgs,
}

/// Delete a stored bundle that nothing names any more
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The bundle's digest
    #[arg(value_name = "DIGEST", value_parser = parse_digest)]
    digest: Digest,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// Stores it, or says what is wrong with it.
pub(super) fn put(args: &PutArgs) -> Result<Answer, Failure> {
    if args.dry_run {
        let tested = offline::tested(&args.directory)?;
        return Ok(tested.line("nothing was stored"));
    }
    let bundle = directory::read(&args.directory)?;
    let file = |(path, content): (&str, &[u8])| BundleFile {
        path: path.to_owned(),
        content: content.to_vec(),
    };
    let files: Vec<BundleFile> = bundle.files().map(file).collect();
    let stored = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        match showing("storing the bundle", reached.gate.put_policy(&files)).await {
            Ok(put) => Ok(Ok(put)),
            Err(PutPolicyError::Problems(problems)) => Ok(Err(problems)),
            Err(PutPolicyError::Call(error)) => Err(call_failed(&error, &args.gate.again)),
        }
    })?;
    let answer = Answer::new("policy-put");
    match stored {
        Ok(put) => {
            let word = if put.is_replay {
                "was stored before"
            } else {
                "stored"
            };
            Ok(answer
                .line(format!("{word}  sha256:{}", put.digest))
                .talk(format!(
                    "next: holdpoint policy activate {}{}",
                    put.digest, args.gate.again
                ))
                .member("digest", put.digest.to_string())
                .member("replay", put.is_replay)
                .member("problems", Value::Array(Vec::new())))
        }
        Err(problems) => {
            let located: Vec<String> = problems
                .iter()
                .map(|problem| args.directory.join(problem).display().to_string())
                .collect();
            let answer = located.iter().fold(answer, Answer::line);
            Ok(answer
                .exit(Exit::Failure)
                .line(match located.len() {
                    1 => "1 problem; nothing was stored".to_owned(),
                    count => format!("{count} problems; nothing was stored"),
                })
                .member("digest", Value::Null)
                .member("problems", located))
        }
    }
}

/// What is stored, and what was in force.
pub(super) fn list(args: &ListArgs) -> Result<Answer, Failure> {
    let list = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        showing("reading the list", reached.gate.policies())
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let name = |digest: &Digest| {
        let stored = list.stored.iter().find(|stored| stored.digest == *digest);
        stored.map_or("", |stored| stored.name.as_str())
    };
    let mut answer = Answer::new("policy-list").line("VERSION  SINCE                     BUNDLE");
    for activation in &list.activations {
        let (version, digest) = (activation.version, &activation.digest);
        answer = answer.line(format!(
            "{:<8} {}  {} (sha256:{digest})",
            format!("v{version}"),
            activation.activated_at,
            name(digest)
        ));
    }
    for stored in &list.stored {
        if !list
            .activations
            .iter()
            .any(|activation| activation.digest == stored.digest)
        {
            answer = answer.line(format!(
                "{:<8} {:<24}  {} (sha256:{})",
                "stored", "never in force", stored.name, stored.digest
            ));
        }
    }
    let stored: Value = list
        .stored
        .iter()
        .map(|stored| json!({ "digest": stored.digest.to_string(), "name": stored.name }))
        .collect();
    let activations: Value = list
        .activations
        .iter()
        .map(|activation| {
            json!({
                "version": number(activation.version.get()),
                "digest": activation.digest.to_string(),
                "activated_at_ms": said::time(activation.activated_at),
            })
        })
        .collect();
    Ok(answer
        .member("stored", stored)
        .member("activations", activations))
}

/// Reads a bundle, checks its digest, and writes its files.
pub(super) fn get(args: &GetArgs) -> Result<Answer, Failure> {
    let found = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let call = reached.gate.policy(args.digest);
        showing("reading the bundle", call)
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let bundle = Bundle::new(
        found
            .files
            .into_iter()
            .map(|file| (file.path, file.content)),
    )?;
    let digest = bundle.digest();
    if digest != found.digest || args.digest.is_some_and(|asked| asked != digest) {
        return Err(Failure::says(
            Exit::Silence,
            "RECEIPT_INVALID: the files are not those of the digest",
        ));
    }
    let state = match found.version {
        Some(version) => format!("in force as v{version}"),
        None => "not in force".to_owned(),
    };
    let mut answer = Answer::new("policy-get").line(format!("sha256:{digest}  {state}"));
    for (path, content) in bundle.files() {
        answer = answer.line(format!("  {path} ({} bytes)", content.len()));
        if let Some(out) = &args.out {
            let file = out.join(path);
            shelf::write(&file, content).map_err(|error| {
                Failure::says(
                    Exit::Failure,
                    format!("cannot write `{}`: {error}", file.display()),
                )
            })?;
        }
    }
    let files: Value = bundle
        .files()
        .map(|(path, content)| json!({ "path": path, "content": String::from_utf8_lossy(content) }))
        .collect();
    Ok(answer
        .member("digest", digest.to_string())
        .member(
            "version",
            found.version.map(|version| number(version.get())),
        )
        .member("files", files)
        .member(
            "out",
            optional(args.out.as_ref().map(|path| path.display())),
        ))
}

/// Deletes it, unless something names it.
pub(super) fn delete(args: &DeleteArgs) -> Result<Answer, Failure> {
    let shown = short_sha256(&args.digest);
    block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        if args.dry_run {
            let list = showing("reading the list", reached.gate.policies()).await;
            let list = list.map_err(|error| read_failed(&error))?;
            let is_stored = list
                .stored
                .iter()
                .any(|stored| stored.digest == args.digest);
            let line = if is_stored {
                "would be deleted if no receipt, permit, drain or shadow names it"
            } else {
                "is not stored"
            };
            return Ok(Answer::new("dry-run")
                .line(format!("{shown} {line}; nothing was changed"))
                .member("stored", is_stored));
        }
        let call = reached.gate.delete_policy(args.digest);
        let is_replay = showing("deleting it", call)
            .await
            .map_err(|error| call_failed(&error, &args.gate.again))?;
        let word = if is_replay {
            "was gone before"
        } else {
            "deleted"
        };
        Ok(Answer::new("policy-delete")
            .line(format!("{word}  {shown}"))
            .member("digest", args.digest.to_string())
            .member("replay", is_replay))
    })
}
