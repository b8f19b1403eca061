//! JSON as material parameters may use it, and its one canonical form.
//!
//! The parser refuses everything that two readers could understand differently: duplicate keys,
//! floats in any spelling (`1.0`, `1e3`, `-0`), integers beyond ±(2^53-1), lone surrogates, invalid
//! UTF-8, and depth or size beyond [`Limits`]. It never repairs input and never rounds a number.

mod members;
mod parse;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(crate) use members::{Members, Misfit};
pub use parse::{JsonError, JsonProblem, parse};
pub(crate) use write::canonical_object;

/// The largest integer, 2^53-1. The smallest is its negative. Every JSON library keeps these exact.
pub const INT_MAX: i64 = (1 << 53) - 1;

/// A JSON value without floats.
///
/// An object keeps its members in a map, so the order in which they were written is forgotten. Two
/// values are equal exactly if their canonical forms are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer within ±[`INT_MAX`].
    Int(i64),
    /// A string of Unicode scalar values.
    Str(String),
    /// An array.
    Array(Vec<Json>),
    /// An object. Its keys are unique.
    Object(BTreeMap<String, Json>),
}

/// How much a parser accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of the whole text in bytes.
    pub bytes_max: usize,
    /// Arrays and objects inside each other; a scalar has depth 0, `[]` has depth 1.
    pub depth_max: usize,
}

impl Limits {
    /// The limits on material parameters.
    pub const PARAMS: Self = Self {
        bytes_max: 64 * 1024,
        depth_max: 16,
    };
}

impl Json {
    /// Reads one value under the limits of material parameters.
    ///
    /// # Errors
    ///
    /// [`JsonError`] says what was refused and at which byte.
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        parse(text, Limits::PARAMS)
    }

    /// The canonical form of RFC 8785: no white space, keys in the order of their UTF-16 code units,
    /// each string in its shortest escape.
    #[must_use]
    pub fn to_canonical(&self) -> String {
        let mut out = String::new();
        write::write(&mut out, self);
        out
    }

    /// Whether `text` is the canonical form of this value.
    pub(crate) fn is_written(&self, text: &[u8]) -> bool {
        let mut out = String::with_capacity(text.len());
        write::write(&mut out, self);
        out.as_bytes() == text
    }

    /// An integer, if `value` is within ±[`INT_MAX`].
    #[must_use]
    pub fn int(value: i64) -> Option<Self> {
        (-INT_MAX..=INT_MAX)
            .contains(&value)
            .then_some(Self::Int(value))
    }

    /// A string.
    #[must_use]
    pub fn str(value: impl Into<String>) -> Self {
        Self::Str(value.into())
    }

    /// An object of these members; of equal keys the last one stays.
    #[must_use]
    pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Object(
            members
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }

    /// The string, if this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The integer, if this is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The members, if this is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        if let Self::Object(members) = self {
            Some(members)
        } else {
            None
        }
    }

    /// The items, if this is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self {
            Some(items)
        } else {
            None
        }
    }

    /// What kind of value this is, for messages: `a string`, `an object` and so on.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Str(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}
