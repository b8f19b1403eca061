//! Members of the flat object, read and written by type.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::str::FromStr;

use super::text::is_statement_character;
use super::{
    BoundCommitments, DrainMode, KeysChange, Kind, Outcome, StatementError, StatementText,
};
use crate::digest::Digest;
use crate::json::{Json, canonical_object};
use crate::names::{
    ClusterId, ClusterTime, Fence, Name, NodeId, PermitId, PolicyVersion, TreeSize,
};
use crate::reason::{Decision, Reason};

/// A type that a member's value can have. Both directions agree: what `to_json` writes, `from_json`
/// reads as the same value.
pub(super) trait Member: Sized {
    fn to_json(&self) -> Json;
    fn from_json(value: &Json) -> Option<Self>;
}

fn text_to_json(text: &impl Display) -> Json {
    // The longest word and a digest fit; most members are digests.
    let mut shown = String::with_capacity(64);
    // Writing to a String does not fail.
    let _ = write!(shown, "{text}");
    debug_assert!(
        shown.chars().all(is_statement_character),
        "our own words and digits"
    );
    Json::Str(shown)
}

fn text_from_json<T: FromStr>(value: &Json) -> Option<T> {
    value.as_str()?.parse().ok()
}

/// What is shown and parsed as text.
macro_rules! text_members {
    ($($type:ty),*) => {$(
        impl Member for $type {
            fn to_json(&self) -> Json {
                text_to_json(self)
            }

            fn from_json(value: &Json) -> Option<Self> {
                text_from_json(value)
            }
        }
    )*};
}

text_members!(
    ClusterId, Name, Digest, PermitId, Decision, Reason, Kind, Outcome, DrainMode, KeysChange
);

impl Member for StatementText {
    fn to_json(&self) -> Json {
        Json::str(self.as_str())
    }

    fn from_json(value: &Json) -> Option<Self> {
        Self::new(value.as_str()?)
    }
}

impl Member for u64 {
    fn to_json(&self) -> Json {
        // Callers hold numbers below 2^53; a larger one would show as a value that no parser takes.
        Json::Int(i64::try_from(*self).unwrap_or(i64::MAX))
    }

    fn from_json(value: &Json) -> Option<Self> {
        Self::try_from(value.as_int()?).ok()
    }
}

impl Member for u32 {
    fn to_json(&self) -> Json {
        Json::Int(i64::from(*self))
    }

    fn from_json(value: &Json) -> Option<Self> {
        Self::try_from(value.as_int()?).ok()
    }
}

/// Numbers with a name.
macro_rules! number_members {
    ($($type:ty),*) => {$(
        impl Member for $type {
            fn to_json(&self) -> Json {
                self.get().to_json()
            }

            fn from_json(value: &Json) -> Option<Self> {
                Self::new(u64::from_json(value)?).ok()
            }
        }
    )*};
}

number_members!(Fence, NodeId, PolicyVersion, ClusterTime, TreeSize);

/// Collects members.
#[derive(Default)]
pub(super) struct Writer(Vec<(Cow<'static, str>, Json)>);

impl Writer {
    pub(super) fn put(&mut self, member: &'static str, value: &impl Member) {
        self.0.push((Cow::Borrowed(member), value.to_json()));
    }

    pub(super) fn put_optional(&mut self, member: &'static str, value: Option<&impl Member>) {
        if let Some(value) = value {
            self.put(member, value);
        }
    }

    pub(super) fn put_bounds(&mut self, bounds: &BoundCommitments) {
        for (name, commitment) in bounds.iter() {
            let member = Cow::Owned(BoundCommitments::member(name));
            self.0.push((member, commitment.to_json()));
        }
    }

    pub(super) fn finish(self) -> Json {
        let members = self.0.into_iter();
        Json::Object(
            members
                .map(|(member, value)| (member.into_owned(), value))
                .collect(),
        )
    }

    /// The canonical form of what [`Writer::finish`] gives, without making it: a statement is written for
    /// each decision on each node.
    pub(super) fn finish_canonical(mut self) -> String {
        // Names of members are ASCII, so bytes are in the order of UTF-16.
        self.0.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        debug_assert!(
            self.0.is_sorted_by(|(a, _), (b, _)| a < b),
            "a member is written once"
        );
        canonical_object(&self.0)
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
