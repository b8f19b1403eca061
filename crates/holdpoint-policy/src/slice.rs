//! The policies of one action, made ready once, and what Cedar says of them.
//!
//! `cedar_policy` writes the condition of each policy anew for each request, checks a context against
//! the schema that was typed by it, and parses the names of its own functions. That is most of what an
//! answer costs, so this module asks the evaluator of `cedar_policy_core`, of the same pinned version,
//! and puts the results together as Cedar does: a forbid that holds denies, else a permit that holds
//! permits, else nothing does. Builds with debug assertions ask `cedar_policy` too, each time, and stop
//! where it says anything else.
//!
//! Nothing here decides what an error means: it is returned, whatever the other policies say.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{Effect, EntityUid, Policy as CedarPolicy};
use cedar_policy_core::ast::{
    Context, EntityUIDEntry, Expr, Literal, Request, SlotEnv, Value, ValueKind,
};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use holdpoint_receipt::Name;

use crate::policy::Inner;

/// The policies that could apply to an action, sorted by id. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slice(Vec<Arc<Condition>>);

/// A policy as the evaluator takes it.
#[derive(Debug)]
pub(crate) struct Condition {
    id: Name,
    effect: Effect,
    /// Principal, resource, `when` and `unless` in one expression. The action is not in it: a slice has
    /// only policies whose action is the one that is asked about.
    holds: Expr,
    #[cfg(debug_assertions)]
    policy: CedarPolicy,
}

impl Condition {
    /// The condition of `policy`, which has no open slots: bundles have no templates.
    pub(crate) fn of(id: Name, policy: &CedarPolicy) -> Self {
        Self {
            id,
            effect: policy.effect(),
            holds: holds(policy),
            #[cfg(debug_assertions)]
            policy: policy.clone(),
        }
    }

    fn is_forbid(&self) -> bool {
        self.effect == Effect::Forbid
    }
}

/// What has to hold for `policy` to apply, besides its action.
fn holds(policy: &CedarPolicy) -> Expr {
    let parsed: &cedar_policy_core::ast::Policy = policy.as_ref();
    let scope = [
        parsed.principal_constraint().as_expr(),
        parsed.resource_constraint().as_expr(),
    ];
    let terms = scope
        .into_iter()
        .chain(parsed.non_scope_constraints().cloned());
    let always = Expr::val(true);
    let terms: Vec<Expr> = terms.filter(|term| *term != always).collect();
    terms.into_iter().reduce(Expr::and).unwrap_or(always)
}

/// A question to Cedar. Everything in it was typed by the schema of the bundle.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) principal: &'a EntityUid,
    pub(crate) action: &'a EntityUid,
    pub(crate) resource: &'a EntityUid,
    pub(crate) context: Vec<(&'static str, Value)>,
}

/// What Cedar says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) is_permit: bool,
    /// The deciding policies, sorted.
    pub(crate) policies: Vec<Name>,
    /// The policies that could not be evaluated, in words.
    pub(crate) errors: BTreeSet<String>,
}

impl Slice {
    /// The policies in `conditions`, which are sorted by id.
    pub(crate) fn new(conditions: impl Iterator<Item = Arc<Condition>>) -> Self {
        let slice = Self(conditions.collect());
        assert!(
            slice.0.is_sorted_by(|one, next| one.id < next.id),
            "policies are sorted, none is there twice"
        );
        slice
    }

    /// The ids, sorted.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().map(|condition| &condition.id)
    }

    /// Whether the policy is among them.
    pub(crate) fn contains(&self, id: &str) -> bool {
        let found = self.0.binary_search_by(|it| it.id.as_str().cmp(id));
        found.is_ok()
    }

    /// The permits among them.
    pub(crate) fn permits(&self) -> Self {
        let permits = self.0.iter().filter(|condition| !condition.is_forbid());
        Self(permits.cloned().collect())
    }

    /// Asks Cedar about the entities of `bundle`.
    pub(crate) fn ask(&self, asked: Asked<'_>, bundle: &Inner) -> Said {
        let request = asked.into_request();
        #[cfg(debug_assertions)]
        let recommended = self.authorize(request.clone(), bundle);
        let said = self.evaluate(request, bundle);
        #[cfg(debug_assertions)]
        assert_eq!(said, recommended, "Cedar says the same");
        said
    }

    fn evaluate(&self, request: Request, bundle: &Inner) -> Said {
        let (entities, extensions) = (bundle.entities.as_ref(), Extensions::all_available());
        let evaluator = Evaluator::new(request, entities, extensions);
        let no_slots = SlotEnv::new();
        let (mut permits, mut forbids) = (Vec::new(), Vec::new());
        let mut errors = BTreeSet::new();
        for condition in &self.0 {
            let said = evaluator.interpret(&condition.holds, &no_slots);
            let holding = if condition.is_forbid() {
                &mut forbids
            } else {
                &mut permits
            };
            match said.map(|value| value.value) {
                Ok(ValueKind::Lit(Literal::Bool(true))) => holding.push(condition.id.clone()),
                Ok(ValueKind::Lit(Literal::Bool(false))) => {}
                Ok(other) => {
                    errors.insert(failed(&condition.id, format_args!("it is {other}")));
                }
                Err(why) => {
                    errors.insert(failed(&condition.id, format_args!("{why}")));
                }
            }
        }
        Said {
            is_permit: forbids.is_empty() && !permits.is_empty(),
            policies: if forbids.is_empty() { permits } else { forbids },
            errors,
        }
    }

    /// The same by the way that Cedar recommends, checked against the schema.
    #[cfg(debug_assertions)]
    fn authorize(&self, request: Request, bundle: &Inner) -> Said {
        use cedar_policy::{Authorizer, Decision, PolicySet};
        use cedar_policy_core::ast::RequestSchema;
        let schema: &cedar_policy_core::validator::ValidatorSchema = bundle.schema.cedar.as_ref();
        let fits = schema.validate_request(&request, Extensions::all_available());
        assert!(fits.is_ok(), "what was typed fits the schema: {fits:?}");
        let policies = self.0.iter().map(|condition| condition.policy.clone());
        let policies = PolicySet::from_policies(policies).unwrap_or_default();
        let authorizer = Authorizer::new();
        let response = authorizer.is_authorized(&request.into(), &policies, &bundle.entities);
        let ids: BTreeSet<&str> = response.diagnostics().reason().map(AsRef::as_ref).collect();
        let errors = response.diagnostics().errors();
        Said {
            is_permit: response.decision() == Decision::Allow,
            policies: ids
                .into_iter()
                .filter_map(|id| Name::new(id).ok())
                .collect(),
            errors: errors.map(ToString::to_string).collect(),
        }
    }
}

impl Asked<'_> {
    /// As Cedar takes it. Nothing is checked against the schema again.
    fn into_request(self) -> Request {
        let entry = |uid: &EntityUid| EntityUIDEntry::known(uid.clone().into(), None);
        let facts = self.context.into_iter();
        let facts = facts.map(|(name, value)| (name.into(), value)).collect();
        Request::new_unchecked(
            entry(self.principal),
            entry(self.action),
            entry(self.resource),
            Some(Context::Value(Arc::new(facts))),
        )
    }
}

/// The words of Cedar for a policy that cannot be evaluated.
fn failed(id: &Name, why: std::fmt::Arguments<'_>) -> String {
    format!("error while evaluating policy `{id}`: {why}")
}
