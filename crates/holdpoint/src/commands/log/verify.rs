//! `holdpoint log verify`: checks a whole exported log offline.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use clap::Args;
use holdpoint_receipt::KeySet;
use holdpoint_receipt::export::{LINE_BYTES_MAX, LogError, LogReport, LogVerifier};
use holdpoint_receipt::note::{NOTE_BYTES_MAX, Note};

use super::members;
use crate::exit::Exit;
use crate::inputs::read_file;
use crate::output::{Answer, Failure, number};
use crate::trusted::KeySource;

/// Verify an exported log offline, with published keys only
///
/// Every statement must be the one of its leaf and follow the one that it must, every leaf be under
/// the head, the head signed by as many nodes as must, and the log have only grown since each head
/// that was saved. Exit code 0: it is so; 10: it is not; 11: these keys cannot say.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The log, from `holdpoint log export`
    #[arg(value_name = "FILE")]
    log: PathBuf,
    #[command(flatten)]
    keys: KeySource,
    /// A head of this log that was saved, from `holdpoint log checkpoint`; may be repeated
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
}

pub(super) fn perform(args: &VerifyArgs) -> Result<Answer, Failure> {
    let keys = match args.keys.read()? {
        Ok(keys) => keys,
        Err(untrusted) => {
            return Ok(refused(UNVERIFIABLE, untrusted.code, untrusted.sentence));
        }
    };
    let saved: Vec<Note> = args
        .checkpoint
        .iter()
        .map(|path| {
            let bytes = read_file(path, NOTE_BYTES_MAX)?;
            Ok(String::from_utf8(bytes)?.parse::<Note>()?)
        })
        .collect::<Result<_, Failure>>()?;
    let shown = args.log.display();
    let unread = |error| Failure::says(Exit::Failure, format!("cannot read `{shown}`: {error}"));
    let file = File::open(&args.log).map_err(unread)?;
    let verified = verify(BufReader::new(file), &keys, &saved).map_err(unread)?;
    Ok(match verified {
        Ok(report) => {
            let head = &report.head;
            let mut line = format!(
                "VALID  {} leaves of {}, {} statements, signed by {}",
                head.size,
                head.origin,
                report.statement_count,
                report.signers.len()
            );
            if report.saved_count > 0 {
                line.push_str(", grown from every saved head");
            }
            let mut answer = members(Answer::new("log-verify"), head).line(line);
            let runs = report.absent.iter();
            let runs: Vec<String> = runs.map(|(first, last)| run(*first, *last)).collect();
            if !runs.is_empty() {
                answer = answer.line(format!(
                    "without their statements: leaves {}; retention takes statements away, and whoever \
                     exported the log can leave them out too",
                    runs.join(", ")
                ));
            }
            answer
                .member("absent", runs)
                .member("verdict", "VALID")
                .member("statements", number(report.statement_count))
        }
        Err(error) => {
            let verdict = match error.code() {
                // Keys that are older than the log give these too.
                "UNKNOWN_KEY" | "UNKNOWN_SCHEMA" | "LOG_KEYS_STATEMENT" => UNVERIFIABLE,
                _ => ("INVALID", Exit::Degraded),
            };
            refused(verdict, error.code(), error.to_string())
        }
    })
}

/// A run of leaves, as people write it.
fn run(first: u64, last: u64) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    }
}

const UNVERIFIABLE: (&str, Exit) = ("UNVERIFIABLE", Exit::NoQuorum);

fn refused((word, exit): (&'static str, Exit), code: &'static str, sentence: String) -> Answer {
    Answer::new("log-verify")
        .exit(exit)
        .line(format!("{word}  {code}  {sentence}"))
        .member("verdict", word)
        .member("code", code)
        .member("sentence", sentence)
}

/// Reads line by line, so that a log of any length fits.
fn verify(
    mut file: BufReader<File>,
    keys: &KeySet,
    saved: &[Note],
) -> std::io::Result<Result<LogReport, LogError>> {
    let mut verifier = match LogVerifier::new(keys, saved) {
        Ok(verifier) => verifier,
        Err(error) => return Ok(Err(error)),
    };
    // A longer line is cut off here, and malformed then.
    let line_bytes_max = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    loop {
        let mut line = Vec::new();
        (&mut file)
            .take(line_bytes_max)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(verifier.finish());
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        if let Err(error) = verifier.push(line) {
            return Ok(Err(error));
        }
    }
}
