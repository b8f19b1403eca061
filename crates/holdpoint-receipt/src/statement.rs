//! The canonical record of a decision, of a permit's later step, or of a step of the gate itself.
//!
//! A statement is one flat JSON object in a restricted profile of RFC 8785: printable ASCII strings
//! without `"` and `\`, integers from 0 to 2^53-1, no nesting, no `null` (what is absent has no
//! member), at most [`STATEMENT_BYTES_MAX`] bytes. So `jq -cS` and every JCS library give the same
//! bytes, and [`Statement::receipt_hash`] is what `sha256sum` prints for them.
//!
//! The state machine makes statements. This module never decides anything, and nothing that could be
//! guessed (callers, keys) stands in a statement in clear: see [`commit`].

mod body;
mod codec;
mod commitment;
mod layout;
mod standing;
mod text;
mod words;

use std::fmt;

use crate::digest::{Digest, sha256};
use crate::json::{Json, JsonError, Limits, parse};
use crate::names::{ClusterId, ClusterTime, Name, NumberError, check_number};

pub use body::{Body, DecisionStatement, Grant, PermitStep, Verdict};
pub use commitment::{
    BOUNDS_MAX, BoundCommitments, BoundsError, MemberSalt, Salt, approvals_digest, commit,
    subject_digest,
};
pub use standing::{
    ApprovalStatement, DrainStatement, ErasedStatement, FrozenStatement, KeysStatement,
    PolicyStatement, SessionStatement,
};
pub use text::StatementText;
pub use words::{DrainMode, KeysChange, Kind, Outcome};

use codec::{Reader, Writer};

/// The longest statement.
pub const STATEMENT_BYTES_MAX: usize = 4096;

/// What every statement of this form says in its member `schema`.
pub const STATEMENT_SCHEMA: &str = "holdpoint.statement/1";

/// Where in the replicated log and in the namespace's log of statements a statement stands.
#[expect(
    clippy::struct_field_names,
    reason = "the members have these names in a statement"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    leaf_index: u64,
    log_index: u64,
    log_term: u64,
    entry_place: u32,
}

impl Place {
    /// Takes the leaf's index in the namespace's tree, and the index and term of the entry, with the
    /// place of the command in it.
    ///
    /// # Errors
    ///
    /// A number is 2^53 or more.
    pub const fn new(
        leaf_index: u64,
        log_index: u64,
        log_term: u64,
        entry_place: u32,
    ) -> Result<Self, NumberError> {
        match (
            check_number("the leaf index", leaf_index),
            check_number("the log index", log_index),
            check_number("the log term", log_term),
        ) {
            (Ok(leaf_index), Ok(log_index), Ok(log_term)) => Ok(Self {
                leaf_index,
                log_index,
                log_term,
                entry_place,
            }),
            (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => Err(error),
        }
    }

    /// The leaf's index in the namespace's tree, from 0.
    #[must_use]
    pub const fn leaf_index(&self) -> u64 {
        self.leaf_index
    }

    /// The index of the log entry.
    #[must_use]
    pub const fn log_index(&self) -> u64 {
        self.log_index
    }

    /// The term of the log entry.
    #[must_use]
    pub const fn log_term(&self) -> u64 {
        self.log_term
    }

    /// The place of the command in its entry, from 0.
    #[must_use]
    pub const fn entry_place(&self) -> u32 {
        self.entry_place
    }
}

/// What the gate states, once and for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The cluster history that states it.
    pub authority: ClusterId,
    /// The gate that it is about.
    pub namespace: Name,
    /// Where it stands.
    pub place: Place,
    /// The cluster time of its entry. For a grant, the moment from which the permit lives.
    pub issued_at: ClusterTime,
    /// Whether a development node made it, whose word nobody else should take.
    pub is_dev: bool,
    /// What is stated.
    pub body: Body,
}

impl Statement {
    /// The canonical bytes.
    #[must_use]
    pub fn to_canonical(&self) -> String {
        self.written().finish_canonical()
    }

    /// SHA-256 of the canonical bytes: the name of the receipt, and the leaf's input.
    #[must_use]
    pub fn receipt_hash(&self) -> Digest {
        sha256(self.to_canonical().as_bytes())
    }

    /// The statement as the flat object that a receipt embeds.
    #[must_use]
    pub fn to_json(&self) -> Json {
        self.written().finish()
    }

    fn written(&self) -> Writer {
        let mut writer = Writer::default();
        writer.put("schema", &Schema);
        writer.put("authority", &self.authority);
        writer.put("namespace", &self.namespace);
        writer.put("kind", &self.body.kind());
        writer.put("leaf_index", &self.place.leaf_index);
        writer.put("log_index", &self.place.log_index);
        writer.put("log_term", &self.place.log_term);
        writer.put("entry_place", &self.place.entry_place);
        writer.put("issued_at_ms", &self.issued_at);
        writer.put_optional("mode", self.is_dev.then_some(&DevMode));
        self.body.write(&mut writer);
        writer
    }

    /// Reads exactly what [`Statement::to_canonical`] wrote.
    ///
    /// # Errors
    ///
    /// [`StatementError`] names the first member that is missing, unknown or does not fit.
    pub fn parse(text: &[u8]) -> Result<Self, StatementError> {
        let value = parse(
            text,
            Limits {
                bytes_max: STATEMENT_BYTES_MAX,
                depth_max: 1,
            },
        )?;
        let statement = Self::from_json(value)?;
        if statement.to_canonical().as_bytes() != text {
            return Err(StatementError::NotCanonical);
        }
        Ok(statement)
    }

    /// Reads the flat object that a receipt embeds. It says nothing about the object's spelling.
    ///
    /// # Errors
    ///
    /// As for [`Statement::parse`].
    pub fn from_json(value: Json) -> Result<Self, StatementError> {
        let mut reader = Reader::new(value)?;
        reader.take::<Schema>("schema")?;
        let kind = reader.take("kind")?;
        let place = Place {
            leaf_index: reader.take("leaf_index")?,
            log_index: reader.take("log_index")?,
            log_term: reader.take("log_term")?,
            entry_place: reader.take("entry_place")?,
        };
        let statement = Self {
            authority: reader.take("authority")?,
            namespace: reader.take("namespace")?,
            place,
            issued_at: reader.take("issued_at_ms")?,
            is_dev: reader.take_optional::<DevMode>("mode")?.is_some(),
            body: Body::read(kind, &mut reader)?,
        };
        reader.finish()?;
        Ok(statement)
    }
}

/// Why a text is not a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The text is not JSON, or nested, or too long.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The text is not an object.
    #[error("a statement is a JSON object")]
    NotAnObject,
    /// The text is not the canonical form of what it says.
    #[error("the statement is not in its canonical form (RFC 8785)")]
    NotCanonical,
    /// A member is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member's value does not fit.
    #[error("`{0}` does not hold a value that this member can have")]
    Value(String),
    /// A member that statements of this kind do not have.
    #[error("`{0}` is not a member of this kind of statement")]
    UnknownMember(String),
    /// More bounds than a statement may name.
    #[error(transparent)]
    Bounds(#[from] BoundsError),
}

/// The one value of `schema`.
struct Schema;

/// The one value of `mode`.
struct DevMode;

/// A word as a member's value.
macro_rules! constant_member {
    ($type:ident, $word:expr) => {
        impl codec::Member for $type {
            fn write(&self, out: &mut String) {
                codec::write_text(out, $word);
            }

            fn from_json(value: &Json) -> Option<Self> {
                (value.as_str()? == $word).then_some(Self)
            }
        }
    };
}

constant_member!(Schema, STATEMENT_SCHEMA);
constant_member!(DevMode, "dev");

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_canonical())
    }
}
