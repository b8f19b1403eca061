//! `holdpoint receipt open`: shows one member that a statement hides.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use holdpoint_receipt::open::{self, Field};
use holdpoint_receipt::statement::{MemberSalt, Salt};
use holdpoint_receipt::{Digest, verify};

use super::{KeysArgs, Problem, field_of, read_receipt};
use crate::describe::describe;
use crate::output::{Answer, Failure};
use crate::visible::visible;

/// The answer's schema.
const SCHEMA: &str = "receipt-open";

/// Show offline that a receipt is about a value that it holds only as a commitment
///
/// The receipt is verified first. One value and its member's salt show that member and no other.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// The receipt; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    receipt: PathBuf,
    #[command(flatten)]
    keys: KeysArgs,
    /// The member and its value, such as `caller=loopback:ci` or `bound.workspace=workspace/prod-eu`
    ///
    /// Members: `caller`, `actor`, `session`, `idempotency_key`, `redemption`, `reason`, `inputs`,
    /// `bound.NAME`.
    #[arg(long, value_name = "NAME=VALUE")]
    field: Shown,
    /// The member's salt, 64 hex digits
    #[arg(long, value_name = "HEX", required_unless_present = "statement_salt")]
    salt: Option<Digest>,
    /// The statement's own salt, from which the member's follows: whoever has it can open every member
    #[arg(long, value_name = "HEX", conflicts_with = "salt")]
    statement_salt: Option<Digest>,
}

/// `--field NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    field: Field,
    value: String,
}

impl FromStr for Shown {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` shows nothing: give NAME=VALUE"))?;
        Ok(Self {
            field: field_of(name)?,
            value: value.to_owned(),
        })
    }
}

/// Shows it. Asks nobody.
pub(super) fn perform(args: &OpenArgs) -> Result<Answer, Failure> {
    let Shown { field, value } = &args.field;
    let member = field.member();
    let salt = match (args.salt, args.statement_salt) {
        (Some(salt), _) => MemberSalt::from_bytes(*salt.as_bytes()),
        (None, Some(salt)) => Salt::from_bytes(*salt.as_bytes()).of_member(&member),
        (None, None) => return Err(Failure::usage("--salt is missing")),
    };
    let file = read_receipt(&args.receipt)?;
    let keys = match args.keys.read()? {
        Ok(keys) => keys,
        Err(problem) => return Ok(problem.answer(SCHEMA)),
    };
    let verified = match verify(&file, &keys) {
        Ok(verified) => verified,
        Err(error) => return Ok(Problem::from(error).answer(SCHEMA)),
    };
    let statement = verified.statement();
    Ok(
        match open::field(statement, field, &salt, value.as_bytes()) {
            Ok(()) => Answer::new(SCHEMA)
                .line(format!("VALID  {member} is of `{}`", visible(value)))
                .line(format!("  {}", describe(statement)))
                .member("verdict", "VALID")
                .member("member", member)
                .member("value", value.as_str())
                .member("receipt_hash", verified.receipt_hash().to_string()),
            Err(error) => Problem::invalid(error.code(), &error).answer(SCHEMA),
        },
    )
}
