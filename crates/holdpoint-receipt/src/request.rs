//! What a caller asks for, in its one canonical form, and the digest that binds a permit to it.
//!
//! A request never holds an idempotency key, a deadline or anything else about one submission: equal
//! requests have one digest, whoever frames them and however.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::digest::{Digest, sha256_domain};
use crate::json::{Json, JsonError, Limits, parse};
use crate::names::{Actor, Caller, IdError, Name, NameError, PermitId, SessionId, StepId};

/// Separates request digests from every other digest.
pub const REQUEST_DOMAIN: &str = "holdpoint/request/v1";

/// How many prerequisites one request may name.
pub const PREREQUISITES_MAX: usize = 32;

/// The longest canonical request: the largest parameters, and room for everything around them.
pub const REQUEST_BYTES_MAX: usize = 72 * 1024;

const LIMITS: Limits = Limits {
    bytes_max: REQUEST_BYTES_MAX,
    depth_max: Limits::PARAMS.depth_max + 1,
};

/// Why something is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The text is not JSON as the gate accepts it.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A field does not fit its type.
    #[error("`{field}`: {problem}")]
    Name {
        /// The field.
        field: &'static str,
        /// What does not fit.
        problem: NameError,
    },
    /// A prerequisite is not a permit id.
    #[error("`prerequisites`: {0}")]
    Prerequisite(IdError),
    /// A field is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field has another type.
    #[error("`{field}` is {found}, it must be {expected}")]
    Type {
        /// The field.
        field: &'static str,
        /// What it is.
        found: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A field that requests do not have.
    #[error("`{0}` is not a field of a request")]
    UnknownField(String),
    /// The text is not the canonical form of what it says.
    #[error("the request is not in its canonical form (RFC 8785)")]
    NotCanonical,
    /// More prerequisites than a request may name.
    #[error("`prerequisites` names {count} permits, at most {PREREQUISITES_MAX} are accepted")]
    PrerequisitesTooMany {
        /// How many it names.
        count: usize,
    },
    /// A prerequisite is named twice.
    #[error("`prerequisites` names `{0}` twice")]
    PrerequisiteTwice(PermitId),
    /// The parameters are beyond their limits.
    #[error("`params` is not acceptable: {0}")]
    Params(JsonError),
    /// The parameters are longer than their limit in canonical form.
    #[error("`params` has {bytes} bytes in canonical form, at most {bytes_max} are accepted")]
    ParamsTooLong {
        /// Their length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The parameters are nested deeper than their limit.
    #[error("`params` is nested deeper than {} levels", Limits::PARAMS.depth_max)]
    ParamsTooDeep,
    /// An integer that was not read from text is beyond ±(2^53-1).
    #[error("`params` holds the integer {0}, which is beyond ±9007199254740991 (2^53-1)")]
    Integer(i64),
}

/// Material parameters: a JSON object within [`Limits::PARAMS`], in canonical form too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params(Json);

impl Params {
    /// Reads parameters as a caller frames them.
    ///
    /// # Errors
    ///
    /// The text is not an object as [`Json::parse`] accepts it.
    pub fn parse(text: &[u8]) -> Result<Self, RequestError> {
        Self::from_json(Json::parse(text).map_err(RequestError::Params)?)
    }

    /// Takes an object.
    ///
    /// # Errors
    ///
    /// It is not an object, holds an integer beyond ±[`crate::INT_MAX`], or is beyond
    /// [`Limits::PARAMS`] in canonical form.
    pub fn from_json(value: Json) -> Result<Self, RequestError> {
        if value.as_object().is_none() {
            let (found, expected) = (value.kind(), "an object");
            return Err(RequestError::Type {
                field: "params",
                found,
                expected,
            });
        }
        check_built(&value, Limits::PARAMS.depth_max)?;
        let bytes = value.to_canonical().len();
        let bytes_max = Limits::PARAMS.bytes_max;
        if bytes > bytes_max {
            return Err(RequestError::ParamsTooLong { bytes, bytes_max });
        }
        Ok(Self(value))
    }

    /// No parameters: `{}`.
    #[must_use]
    pub const fn none() -> Self {
        Self(Json::Object(BTreeMap::new()))
    }

    /// The object.
    #[must_use]
    pub const fn as_json(&self) -> &Json {
        &self.0
    }

    /// One parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.as_object()?.get(name)
    }

    /// The parameters in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), value))
    }
}

/// What the parser would have refused in a value that was built in memory, with `depth` levels left.
///
/// Done before the value is written, because the writer follows it however deep it is.
fn check_built(value: &Json, depth: usize) -> Result<(), RequestError> {
    let below = || depth.checked_sub(1).ok_or(RequestError::ParamsTooDeep);
    match value {
        Json::Int(integer) if Json::int(*integer).is_none() => Err(RequestError::Integer(*integer)),
        Json::Null | Json::Bool(_) | Json::Int(_) | Json::Str(_) => Ok(()),
        Json::Array(items) => {
            let below = below()?;
            items.iter().try_for_each(|item| check_built(item, below))
        }
        Json::Object(members) => {
            let below = below()?;
            members
                .values()
                .try_for_each(|item| check_built(item, below))
        }
    }
}

/// A request: who asks to do what, with which parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The gate that is asked.
    pub namespace: Name,
    /// The authenticated principal that asks.
    pub caller: Caller,
    /// On whose behalf.
    pub actor: Option<Actor>,
    /// The kind of effect.
    pub surface: Name,
    /// What is to be done on the surface.
    pub action: Name,
    /// The material parameters.
    pub params: Params,
    /// The chain of steps that this belongs to.
    pub session: Option<SessionId>,
    /// Its place in that chain.
    pub step: Option<StepId>,
    /// Permits that must be committed first, in the caller's order; at most [`PREREQUISITES_MAX`],
    /// none twice (see [`Request::check`]).
    pub prerequisites: Vec<PermitId>,
}

impl Request {
    /// The canonical form (RFC 8785). What is absent has no member.
    ///
    /// ```text
    /// {"action":…,"actor":…,"caller":…,"namespace":…,"params":{…},"prerequisites":["pmt_…"],
    ///  "session":…,"step":…,"surface":…}
    /// ```
    #[must_use]
    pub fn to_canonical(&self) -> String {
        let mut members = BTreeMap::new();
        let mut put = |key: &str, value: Json| members.insert(key.to_owned(), value);
        put("action", Json::str(self.action.as_str()));
        put("caller", Json::str(self.caller.as_str()));
        put("namespace", Json::str(self.namespace.as_str()));
        put("params", self.params.as_json().clone());
        put("surface", Json::str(self.surface.as_str()));
        if let Some(actor) = &self.actor {
            put("actor", Json::str(actor.as_str()));
        }
        if !self.prerequisites.is_empty() {
            let ids = self
                .prerequisites
                .iter()
                .map(|id| Json::str(id.to_string()))
                .collect();
            put("prerequisites", Json::Array(ids));
        }
        if let Some(session) = &self.session {
            put("session", Json::str(session.as_str()));
        }
        if let Some(step) = &self.step {
            put("step", Json::str(step.as_str()));
        }
        Json::Object(members).to_canonical()
    }

    /// The digest that binds a permit to this request.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest_of_canonical(self.to_canonical().as_bytes())
    }

    /// That the prerequisites are not too many and none is named twice.
    ///
    /// # Errors
    ///
    /// [`RequestError::PrerequisitesTooMany`] or [`RequestError::PrerequisiteTwice`].
    pub fn check(&self) -> Result<(), RequestError> {
        let count = self.prerequisites.len();
        if count > PREREQUISITES_MAX {
            return Err(RequestError::PrerequisitesTooMany { count });
        }
        let mut rest = self.prerequisites.as_slice();
        while let Some((first, others)) = rest.split_first() {
            if others.contains(first) {
                return Err(RequestError::PrerequisiteTwice(*first));
            }
            rest = others;
        }
        Ok(())
    }

    /// Reads a request that [`Request::to_canonical`] wrote.
    ///
    /// # Errors
    ///
    /// Anything else, also the same request in another spelling, is refused.
    pub fn parse_canonical(text: &[u8]) -> Result<Self, RequestError> {
        let request = Self::parse(text)?;
        if request.to_canonical().as_bytes() != text {
            return Err(RequestError::NotCanonical);
        }
        Ok(request)
    }

    /// Reads a request in any spelling.
    ///
    /// # Errors
    ///
    /// [`RequestError`] names the field that is missing, unknown or does not fit.
    pub fn parse(text: &[u8]) -> Result<Self, RequestError> {
        let value = parse(text, LIMITS)?;
        let (found, expected) = (value.kind(), "an object");
        let Json::Object(members) = value else {
            return Err(RequestError::Type {
                field: "request",
                found,
                expected,
            });
        };
        let mut fields = Fields(members);
        let request = Self {
            namespace: fields.required("namespace", Name::new)?,
            caller: fields.required("caller", Caller::new)?,
            actor: fields.optional("actor", Actor::new)?,
            surface: fields.required("surface", Name::new)?,
            action: fields.required("action", Name::new)?,
            params: Params::from_json(
                fields
                    .0
                    .remove("params")
                    .ok_or(RequestError::Missing("params"))?,
            )?,
            session: fields.optional("session", SessionId::new)?,
            step: fields.optional("step", StepId::new)?,
            prerequisites: fields.prerequisites()?,
        };
        if let Some(unknown) = fields.0.into_keys().next() {
            return Err(RequestError::UnknownField(unknown));
        }
        request.check()?;
        Ok(request)
    }
}

/// The digest of a request whose canonical form is at hand.
#[must_use]
pub fn digest_of_canonical(canonical: &[u8]) -> Digest {
    sha256_domain(REQUEST_DOMAIN, &[canonical])
}

/// Members that were not read yet.
struct Fields(BTreeMap<String, Json>);

impl Fields {
    fn optional<T>(
        &mut self,
        field: &'static str,
        read: fn(String) -> Result<T, NameError>,
    ) -> Result<Option<T>, RequestError> {
        match self.0.remove(field) {
            None => Ok(None),
            Some(Json::Str(text)) => read(text)
                .map(Some)
                .map_err(|problem| RequestError::Name { field, problem }),
            Some(other) => Err(RequestError::Type {
                field,
                found: other.kind(),
                expected: "a string",
            }),
        }
    }

    fn required<T>(
        &mut self,
        field: &'static str,
        read: fn(String) -> Result<T, NameError>,
    ) -> Result<T, RequestError> {
        self.optional(field, read)?
            .ok_or(RequestError::Missing(field))
    }

    fn prerequisites(&mut self) -> Result<Vec<PermitId>, RequestError> {
        let refused = |found: &Json| RequestError::Type {
            field: "prerequisites",
            found: found.kind(),
            expected: "an array of permit ids",
        };
        let Some(value) = self.0.remove("prerequisites") else {
            return Ok(Vec::new());
        };
        let items = value.as_array().ok_or_else(|| refused(&value))?;
        let ids = items.iter().map(|item| {
            let text = item.as_str().ok_or_else(|| refused(item))?;
            text.parse().map_err(RequestError::Prerequisite)
        });
        ids.collect()
    }
}
