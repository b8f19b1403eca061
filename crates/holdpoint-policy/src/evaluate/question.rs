//! Everything that a request names, found in the bundle.

use cedar_policy::EntityUid;
use cedar_policy_core::ast::Value;
use holdpoint_receipt::{Name, Reason, Request};

use super::Silence;
use crate::policy::Inner;
use crate::surface::{Action, ResourceId, Surface};
use crate::typed::{self, Known, Misfit};

/// What is evaluated, once everything in the request has been found.
pub(crate) struct Question<'a> {
    pub(crate) request: &'a Request,
    pub(crate) surface: &'a Surface,
    pub(crate) action: &'a Action,
    pub(crate) principal: EntityUid,
    pub(crate) resource: EntityUid,
    /// The parameters as the record that they are typed by.
    pub(crate) params: Value,
}

impl Inner {
    /// Finds everything that the request names.
    pub(crate) fn question<'a>(&'a self, request: &'a Request) -> Result<Question<'a>, Silence> {
        let surface = self.surfaces.get(&request.surface).ok_or_else(|| {
            let sentence = format!(
                "the active policy does not register the surface `{}`",
                request.surface
            );
            Silence::new(Reason::UnknownSurface, sentence)
        })?;
        let action = surface.actions.get(&request.action).ok_or_else(|| {
            let known: Vec<&str> = surface.actions.keys().map(Name::as_str).collect();
            let (name, known) = (&request.action, known.join("`, `"));
            let sentence = format!(
                "the surface `{}` has no action `{name}`; it has `{known}`",
                surface.name
            );
            Silence::new(Reason::UnknownAction, sentence)
        })?;
        let members = request.params.as_json().as_object();
        let members = members
            .ok_or_else(|| Silence::new(Reason::InvalidParams, "`params` is not an object"))?;
        let known = Known {
            types: &self.types,
            entities: &self.entities,
        };
        let params =
            typed::record(&surface.params, members, known).map_err(|misfit| match misfit {
                Misfit::Type(why) => Silence::new(Reason::InvalidParams, why),
                Misfit::Entity(why) => Silence::new(Reason::EvaluationError, why),
            })?;
        let principal = self.principal(surface, request)?;
        let resource = self.resource(surface, request)?;
        Ok(Question {
            request,
            surface,
            action,
            principal,
            resource,
            params,
        })
    }

    fn principal(&self, surface: &Surface, request: &Request) -> Result<EntityUid, Silence> {
        let caller = request.caller.as_str();
        let unknown = |why: String| Silence::new(Reason::EvaluationError, why);
        let uid = if let Some(uid) = self.callers.get(&request.caller) {
            // A schema has no namespaces: the last part of a name is all of it.
            let type_name = uid.type_name().basename();
            if !surface.principals.iter().any(|name| name == type_name) {
                let name = &surface.name;
                return Err(unknown(format!(
                    "the caller `{caller}` is {uid}, which `{name}` does not accept"
                )));
            }
            uid.clone()
        } else {
            let [only] = surface.principals.as_slice() else {
                return Err(unknown(format!(
                    "the caller `{caller}` is not listed under `callers`"
                )));
            };
            self.types
                .uid(only, caller)
                .ok_or_else(|| unknown(format!("`{only}` is not an entity type")))?
        };
        if surface.principal_must_exist && self.entities.get(&uid).is_none() {
            return Err(unknown(format!(
                "the caller `{caller}` is {uid}, which is not in the bundle"
            )));
        }
        Ok(uid)
    }

    fn resource(&self, surface: &Surface, request: &Request) -> Result<EntityUid, Silence> {
        let id = match &surface.resource {
            ResourceId::Constant(id) => Some(id.clone()),
            ResourceId::Template(template) if template.is_one_value() => {
                template.render_raw(request)
            }
            ResourceId::Template(template) => template.render(request),
        };
        let uid = id.and_then(|id| self.types.uid(&surface.resource_type, &id));
        let uid =
            uid.ok_or_else(|| Silence::new(Reason::InvalidParams, "the resource cannot be named"))?;
        if surface.resource_must_exist && self.entities.get(&uid).is_none() {
            let sentence = format!("the resource {uid} is not in the bundle");
            return Err(Silence::new(Reason::EvaluationError, sentence));
        }
        Ok(uid)
    }
}
