//! What an executor is about to do, for `receipt verify --mode execute`.
//!
//! Never takes a word of it from the receipt: the digest is the executor's own, or computed here from
//! the operation that it names.

use clap::Args;
use holdpoint_receipt::{
    Actor, Caller, Digest, Json, Name, Params, PermitId, Request, SessionId, StepId,
};

use crate::args::MaterialArgs;
use crate::digests::parse_digest;
use crate::inputs::{check_names, digests_of};
use crate::output::Failure;

/// The operation, or its digest.
#[derive(Debug, Args)]
pub(crate) struct AskedArgs {
    /// The digest of the request, as you computed it yourself
    #[arg(long, value_name = "HEX", value_parser = parse_digest, conflicts_with = "surface")]
    request_digest: Option<Digest>,
    /// The surface of the operation that you are about to carry out
    #[arg(long, value_name = "NAME", requires = "action")]
    surface: Option<Name>,
    /// What is to be done on it
    #[arg(long, value_name = "NAME", requires = "surface")]
    action: Option<Name>,
    #[command(flatten)]
    material: MaterialArgs,
    /// Who asked; the gate knows it as `loopback:NAME` [default: dev]
    #[arg(
        long,
        value_name = "NAME",
        env = "HOLDPOINT_CALLER",
        hide_env_values = true
    )]
    caller: Option<String>,
    /// On whose behalf it was asked
    #[arg(long, value_name = "TEXT", requires = "surface")]
    actor: Option<Actor>,
    /// The chain of steps that it belongs to
    #[arg(long, value_name = "ID", requires = "surface")]
    session: Option<SessionId>,
    /// The place in the session, from 1
    #[arg(
        long,
        value_name = "N",
        requires = "surface",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    step: Option<u64>,
    /// A permit that was to be COMMITTED first; can be repeated, in the order of the request
    #[arg(long = "after", value_name = "PERMIT", requires = "surface")]
    prerequisites: Vec<PermitId>,
}

impl AskedArgs {
    /// Whether there is an operation here at all.
    pub(super) fn is_given(&self) -> bool {
        let material = &self.material;
        self.request_digest.is_some()
            || self.surface.is_some()
            || !material.binds.is_empty()
            || !material.params.is_empty()
    }

    /// That it is named in one way, and whole.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let material = &self.material;
        if self.request_digest.is_none() && self.surface.is_none() {
            return Err(Failure::usage(
                "`--mode execute` needs what you are about to do: --surface and --action with the \
                 parameters, or --request-digest",
            ));
        }
        let has_material = !material.binds.is_empty() || !material.params.is_empty();
        if self.request_digest.is_some() && has_material {
            return Err(Failure::usage(
                "--param and --bind belong to --surface; --request-digest says it all",
            ));
        }
        check_names(&material.binds, &material.params)
    }

    /// The digest that a permit for it has, in this namespace.
    pub(super) fn digest(&self, namespace: &Name) -> Result<Digest, Failure> {
        self.check()?;
        if let Some(digest) = self.request_digest {
            return Ok(digest);
        }
        let (Some(surface), Some(action)) = (&self.surface, &self.action) else {
            return Err(Failure::usage("--surface and --action go together"));
        };
        let caller = self.caller.as_deref().unwrap_or("dev");
        let request = Request {
            namespace: namespace.clone(),
            caller: Caller::new(format!("loopback:{caller}")).map_err(Failure::usage)?,
            actor: self.actor.clone(),
            surface: surface.clone(),
            action: action.clone(),
            params: self.params()?,
            session: self.session.clone(),
            step: self.step()?,
            prerequisites: self.prerequisites.clone(),
        };
        request.check().map_err(Failure::usage)?;
        Ok(request.digest())
    }

    fn params(&self) -> Result<Params, Failure> {
        let material = &self.material;
        let digests = digests_of(&material.binds)?;
        let bound = material.binds.iter().zip(digests);
        let bound = bound.map(|(bind, digest)| (bind.param(), Json::str(digest.to_string())));
        let set = material.params.iter();
        let set = set.map(|param| (param.name.clone(), param.value.clone()));
        let members = Json::Object(bound.chain(set).collect());
        Params::from_json(members).map_err(Failure::usage)
    }

    fn step(&self) -> Result<Option<StepId>, Failure> {
        let step = self.step.map(|step| StepId::new(step.to_string()));
        step.transpose().map_err(Failure::usage)
    }
}
