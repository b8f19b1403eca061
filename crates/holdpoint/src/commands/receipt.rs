//! `holdpoint receipt`: checks receipts, shows what they hide, and gives an old one a fresh proof.
//!
//! `refresh`, `disclose` and the chain of a permit ask a gate. All else needs the published keys and
//! nothing more, and never says whether a permit is live now.

mod asked;
mod chain;
mod disclose;
mod open;
mod refresh;
mod sources;
mod story;
mod verify;

use std::error::Error;
use std::path::Path;

use clap::{Args, Subcommand};
use holdpoint_receipt::open::Field;
use holdpoint_receipt::receipt::RECEIPT_BYTES_MAX;
use holdpoint_receipt::{KeySet, VerifyError};

use crate::exit::Exit;
use crate::inputs::read_start;
use crate::output::{Answer, Failure};
use crate::trusted::{KeySource, Untrusted};

/// Check receipts
#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    Verify(verify::VerifyArgs),
    Chain(chain::ChainArgs),
    Open(open::OpenArgs),
    Disclose(disclose::DiscloseArgs),
    Refresh(refresh::RefreshArgs),
}

/// Does it.
pub(crate) fn perform(command: &ReceiptCommand) -> Result<Answer, Failure> {
    match command {
        ReceiptCommand::Verify(args) => verify::perform(args),
        ReceiptCommand::Chain(args) => chain::perform(args),
        ReceiptCommand::Open(args) => open::perform(args),
        ReceiptCommand::Disclose(args) => disclose::perform(args),
        ReceiptCommand::Refresh(args) => refresh::perform(args),
    }
}

/// The keys that receipts must verify against.
#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    source: KeySource,
}

impl KeysArgs {
    /// Reads them; a file that does not hold any is a problem to be told as a verdict.
    fn read(&self) -> Result<Result<KeySet, Problem>, Failure> {
        Ok(self.source.read()?.map_err(Problem::from))
    }
}

/// The member that a short name stands for, such as `caller` or `bound.workspace`.
fn field_of(name: &str) -> Result<Field, String> {
    let members = [
        name.to_owned(),
        format!("{name}_commitment"),
        format!("{name}_digest"),
    ];
    let field = members.iter().find_map(|member| Field::of_member(member));
    field.ok_or_else(|| {
        format!(
            "`{name}` is not a member that a statement hides: give caller, actor, session, \
             idempotency_key, redemption, reason, inputs or bound.NAME"
        )
    })
}

/// The short name that stands for a member.
fn short_name(field: &Field) -> String {
    let member = field.member();
    let short = member
        .strip_suffix("_commitment")
        .or_else(|| member.strip_suffix("_digest"));
    short.unwrap_or(&member).to_owned()
}

/// One byte beyond the limit is read, so that a file that is too long is said to be no receipt.
fn read_receipt(path: &Path) -> Result<Vec<u8>, Failure> {
    read_start(path, RECEIPT_BYTES_MAX)
}

/// Why a receipt is not taken.
#[derive(Clone, Debug)]
struct Problem {
    /// Whether other keys or a newer program could still find it valid.
    is_unverifiable: bool,
    /// The published code.
    code: &'static str,
    /// What is wrong.
    sentence: String,
}

impl Problem {
    /// A verdict that nothing will change.
    fn invalid(code: &'static str, error: &dyn Error) -> Self {
        Self {
            is_unverifiable: false,
            code,
            sentence: error.to_string(),
        }
    }

    /// The same of one file among several.
    fn of(mut self, path: &Path) -> Self {
        self.sentence = format!("`{}`: {}", path.display(), self.sentence);
        self
    }

    const fn word(&self) -> &'static str {
        if self.is_unverifiable {
            "UNVERIFIABLE"
        } else {
            "INVALID"
        }
    }

    const fn exit(&self) -> Exit {
        if self.is_unverifiable {
            Exit::NoQuorum
        } else {
            Exit::Degraded
        }
    }

    fn line(&self) -> String {
        format!("{}  {}  {}", self.word(), self.code, self.sentence)
    }

    fn answer(&self, schema: &'static str) -> Answer {
        Answer::new(schema)
            .exit(self.exit())
            .line(self.line())
            .member("verdict", self.word())
            .member("code", self.code)
            .member("sentence", self.sentence.as_str())
    }
}

impl From<Untrusted> for Problem {
    fn from(untrusted: Untrusted) -> Self {
        Self {
            is_unverifiable: true,
            code: untrusted.code,
            sentence: untrusted.sentence,
        }
    }
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        Self {
            is_unverifiable: matches!(
                error,
                VerifyError::UnknownKey { .. } | VerifyError::UnknownSchema
            ),
            code: error.code(),
            sentence: error.to_string(),
        }
    }
}
