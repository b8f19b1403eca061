//! What is asked of the gate.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use holdpoint_proto::v1;
use holdpoint_receipt::{
    Actor, Caller, ClusterTime, Digest, IdempotencyKey, Json, Name, NameError, Params, PermitId,
    Request, RequestError, SessionId, StepId,
};

use crate::attempt::Attempt;
use crate::random::{RandomnessError, draw_name};
use crate::refusal::AttemptName;

/// Appended to the name of a bound input to name the parameter that holds its digest.
const DIGEST_SUFFIX: &str = "_sha256";

/// The namespace of operations that name none.
pub(crate) const NAMESPACE_DEFAULT: &str = "default";

/// Why an [`Operation`] cannot be asked for. Nothing was sent.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// A field or the parameters do not fit.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The idempotency key does not fit.
    #[error("`key`: {0}")]
    Key(NameError),
    /// A parameter is an integer that JSON does not keep exact.
    #[error("`{name}` is {value}, which is beyond ±9007199254740991 (2^53-1); give it as a string")]
    Integer {
        /// The parameter.
        name: String,
        /// Its value.
        value: u64,
    },
    /// The operation is for another namespace than the gate, whose keys verify its own receipts only.
    #[error("the operation is for namespace `{operation}`, the gate for `{gate}`; connect to that")]
    OtherNamespace {
        /// The operation's.
        operation: String,
        /// The gate's.
        gate: Name,
    },
    /// No idempotency key was given, and none could be drawn.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

/// The value of a material parameter: a string, a whole number, a boolean, a digest, or any JSON
/// without floats.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamValue(Value);

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Json(Json),
    /// Beyond `i64`, so beyond what a parameter can be; refused when the operation is used.
    Large(u64),
}

macro_rules! param_values {
    ($($type:ty, $value:ident => $json:expr;)*) => {$(
        impl From<$type> for ParamValue {
            fn from($value: $type) -> Self {
                Self(Value::Json($json))
            }
        }
    )*};
}

param_values! {
    Json, value => value;
    bool, value => Json::Bool(value);
    &str, value => Json::str(value);
    String, value => Json::Str(value);
    Digest, value => Json::Str(value.to_string());
    i64, value => Json::Int(value);
    i32, value => Json::Int(value.into());
    i16, value => Json::Int(value.into());
    i8, value => Json::Int(value.into());
    u32, value => Json::Int(value.into());
    u16, value => Json::Int(value.into());
    u8, value => Json::Int(value.into());
}

impl From<u64> for ParamValue {
    fn from(value: u64) -> Self {
        Self(
            i64::try_from(value).map_or(Value::Large(value), |value| Value::Json(Json::Int(value))),
        )
    }
}

/// One attempt at one irreversible operation: what is to be done, and the name of the attempt.
///
/// Asking twice with the same `Operation` is a retry: it has the same idempotency key and the same
/// `not_after`, and converges on the same decision. A clone that is taken after the first use is the
/// same attempt too. After anything is changed on it, and no key was given, it is another attempt
/// with another key.
///
/// Nothing is checked before the operation is used; [`Operation::check`] says what does not fit.
#[derive(Clone, Debug)]
pub struct Operation {
    namespace: String,
    surface: String,
    action: Option<String>,
    params: BTreeMap<String, ParamValue>,
    actor: Option<String>,
    session: Option<String>,
    step: Option<u64>,
    prerequisites: Vec<PermitId>,
    key: Option<String>,
    not_after: Option<ClusterTime>,
    /// Named at the first use, shared by clones from then on.
    attempt: OnceLock<Arc<Attempt>>,
}

impl Operation {
    /// An operation on `surface`, with no parameters, in the namespace of the gate.
    #[must_use]
    pub fn new(surface: impl Into<String>) -> Self {
        Self {
            namespace: String::new(),
            surface: surface.into(),
            action: None,
            params: BTreeMap::new(),
            actor: None,
            session: None,
            step: None,
            prerequisites: Vec::new(),
            key: None,
            not_after: None,
            attempt: OnceLock::new(),
        }
    }

    /// Every change makes it another attempt, which is named when it is used.
    fn changed(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self.attempt = OnceLock::new();
        self
    }

    /// Names the action; without it, the surface's only one is meant.
    #[must_use]
    pub fn action(self, action: impl Into<String>) -> Self {
        self.changed(|op| op.action = Some(action.into()))
    }

    /// Names the namespace; without it, the gate's is meant. A gate refuses any other.
    #[must_use]
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        self.changed(|op| op.namespace = namespace.into())
    }

    /// Sets a material parameter; of the same name, the last one stays. All parameters together may
    /// have 64 KiB.
    #[must_use]
    pub fn param(self, name: impl Into<String>, value: impl Into<ParamValue>) -> Self {
        self.changed(|op| {
            op.params.insert(name.into(), value.into());
        })
    }

    /// Binds a large input by its digest: sets the parameter `NAME_sha256`.
    #[must_use]
    pub fn bind_sha256(self, name: impl AsRef<str>, digest: Digest) -> Self {
        self.param(digest_param(name.as_ref()), digest)
    }

    /// On whose behalf, at most 256 characters. Evidence, never authority.
    #[must_use]
    pub fn actor(self, actor: impl Into<String>) -> Self {
        self.changed(|op| op.actor = Some(actor.into()))
    }

    /// The chain of steps that this belongs to, at most 128 characters.
    #[must_use]
    pub fn session(self, session: impl Into<String>) -> Self {
        self.changed(|op| op.session = Some(session.into()))
    }

    /// The place in the session, from 1.
    #[must_use]
    pub fn step(self, step: u64) -> Self {
        self.changed(|op| op.step = (step > 0).then_some(step))
    }

    /// Adds a permit that must be COMMITTED first; at most 32, none twice.
    #[must_use]
    pub fn prerequisite(self, permit: PermitId) -> Self {
        self.changed(|op| op.prerequisites.push(permit))
    }

    /// Names the attempt, at most 128 printable ASCII characters.
    ///
    /// The same key with another request is refused. Without a key, a random one is drawn when the
    /// operation is first used; every answer says it.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        self.changed(|op| op.key = Some(key.into()))
    }

    /// Says when the attempt ends: nothing is decided at or after this time of the cluster's clock,
    /// which may be 10 minutes ahead at most.
    ///
    /// Whoever stores a key in order to ask again from another process stores this with it, and so
    /// a late retry can never be taken for a new attempt. Without it, the gate's
    /// [`crate::GateBuilder::attempt_for`] counts from the first use, and a key that turns out to be
    /// in use already is asked for under the time that it has.
    #[must_use]
    pub fn not_after(self, not_after: ClusterTime) -> Self {
        self.changed(|op| op.not_after = Some(not_after))
    }

    /// The idempotency key: the one that was given, or the one drawn at the first use.
    #[must_use]
    pub fn attempt_key(&self) -> Option<&str> {
        match self.attempt.get() {
            Some(attempt) => Some(attempt.key().as_str()),
            None => self.key.as_deref(),
        }
    }

    /// The attempt as it is asked for, so that somebody else can ask again; none before the first use.
    #[must_use]
    pub fn attempt_name(&self) -> Option<AttemptName> {
        self.attempt.get().map(|attempt| attempt.name())
    }

    /// That every field fits. Whether the surface exists and takes these parameters is known to the
    /// gate only.
    ///
    /// # Errors
    ///
    /// [`OperationError`] names the field.
    pub fn check(&self) -> Result<(), OperationError> {
        if let Some(key) = &self.key {
            IdempotencyKey::new(key.as_str()).map_err(OperationError::Key)?;
        }
        let action = self.action.as_deref().unwrap_or(&self.surface);
        let anyone = Caller::new("anyone").map_err(|problem| field("caller", problem))?;
        self.request(NAMESPACE_DEFAULT, anyone, action).map(drop)
    }

    /// The action, if the operation names one.
    pub(crate) fn named_action(&self) -> Option<&str> {
        self.action.as_deref()
    }

    /// The request as the gate must understand it: ours in every field but the caller, and the action
    /// where none is named.
    pub(crate) fn request(
        &self,
        namespace_of_gate: &str,
        caller: Caller,
        action_of_gate: &str,
    ) -> Result<Request, OperationError> {
        let namespace = if self.namespace.is_empty() {
            namespace_of_gate
        } else {
            &self.namespace
        };
        let action = self.action.as_deref().unwrap_or(action_of_gate);
        let step = self.step.map(|step| step.to_string());
        let request = Request {
            namespace: Name::new(namespace).map_err(|problem| field("namespace", problem))?,
            caller,
            actor: optional("actor", self.actor.as_deref(), Actor::new)?,
            surface: Name::new(self.surface.as_str())
                .map_err(|problem| field("surface", problem))?,
            action: Name::new(action).map_err(|problem| field("action", problem))?,
            params: self.params()?,
            session: optional("session", self.session.as_deref(), SessionId::new)?,
            step: optional("step", step.as_deref(), StepId::new)?,
            prerequisites: self.prerequisites.clone(),
        };
        request.check()?;
        Ok(request)
    }

    fn params(&self) -> Result<Params, OperationError> {
        let mut members = BTreeMap::new();
        for (name, ParamValue(value)) in &self.params {
            match value {
                Value::Json(json) => members.insert(name.clone(), json.clone()),
                Value::Large(value) => {
                    return Err(OperationError::Integer {
                        name: name.clone(),
                        value: *value,
                    });
                }
            };
        }
        Ok(Params::from_json(Json::Object(members))?)
    }

    /// The attempt; named now if this is the first use.
    pub(crate) fn attempt(&self, not_after: ClusterTime) -> Result<Arc<Attempt>, OperationError> {
        if let Some(attempt) = self.attempt.get() {
            return Ok(Arc::clone(attempt));
        }
        let key = match &self.key {
            Some(key) => key.clone(),
            None => draw_name()?,
        };
        let key = IdempotencyKey::new(key).map_err(OperationError::Key)?;
        let attempt = Arc::new(match self.not_after {
            Some(given) => Attempt::given(key, given),
            None => Attempt::chosen(key, not_after),
        });
        // Of two first uses at once, one names the attempt for both.
        Ok(Arc::clone(self.attempt.get_or_init(|| attempt)))
    }

    /// The message, for a gate of this namespace.
    pub(crate) fn to_wire(&self, gate: &Name) -> Result<v1::Operation, OperationError> {
        if !self.namespace.is_empty() && self.namespace != gate.as_str() {
            let (operation, gate) = (self.namespace.clone(), gate.clone());
            return Err(OperationError::OtherNamespace { operation, gate });
        }
        Ok(v1::Operation {
            namespace: gate.to_string(),
            surface: self.surface.clone(),
            action: self.action.clone().unwrap_or_default(),
            params_json: self.params()?.as_json().to_canonical().into_bytes(),
            actor: self.actor.clone().unwrap_or_default(),
            session: self.session.clone().unwrap_or_default(),
            step: self.step.unwrap_or_default(),
            prerequisites: self.prerequisites.iter().map(PermitId::to_string).collect(),
        })
    }
}

/// The parameter that holds the digest of the bound input `name`.
pub(crate) fn digest_param(name: &str) -> String {
    format!("{name}{DIGEST_SUFFIX}")
}

fn field(field: &'static str, problem: NameError) -> OperationError {
    OperationError::Request(RequestError::Name { field, problem })
}

fn optional<T>(
    name: &'static str,
    text: Option<&str>,
    read: fn(String) -> Result<T, NameError>,
) -> Result<Option<T>, OperationError> {
    text.map(|text| read(text.to_owned()).map_err(|problem| field(name, problem)))
        .transpose()
}
