//! What a caller asks for.

use holdpoint_receipt::{Actor, Caller, Name, Params, PermitId, Request, SessionId, StepId};

use super::{Malformed, namespace, optional, required};
use crate::v1::Operation;

/// A request whose action may be left to the policy: the surface's only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The action, where the caller named one.
    pub action: Option<Name>,
    namespace: Name,
    caller: Caller,
    actor: Option<Actor>,
    surface: Name,
    params: Params,
    session: Option<SessionId>,
    step: Option<StepId>,
    prerequisites: Vec<PermitId>,
}

impl Draft {
    /// Reads what `caller` sent.
    ///
    /// # Errors
    ///
    /// [`Malformed`] names the field that does not fit.
    pub fn parse(operation: Operation, caller: Caller) -> Result<Self, Malformed> {
        let prerequisites = operation.prerequisites.iter().map(|text| {
            text.parse::<PermitId>()
                .map_err(|error| Malformed::new("prerequisites", format_args!("`{text}`: {error}")))
        });
        let params = Params::parse(&operation.params_json)
            .map_err(|error| Malformed::new("params_json", error))?;
        let step = if operation.step == 0 {
            String::new()
        } else {
            operation.step.to_string()
        };
        let draft = Self {
            action: optional("action", operation.action, Name::new)?,
            namespace: namespace(&operation.namespace)?,
            caller,
            actor: optional("actor", operation.actor, Actor::new)?,
            surface: required("surface", operation.surface, Name::new)?,
            params,
            session: optional("session", operation.session, SessionId::new)?,
            step: optional("step", step, StepId::new)?,
            prerequisites: prerequisites.collect::<Result<_, _>>()?,
        };
        // The action is no part of what is checked here, so any name stands for it.
        let checked = draft.clone().with_action(draft.surface.clone());
        checked
            .check()
            .map_err(|error| Malformed::new("prerequisites", error))?;
        Ok(draft)
    }

    /// The namespace that is asked.
    #[must_use]
    pub const fn namespace(&self) -> &Name {
        &self.namespace
    }

    /// The surface.
    #[must_use]
    pub const fn surface(&self) -> &Name {
        &self.surface
    }

    /// The request, with `action` where the caller named none.
    #[must_use]
    pub fn with_action(self, action: Name) -> Request {
        Request {
            namespace: self.namespace,
            caller: self.caller,
            actor: self.actor,
            surface: self.surface,
            action: self.action.unwrap_or(action),
            params: self.params,
            session: self.session,
            step: self.step,
            prerequisites: self.prerequisites,
        }
    }
}
