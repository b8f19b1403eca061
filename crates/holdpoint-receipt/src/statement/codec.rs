//! Members of the flat object, read and written by type.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::str::FromStr;

use super::text::is_statement_character;
use super::{
    BoundCommitments, DrainMode, KeysChange, Kind, Outcome, StatementError, StatementText,
};
use crate::digest::{Digest, write_hex};
use crate::json::Json;
use crate::names::{
    ClusterId, ClusterTime, Fence, Name, NodeId, PermitId, PolicyVersion, TreeSize,
};
use crate::reason::{Decision, Reason};

/// A type that a member's value can have. Both directions agree: what `write` appends in its canonical
/// form, `from_json` reads as the same value.
pub(super) trait Member: Sized {
    fn write(&self, out: &mut String);
    fn from_json(value: &Json) -> Option<Self>;
}

/// Appends a string of the alphabet of statements, in which nothing is escaped.
pub(super) fn write_text(out: &mut String, text: &str) {
    debug_assert!(
        text.chars().all(is_statement_character),
        "our own words and digits"
    );
    out.push('"');
    out.push_str(text);
    out.push('"');
}

/// What stands between the quotes of a string without escapes.
fn unquoted(written: &str) -> Option<&str> {
    written.strip_prefix('"')?.strip_suffix('"')
}

fn text_from_json<T: FromStr>(value: &Json) -> Option<T> {
    value.as_str()?.parse().ok()
}

/// Words and names, parsed from the text that they are.
macro_rules! text_members {
    ($($type:ty),*) => {$(
        impl Member for $type {
            fn write(&self, out: &mut String) {
                write_text(out, self.as_str());
            }

            fn from_json(value: &Json) -> Option<Self> {
                text_from_json(value)
            }
        }
    )*};
}

text_members!(Name, Decision, Reason, Kind, Outcome, DrainMode, KeysChange);

/// Ids, shown in a form of their own.
macro_rules! shown_members {
    ($($type:ty),*) => {$(
        impl Member for $type {
            fn write(&self, out: &mut String) {
                // Writing to a String does not fail.
                let _ = write!(out, "\"{self}\"");
            }

            fn from_json(value: &Json) -> Option<Self> {
                text_from_json(value)
            }
        }
    )*};
}

shown_members!(ClusterId, PermitId);

impl Member for Digest {
    fn write(&self, out: &mut String) {
        out.push('"');
        // Writing to a String does not fail.
        let _ = write_hex(out, self.as_bytes());
        out.push('"');
    }

    fn from_json(value: &Json) -> Option<Self> {
        text_from_json(value)
    }
}

impl Member for StatementText {
    fn write(&self, out: &mut String) {
        write_text(out, self.as_str());
    }

    fn from_json(value: &Json) -> Option<Self> {
        Self::new(value.as_str()?)
    }
}

impl Member for u64 {
    fn write(&self, out: &mut String) {
        // Callers hold numbers below 2^53; a larger one would show as a value that no parser takes.
        let _ = write!(out, "{self}");
    }

    fn from_json(value: &Json) -> Option<Self> {
        Self::try_from(value.as_int()?).ok()
    }
}

impl Member for u32 {
    fn write(&self, out: &mut String) {
        u64::from(*self).write(out);
    }

    fn from_json(value: &Json) -> Option<Self> {
        Self::try_from(value.as_int()?).ok()
    }
}

/// Numbers with a name.
macro_rules! number_members {
    ($($type:ty),*) => {$(
        impl Member for $type {
            fn write(&self, out: &mut String) {
                self.get().write(out);
            }

            fn from_json(value: &Json) -> Option<Self> {
                Self::new(u64::from_json(value)?).ok()
            }
        }
    )*};
}

number_members!(Fence, NodeId, PolicyVersion, ClusterTime, TreeSize);

/// A member that was written.
struct Written {
    /// How its name begins, as a number: most names differ there already, and to compare numbers costs
    /// less.
    beginning: u64,
    name: Cow<'static, str>,
    /// Where its value is in the text.
    value: Range<usize>,
}

impl Written {
    /// The order of the canonical form. Names are ASCII, so bytes are in the order of UTF-16.
    fn order(&self, other: &Self) -> Ordering {
        self.beginning
            .cmp(&other.beginning)
            .then_with(|| self.name.cmp(&other.name))
    }
}

/// The first eight bytes as a number, with zeros behind a shorter name: in the order of the names, as far
/// as these bytes tell.
fn beginning_of(name: &str) -> u64 {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(name.as_bytes()) {
        *to = *from;
    }
    u64::from_be_bytes(first)
}

/// Collects members: a statement is written for each decision on each node, so nothing is made of a
/// value but its canonical text.
pub(super) struct Writer {
    members: Vec<Written>,
    /// The values, in the order in which they were put.
    values: String,
}

impl Default for Writer {
    fn default() -> Self {
        // A decision has 27 members and half as many digests.
        Self {
            members: Vec::with_capacity(32),
            values: String::with_capacity(1_280),
        }
    }
}

impl Writer {
    fn put_named(&mut self, name: Cow<'static, str>, value: &impl Member) {
        let start = self.values.len();
        value.write(&mut self.values);
        self.members.push(Written {
            beginning: beginning_of(&name),
            name,
            value: start..self.values.len(),
        });
    }

    pub(super) fn put(&mut self, member: &'static str, value: &impl Member) {
        self.put_named(Cow::Borrowed(member), value);
    }

    pub(super) fn put_optional(&mut self, member: &'static str, value: Option<&impl Member>) {
        if let Some(value) = value {
            self.put(member, value);
        }
    }

    pub(super) fn put_bounds(&mut self, bounds: &BoundCommitments) {
        for (name, commitment) in bounds.iter() {
            let member = Cow::Owned(BoundCommitments::member(name));
            self.put_named(member, commitment);
        }
    }

    /// The members with their values as they were written.
    fn written(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|member| {
            // The ranges are of this very text, in which every character is one byte.
            let value = self.values.get(member.value.clone());
            (member.name.as_ref(), value.unwrap_or_default())
        })
    }

    pub(super) fn finish(self) -> Json {
        Json::object(self.written().map(|(member, value)| {
            let value = match unquoted(value) {
                Some(text) => Json::str(text),
                // Beyond what a number may be, it shows as a value that no parser takes.
                None => Json::Int(value.parse().unwrap_or(i64::MAX)),
            };
            (member, value)
        }))
    }

    /// The canonical form of what [`Writer::finish`] gives.
    pub(super) fn finish_canonical(mut self) -> String {
        self.members.sort_unstable_by(Written::order);
        debug_assert!(
            self.members.is_sorted_by(|a, b| a.name < b.name),
            "a member is written once"
        );
        let mut out = String::with_capacity(self.length());
        for (member, value) in self.written() {
            out.push(if out.is_empty() { '{' } else { ',' });
            out.push('"');
            out.push_str(member);
            out.push_str("\":");
            out.push_str(value);
        }
        out.push('}');
        debug_assert_eq!(out.len(), self.length(), "it is as long as counted");
        out
    }

    /// Bytes of the canonical form. A statement is kept for as long as the gate, without room to spare.
    fn length(&self) -> usize {
        // Two quotes, a colon, and a brace or comma before each; one brace at the end.
        const AROUND: usize = 4;
        let names = self.members.iter().map(|member| member.name.len());
        let names = names.fold(0_usize, |sum, length| {
            sum.saturating_add(length).saturating_add(AROUND)
        });
        names.saturating_add(self.values.len()).saturating_add(1)
    }
}

/// Gives members out, each once.
pub(super) struct Reader(BTreeMap<String, Json>);

impl Reader {
    pub(super) fn new(value: Json) -> Result<Self, StatementError> {
        match value {
            Json::Object(members) => Ok(Self(members)),
            Json::Null | Json::Bool(_) | Json::Int(_) | Json::Str(_) | Json::Array(_) => {
                Err(StatementError::NotAnObject)
            }
        }
    }

    pub(super) fn take_optional<T: Member>(
        &mut self,
        member: &'static str,
    ) -> Result<Option<T>, StatementError> {
        let Some(value) = self.0.remove(member) else {
            return Ok(None);
        };
        let read = T::from_json(&value).ok_or_else(|| StatementError::Value(member.to_owned()))?;
        Ok(Some(read))
    }

    pub(super) fn take<T: Member>(&mut self, member: &'static str) -> Result<T, StatementError> {
        self.take_optional(member)?
            .ok_or(StatementError::Missing(member))
    }

    /// Takes every member whose name starts with `bound.`.
    pub(super) fn take_bounds(&mut self) -> Result<BoundCommitments, StatementError> {
        const PREFIX: &str = "bound.";
        let mut bounds = BoundCommitments::default();
        let is_bound = |member: &String| member.starts_with(PREFIX);
        while let Some(member) = self.0.keys().find(|member| is_bound(member)).cloned() {
            let value = self.0.remove(&member);
            let commitment = value.as_ref().and_then(Digest::from_json);
            let name = member
                .strip_prefix(PREFIX)
                .and_then(|name| Name::new(name).ok());
            match (name, commitment) {
                (Some(name), Some(commitment)) => bounds.insert(name, commitment)?,
                _ => return Err(StatementError::Value(member)),
            }
        }
        Ok(bounds)
    }

    /// That every member was taken.
    pub(super) fn finish(self) -> Result<(), StatementError> {
        match self.0.into_keys().next() {
            Some(member) => Err(StatementError::UnknownMember(member)),
            None => Ok(()),
        }
    }
}
