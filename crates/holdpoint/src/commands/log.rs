//! `holdpoint log`: the log of statements itself: its head, proofs, and the whole of it.

mod export;
mod verify;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use holdpoint_client::{LogHead, LogProof};
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::merkle::verify_consistency;
use holdpoint_receipt::note::{NOTE_BYTES_MAX, Note};
use holdpoint_receipt::verify::verify_published;
use holdpoint_receipt::{Digest, KeySet, VerifyError};
use serde_json::Value;

use crate::exit::Exit;
use crate::gate::{GateArgs, block_on, read_failed};
use crate::inputs::read_file;
use crate::output::{Answer, Failure, number, optional};
use crate::progress::showing;
use crate::shelf;

/// Read and check the log of statements itself
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    Checkpoint(CheckpointArgs),
    Prove(ProveArgs),
    Consistency(ConsistencyArgs),
    Export(export::ExportArgs),
    Verify(verify::VerifyArgs),
}

/// Read the newest proven head
///
/// Keep it: whoever has one head can tell for ever whether anything before it was removed, put in or
/// changed, with `holdpoint log consistency`.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// Write it to this file and not to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    gate: GateArgs,
}

/// Prove that a leaf is in the log
#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    /// The leaf, from 0
    #[arg(long, value_name = "N")]
    leaf: u64,
    /// In the log of this size [default: that of the newest proven head]
    #[arg(long, value_name = "N")]
    size: Option<u64>,
    #[command(flatten)]
    gate: GateArgs,
}

/// Prove that the log has only grown since a head that was saved
///
/// Exit code 0: it has; 10: it has not, and the two heads together prove it.
#[derive(Debug, Args)]
pub(crate) struct ConsistencyArgs {
    /// The head that was saved, from `holdpoint log checkpoint`
    #[arg(value_name = "FILE")]
    checkpoint: PathBuf,
    #[command(flatten)]
    gate: GateArgs,
}

/// Does it.
pub(crate) fn perform(command: &LogCommand) -> Result<Answer, Failure> {
    match command {
        LogCommand::Checkpoint(args) => checkpoint(args),
        LogCommand::Prove(args) => prove(args),
        LogCommand::Consistency(args) => consistency(args),
        LogCommand::Export(args) => export::perform(args),
        LogCommand::Verify(args) => verify::perform(args),
    }
}

fn checkpoint(args: &CheckpointArgs) -> Result<Answer, Failure> {
    let (head, keys) = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let head = showing("fetching the head", reached.gate.log_checkpoint()).await;
        let head = head.map_err(|error| read_failed(&error))?;
        Ok((head, reached.gate.keys()))
    })?;
    let note = head.note.to_string();
    let witnesses = witnesses(&head.note, &keys);
    let answer = members(Answer::new("log-checkpoint"), &head.head)
        .member("note", note.as_str())
        .member("witnesses", witnesses.clone())
        .member(
            "out",
            optional(args.out.as_ref().map(|path| path.display())),
        );
    let Some(out) = &args.out else {
        return Ok(answer.line(note.trim_end()));
    };
    write(out, note.as_bytes())?;
    let behind = match witnesses.as_slice() {
        [] => String::new(),
        names => format!(", lines of {}", names.join(", ")),
    };
    Ok(answer.line(format!(
        "head of {} with {} leaves saved to {}{behind}",
        head.head.origin,
        head.head.size,
        out.display()
    )))
}

/// The names of the lines behind those of the nodes. Nobody has verified them here.
fn witnesses(note: &Note, keys: &KeySet) -> Vec<String> {
    let others = verify_published(note, keys).map(|(_, _, others)| others);
    let others = others.unwrap_or_default().iter();
    others.map(|line| line.name.to_string()).collect()
}

fn prove(args: &ProveArgs) -> Result<Answer, Failure> {
    let proof = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let proof = reached.gate.prove_inclusion(args.leaf, args.size);
        showing("fetching the proof", proof)
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let leaf_hash = proof.leaf_hash.map(|hash| hash.to_base64());
    let answer = shown(Answer::new("log-prove"), &proof)
        .member("leaf_index", number(args.leaf))
        .member("leaf_hash", leaf_hash.clone());
    Ok(answer.line(format!(
        "leaf {} is in the log of {} leaves: hash {}",
        args.leaf,
        proof.tree_size,
        leaf_hash.unwrap_or_default()
    )))
}

fn consistency(args: &ConsistencyArgs) -> Result<Answer, Failure> {
    let file = read_file(&args.checkpoint, NOTE_BYTES_MAX)?;
    let shown_path = args.checkpoint.display();
    let unfit = |why: &str| Failure::says(Exit::Failure, format!("`{shown_path}` {why}"));
    let saved = str::from_utf8(&file)
        .ok()
        .and_then(|text| text.parse().ok());
    let saved: Note = saved.ok_or_else(|| unfit("does not hold a signed head"))?;
    let (old, is_signed, proof) = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let keys = reached.gate.keys();
        let (old, is_signed) = match verify_published(&saved, &keys) {
            Ok((old, ..)) => (old, true),
            // It was believed when it was saved, and whoever saved it knows that.
            Err(VerifyError::KeyRevoked { .. }) => (own_head(&saved, &keys).map_err(unfit)?, false),
            Err(error) => return Err(unfit(&format!("is not believed: {error}"))),
        };
        let proof = reached.gate.prove_consistency(old.size.get(), None);
        let proof = showing("fetching the proof", proof).await;
        Ok((old, is_signed, proof.map_err(|error| read_failed(&error))?))
    })?;
    let new = &proof.newest.head;
    let sizes = (old.size.get(), new.size.get());
    let verified = verify_consistency(sizes.0, sizes.1, &old.root, &new.root, &proof.hashes);
    let answer = shown(Answer::new("log-consistency"), &proof)
        .member("first_size", number(sizes.0))
        .member("consistent", verified.is_ok());
    Ok(match verified {
        Ok(()) => answer.line(format!(
            "CONSISTENT  the log of {} leaves begins with the {} leaves of `{shown_path}`",
            sizes.1, sizes.0
        )),
        Err(_) if !is_signed => answer.exit(Exit::Degraded).line(format!(
            "INCONSISTENT  the log of {} leaves does not begin with the {} leaves of `{shown_path}`, whose \
             keys were marked as compromised since: to you it is a rewritten log, to others the file proves \
             nothing",
            sizes.1, sizes.0
        )),
        Err(_) => answer.exit(Exit::Degraded).line(format!(
            "INCONSISTENT  both heads are signed, and the log of {} leaves does not begin with the {} \
             leaves of `{shown_path}`: keep both, together they prove it",
            sizes.1, sizes.0
        )),
    })
}

/// The head of this log that a note is about, whoever signed it.
fn own_head(note: &Note, keys: &KeySet) -> Result<Checkpoint, &'static str> {
    let head: Option<Checkpoint> = note.text().parse().ok();
    head.filter(|head| head.origin == keys.origin())
        .ok_or("is about another log")
}

fn shown(answer: Answer, proof: &LogProof) -> Answer {
    let LogHead { head, note } = &proof.newest;
    let hashes = proof.hashes.iter().map(Digest::to_base64);
    members(answer, head)
        .member("hashes", hashes.collect::<Value>())
        .member("proof_size", number(proof.tree_size))
        .member("note", note.to_string())
}

fn members(answer: Answer, head: &Checkpoint) -> Answer {
    answer
        .member("origin", head.origin.to_string())
        .member("tree_size", number(head.size.get()))
        .member("root", head.root.to_base64())
}

fn write(out: &Path, content: &[u8]) -> Result<(), Failure> {
    shelf::write(out, content).map_err(|error| {
        let message = format!("cannot write `{}`: {error}", out.display());
        Failure::says(Exit::Failure, message)
    })
}
