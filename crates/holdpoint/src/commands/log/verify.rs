//! `holdpoint log verify`: checks a whole exported log offline.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use clap::Args;
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::keys::KEYS_BYTES_MAX;
use holdpoint_receipt::merkle::{Frontier, leaf_of};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::verify::verify_published;
use holdpoint_receipt::{Digest, KeySet, Statement, sha256};
use serde::Deserialize;

use super::export::SCHEMA;
use super::members;
use crate::exit::Exit;
use crate::inputs::read_file;
use crate::output::{Answer, Failure, number};

/// The longest line: a statement or a note, with every character escaped.
const LINE_BYTES_MAX: u64 = 256 * 1024;

/// Verify an exported log offline, with published keys only
///
/// Every statement must be the one of its leaf, every leaf under the head, and the head signed by as
/// many nodes as must. Exit code 0: it is so; 10: it is not; 11: these keys cannot say.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The log, from `holdpoint log export`
    #[arg(value_name = "FILE")]
    log: PathBuf,
    /// The published keys, from `holdpoint keys export` by a way that you trust
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDPOINT_KEYS",
        hide_env_values = true
    )]
    keys: PathBuf,
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    leaf_hash: Option<String>,
    statement: Option<String>,
    checkpoint: Option<String>,
    schema: Option<String>,
}

/// What the file turned out to hold.
struct Verified {
    head: Checkpoint,
    statement_count: u64,
    signer_count: usize,
}

/// Why it is not believed: the first check that failed.
struct Invalid {
    code: &'static str,
    sentence: String,
}

fn invalid(code: &'static str, sentence: impl ToString) -> Invalid {
    let sentence = sentence.to_string();
    Invalid { code, sentence }
}

pub(super) fn perform(args: &VerifyArgs) -> Result<Answer, Failure> {
    let keys = KeySet::parse(&read_file(&args.keys, KEYS_BYTES_MAX)?)?;
    let shown = args.log.display();
    let unread = |error| Failure::says(Exit::Failure, format!("cannot read `{shown}`: {error}"));
    let file = File::open(&args.log).map_err(unread)?;
    let verified = verify(BufReader::new(file), &keys).map_err(unread)?;
    Ok(match verified {
        Ok(verified) => {
            let head = &verified.head;
            let line = format!(
                "VALID  {} leaves of {}, {} statements, signed by {}",
                head.size, head.origin, verified.statement_count, verified.signer_count
            );
            members(Answer::new("log-verify"), head)
                .line(line)
                .member("verdict", "VALID")
                .member("statements", number(verified.statement_count))
        }
        Err(Invalid { code, sentence }) => {
            let (word, exit) = match code {
                "UNKNOWN_KEY" | "UNKNOWN_SCHEMA" => ("UNVERIFIABLE", Exit::NoQuorum),
                _ => ("INVALID", Exit::Degraded),
            };
            Answer::new("log-verify")
                .exit(exit)
                .line(format!("{word}  {code}  {sentence}"))
                .member("verdict", word)
                .member("code", code)
                .member("sentence", sentence)
        }
    })
}

/// Reads line by line, so that a log of any length fits.
fn verify(mut file: BufReader<File>, keys: &KeySet) -> std::io::Result<Result<Verified, Invalid>> {
    let (mut tree, mut statement_count) = (Frontier::new(), 0_u64);
    loop {
        let mut bytes = Vec::new();
        (&mut file)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            let sentence = "the file ends without a head over its leaves";
            return Ok(Err(invalid("MALFORMED", sentence)));
        }
        let line = match serde_json::from_slice::<Line>(&bytes) {
            Ok(line) => line,
            Err(error) => {
                let sentence = format!("line {}: {error}", tree.size().saturating_add(1));
                return Ok(Err(invalid("MALFORMED", sentence)));
            }
        };
        if let Some(note) = &line.checkpoint {
            let is_last = file.fill_buf()?.is_empty();
            let head = check_head(note, line.schema.as_deref(), is_last, &tree, keys);
            return Ok(head.map(|(head, signer_count)| Verified {
                head,
                statement_count,
                signer_count,
            }));
        }
        if let Err(invalid) = check_leaf(&line, &mut tree, keys) {
            return Ok(Err(invalid));
        }
        statement_count = statement_count.saturating_add(u64::from(line.statement.is_some()));
    }
}

fn check_leaf(line: &Line, tree: &mut Frontier, keys: &KeySet) -> Result<(), Invalid> {
    let leaf = tree.size();
    let hash = line.leaf_hash.as_deref().and_then(Digest::from_base64);
    let hash = hash.ok_or_else(|| invalid("MALFORMED", format!("leaf {leaf} has no hash")))?;
    if let Some(text) = &line.statement {
        if leaf_of(&sha256(text.as_bytes())) != hash {
            let sentence = format!("the statement at leaf {leaf} is not the one of the leaf");
            return Err(invalid("RECEIPT_HASH_MISMATCH", sentence));
        }
        let statement = Statement::parse(text.as_bytes())
            .map_err(|error| invalid("STATEMENT_MALFORMED", format!("leaf {leaf}: {error}")))?;
        if statement.place.leaf_index() != leaf {
            let sentence = format!("the statement at leaf {leaf} is of another leaf");
            return Err(invalid("INCLUSION_PROOF", sentence));
        }
        if statement.authority != *keys.authority() {
            return Err(invalid("WRONG_AUTHORITY", format!("at leaf {leaf}")));
        }
        if statement.namespace != *keys.namespace() {
            return Err(invalid("WRONG_NAMESPACE", format!("at leaf {leaf}")));
        }
    }
    tree.append(hash)
        .map(|_| ())
        .map_err(|error| invalid("MALFORMED", error))
}

fn check_head(
    note: &str,
    schema: Option<&str>,
    is_last: bool,
    tree: &Frontier,
    keys: &KeySet,
) -> Result<(Checkpoint, usize), Invalid> {
    if schema != Some(SCHEMA) {
        return Err(invalid("UNKNOWN_SCHEMA", "the file is of another form"));
    }
    if !is_last {
        return Err(invalid("MALFORMED", "something follows the head"));
    }
    let note: Note = note
        .parse()
        .map_err(|error| invalid("CHECKPOINT_MALFORMED", error))?;
    let verified = verify_published(&note, keys);
    let (head, signers, _) = verified.map_err(|error| invalid(error.code(), error))?;
    if head.size.get() != tree.size() {
        let sentence = format!(
            "the head has {} leaves and the file {}",
            head.size,
            tree.size()
        );
        return Err(invalid("WRONG_SIZE", sentence));
    }
    if head.root != tree.root() {
        let sentence = "the leaves do not add up to the head: one was changed, put in or removed";
        return Err(invalid("WRONG_ROOT", sentence));
    }
    Ok((head, signers.len()))
}
