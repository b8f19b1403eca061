//! `holdpoint receipt verify`: what receipts say, and whether one is a permit for an operation.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use holdpoint_receipt::statement::Verdict;
use holdpoint_receipt::verify::{Execution, Live};
use holdpoint_receipt::{
    Body, ClusterTime, Digest, KeySet, Request, Statement, Verified, open, verify, verify_execute,
};
use serde_json::{Map, Value};

use super::asked::AskedArgs;
use super::{KeysArgs, Problem, sources};
use crate::describe::describe;
use crate::exit::Exit;
use crate::inputs::read_file;
use crate::output::{Answer, Failure, number};
use crate::times::now;

/// The answer's schema.
const SCHEMA: &str = "receipt-verify";

/// Bytes of a request at most: its parameters have 64 KiB, and other spellings of them are longer.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Verify receipts offline, with published keys only
///
/// Says what was decided and who signed it. It cannot say whether a permit is live now: only the gate
/// knows that. A folder stands for its files that end in `.json` or `.jsonl`, and a `.jsonl` file for
/// its lines, a receipt each: each gets a line, and the exit code is the worst.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The receipts, or folders or `.jsonl` files of them; `-` reads one from stdin
    #[arg(value_name = "FILE", required = true)]
    receipts: Vec<PathBuf>,
    #[command(flatten)]
    keys: KeysArgs,
    /// The request that they must be about, as JSON in whatever spelling
    #[arg(long, value_name = "FILE", conflicts_with_all = ["surface", "request_digest"])]
    request: Option<PathBuf>,
    /// What they are asked for
    #[arg(long, value_enum, default_value = "audit", value_name = "MODE")]
    mode: Mode,
    #[command(flatten)]
    asked: AskedArgs,
    /// Take a development node's word too
    #[arg(long)]
    accept_dev: bool,
}

/// What a receipt is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// What was decided, at any time later
    Audit,
    /// Whether it is a permit for exactly this operation that has not expired by this clock
    Execute,
}

/// Verifies them. Asks nobody.
pub(super) fn perform(args: &VerifyArgs) -> Result<Answer, Failure> {
    check(args)?;
    for path in &args.receipts {
        sources::check(path)?;
    }
    let request = args.request.as_deref().map(read_request).transpose()?;
    let keys = match args.keys.read()? {
        Ok(keys) => keys,
        Err(problem) => return Ok(problem.answer(SCHEMA)),
    };
    let request_digest = match (args.mode, &request) {
        (Mode::Audit, _) => None,
        (Mode::Execute, Some(request)) => Some(request.digest()),
        (Mode::Execute, None) => Some(args.asked.digest(keys.namespace())?),
    };
    let asked = Asked {
        keys: &keys,
        request: request.as_ref(),
        request_digest: request_digest.as_ref(),
        is_dev_accepted: args.accept_dev,
    };
    let mut judged = Vec::new();
    for path in &args.receipts {
        sources::each(path, &mut |name, file| {
            judged.push((name, asked.judge(file)?));
            Ok(())
        })?;
    }
    let is_bundle = args.receipts.iter().any(|path| sources::is_bundle(path));
    Ok(match <[_; 1]>::try_from(judged) {
        Ok([(_, one)]) if !is_bundle => one.answer(),
        Ok([one]) => bundle(vec![one]),
        Err(several) => bundle(several),
    })
}

/// Reads a request, however it is spelt: its digest is that of its canonical form.
fn read_request(path: &Path) -> Result<Request, Failure> {
    let text = read_file(path, REQUEST_BYTES_MAX)?;
    Request::parse(&text).map_err(|error| {
        let message = format!("`{}` is not a request: {error}", path.display());
        Failure::says(Exit::Failure, message)
    })
}

/// That the options fit the mode.
fn check(args: &VerifyArgs) -> Result<(), Failure> {
    match args.mode {
        Mode::Audit if args.asked.is_given() || args.accept_dev => Err(Failure::usage(
            "an operation and --accept-dev are for `--mode execute`; an audit takes every genuine \
             receipt, and with --request FILE those of one request",
        )),
        Mode::Execute
            if args.receipts.len() > 1
                || args.receipts.iter().any(|path| sources::is_bundle(path)) =>
        {
            Err(Failure::usage(
                "`--mode execute` takes one receipt: one permit is for one operation",
            ))
        }
        Mode::Execute if args.request.is_some() && args.asked.is_given() => Err(Failure::usage(
            "--request says the whole operation; leave --param, --bind and the rest out",
        )),
        Mode::Execute if args.request.is_some() => Ok(()),
        Mode::Audit => Ok(()),
        Mode::Execute => args.asked.check(),
    }
}

/// What each receipt is asked.
struct Asked<'a> {
    keys: &'a KeySet,
    /// The request that it must be about.
    request: Option<&'a Request>,
    /// The same in execute mode.
    request_digest: Option<&'a Digest>,
    is_dev_accepted: bool,
}

impl Asked<'_> {
    fn judge(&self, file: &[u8]) -> Result<Said, Failure> {
        let now = now();
        let Some(request_digest) = self.request_digest else {
            return match verify(file, self.keys) {
                Ok(verified) => self.audited(&verified, now),
                Err(error) => Ok(refused(&error.into())),
            };
        };
        let execution = Execution {
            request_digest,
            now_ms: now.get(),
            is_dev_accepted: self.is_dev_accepted,
        };
        match verify_execute(file, self.keys, &execution) {
            Ok(live) => executable(&live),
            Err(error) => Ok(refused(&error.into())),
        }
    }

    fn audited(&self, verified: &Verified, now: ClusterTime) -> Result<Said, Failure> {
        let statement = verified.statement();
        if let Some(request) = self.request
            && let Err(error) = open::request(statement, request)
        {
            return Ok(refused(&Problem::invalid(error.code(), &error)));
        }
        let life = life(statement, now);
        let mut said = valid(verified, life.as_deref())?;
        if let Some(request) = self.request {
            let digest = request.digest();
            said.lines.push(format!("  of this request: {digest}"));
            let member = Value::from(digest.to_string());
            said.members.insert("request_digest".to_owned(), member);
        }
        Ok(said)
    }
}

/// What there is to say about one receipt.
struct Said {
    exit: Exit,
    word: &'static str,
    lines: Vec<String>,
    talk: Option<String>,
    members: Map<String, Value>,
}

impl Said {
    fn answer(self) -> Answer {
        let mut answer = Answer::new(SCHEMA).exit(self.exit);
        for line in self.lines {
            answer = answer.line(line);
        }
        for (name, value) in self.members {
            answer = answer.member(&name, value);
        }
        match self.talk {
            Some(talk) => answer.talk(talk),
            None => answer,
        }
    }
}

fn refused(problem: &Problem) -> Said {
    let members = [
        ("verdict", problem.word()),
        ("code", problem.code),
        ("sentence", &problem.sentence),
    ];
    let members = members.into_iter();
    Said {
        exit: problem.exit(),
        word: problem.word(),
        lines: vec![problem.line()],
        talk: None,
        members: members
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect(),
    }
}

/// The line and the members of several receipts. INVALID counts more than UNVERIFIABLE.
fn bundle(receipts: Vec<(String, Said)>) -> Answer {
    let rank = |exit: Exit| match exit {
        Exit::Success => 0,
        Exit::NoQuorum => 1,
        _ => 2,
    };
    let count = |word: &str| {
        receipts
            .iter()
            .filter(|(_, said)| said.word == word)
            .count()
    };
    let words = ["VALID", "INVALID", "UNVERIFIABLE"];
    let counts = words.map(|word| (word, count(word)));
    let worst = receipts.iter().max_by_key(|(_, said)| rank(said.exit));
    let (exit, word) = worst.map_or((Exit::Success, "VALID"), |(_, said)| (said.exit, said.word));
    let mut answer = Answer::new(SCHEMA).exit(exit).member("verdict", word);
    let mut objects = Vec::new();
    for (path, said) in receipts {
        let line = said.lines.first().map(String::as_str).unwrap_or_default();
        answer = answer.line(format!("{path}: {line}"));
        let mut members = said.members;
        members.insert("file".to_owned(), Value::String(path));
        objects.push(Value::Object(members));
    }
    let shown = counts.map(|(word, count)| format!("{count} {word}"));
    answer = answer.line(format!("{} receipts: {}", objects.len(), shown.join(", ")));
    for (word, count) in counts {
        answer = answer.member(&word.to_lowercase(), count);
    }
    answer.member("receipts", objects)
}

/// A permit for what is about to be done.
fn executable(live: &Live) -> Result<Said, Failure> {
    let left_ms = live.left_ms();
    let left = format!("to be redeemed within {left_ms} ms");
    let mut said = valid(live.verified(), Some(&left))?;
    let permit = live.grant().permit_id;
    said.talk = Some(format!(
        "whether it was redeemed or revoked since, only the gate knows: holdpoint redeem {permit}"
    ));
    said.members.insert("left_ms".to_owned(), number(left_ms));
    Ok(said)
}

fn valid(verified: &Verified, left: Option<&str>) -> Result<Said, Failure> {
    let statement = verified.statement();
    let nodes = verified.signers().iter();
    let nodes: Vec<String> = nodes
        .map(|signer| format!("node {}", signer.node))
        .collect();
    let mut line = format!(
        "  signed by {} of {} needed: {} · log {}, leaf {} of {}",
        nodes.len(),
        verified.signers_needed(),
        nodes.join(", "),
        statement.namespace,
        statement.place.leaf_index(),
        verified.head().size,
    );
    if let Some(left) = left {
        let _ = write!(line, " · {left}");
    }
    if statement.is_dev {
        line.push_str(" · dev");
    }
    let signers = verified.signers().iter();
    let signers: Value = signers.map(|signer| number(signer.node.get())).collect();
    let members = [
        ("verdict", Value::from("VALID")),
        ("receipt_hash", verified.receipt_hash().to_string().into()),
        (
            "statement",
            serde_json::from_str::<Value>(&statement.to_canonical())?,
        ),
        ("signers", signers),
        ("signers_needed", verified.signers_needed().into()),
        ("leaf_index", number(statement.place.leaf_index())),
        ("tree_size", number(verified.head().size.get())),
    ];
    let members = members.into_iter();
    Ok(Said {
        exit: Exit::Success,
        word: "VALID",
        lines: vec![format!("VALID  {}", describe(statement)), line],
        talk: None,
        members: members
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    })
}

/// What is left of a permit's time by this machine's clock. An aid for people; it proves nothing.
fn life(statement: &Statement, now: ClusterTime) -> Option<String> {
    let Body::Decision(decision) = &statement.body else {
        return None;
    };
    let Verdict::Permit(grant) = &decision.verdict else {
        return None;
    };
    Some(if grant.expires_at <= now {
        "expired (audit only)".to_owned()
    } else {
        format!("to be redeemed before {} (audit only)", grant.expires_at)
    })
}
