//! Objects whose members are exactly those of a form, taken one by one.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::Json;

/// The name of a member that is missing, unknown, or has another type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) String);

/// Members that were not read yet.
pub(crate) struct Members(BTreeMap<String, Json>);

impl Members {
    /// The members of an object; `what` names it where it is none.
    pub(crate) fn of(value: Json, what: &str) -> Result<Self, Misfit> {
        if let Json::Object(members) = value {
            Ok(Self(members))
        } else {
            Err(misfit(what))
        }
    }

    pub(crate) fn text(&mut self, member: &str) -> Result<String, Misfit> {
        match self.0.remove(member) {
            Some(Json::Str(text)) => Ok(text),
            _ => Err(misfit(member)),
        }
    }

    pub(crate) fn parsed<T: FromStr>(&mut self, member: &str) -> Result<T, Misfit> {
        self.text(member)?.parse().map_err(|_| misfit(member))
    }

    pub(crate) fn number(&mut self, member: &str) -> Result<u64, Misfit> {
        let value = self.0.remove(member).and_then(|value| value.as_int());
        let value = value.and_then(|value| u64::try_from(value).ok());
        value.ok_or_else(|| misfit(member))
    }

    pub(crate) fn array(&mut self, member: &str) -> Result<Vec<Json>, Misfit> {
        match self.0.remove(member) {
            Some(Json::Array(items)) => Ok(items),
            _ => Err(misfit(member)),
        }
    }

    /// That every member was taken.
    pub(crate) fn finish(self) -> Result<(), Misfit> {
        match self.0.into_keys().next() {
            Some(unknown) => Err(Misfit(unknown)),
            None => Ok(()),
        }
    }
}

fn misfit(member: &str) -> Misfit {
    Misfit(member.to_owned())
}
