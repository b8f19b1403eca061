//! Between the messages of `proto/holdpoint/v1` and our own words.
//!
//! From the wire: every field is parsed into the type that means it, or [`Malformed`] names the
//! field. To the wire: total. Nothing here knows a policy, a clock or a cluster.

mod answer;
mod approvals;
mod call;
mod decision;
mod operation;
mod permit;

#[cfg(test)]
mod tests;

use std::fmt::Display;

use holdpoint_receipt::{Digest, Name};

pub use answer::{decided_never, decided_unknown, refusal};
pub use approvals::{approval, missing_approval, pending};
pub use call::{CompleteCall, Completed, Named, REASON_BYTES_MAX, RedeemCall, ReleaseCall};
pub use decision::{decision, refused_bound, waiting};
pub use operation::Draft;
pub use permit::permit;

/// The namespace of a message that names none.
pub const NAMESPACE_DEFAULT: &str = "default";

/// A message that says nothing that we understand. Nothing was done with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {problem}")]
pub struct Malformed {
    field: &'static str,
    problem: String,
}

impl Malformed {
    /// Says what is wrong with `field`.
    pub fn new(field: &'static str, problem: impl Display) -> Self {
        Self {
            field,
            problem: problem.to_string(),
        }
    }

    /// The field of the message.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

/// The namespace that a message names.
///
/// # Errors
///
/// It is not a name.
pub fn namespace(text: &str) -> Result<Name, Malformed> {
    let text = if text.is_empty() {
        NAMESPACE_DEFAULT
    } else {
        text
    };
    Name::new(text).map_err(|error| Malformed::new("namespace", error))
}

/// A digest that must be there.
///
/// # Errors
///
/// It does not have 32 bytes.
pub fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, Malformed> {
    let exact: [u8; 32] = bytes.try_into().map_err(|_| {
        Malformed::new(
            field,
            format_args!("has {} bytes, a digest has 32", bytes.len()),
        )
    })?;
    Ok(Digest::from_bytes(exact))
}

/// A digest that may be absent.
///
/// # Errors
///
/// It has neither 0 nor 32 bytes.
pub fn optional_digest(field: &'static str, bytes: &[u8]) -> Result<Option<Digest>, Malformed> {
    if bytes.is_empty() {
        Ok(None)
    } else {
        digest(field, bytes).map(Some)
    }
}

/// A text that must be there.
fn required<T, E: Display>(
    field: &'static str,
    text: String,
    read: fn(String) -> Result<T, E>,
) -> Result<T, Malformed> {
    read(text).map_err(|error| Malformed::new(field, error))
}

/// A text that may be absent: empty.
fn optional<T, E: Display>(
    field: &'static str,
    text: String,
    read: fn(String) -> Result<T, E>,
) -> Result<Option<T>, Malformed> {
    if text.is_empty() {
        Ok(None)
    } else {
        required(field, text, read).map(Some)
    }
}
