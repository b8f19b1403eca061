//! What a surface is once its declaration has been checked.

use std::collections::BTreeMap;

use cedar_policy::EntityUid;
use holdpoint_receipt::{BoundKey, Caller, Name};

use crate::schema::Record;
use crate::slice::Slice;
use crate::template::Template;

/// A registered kind of irreversible effect.
#[derive(Debug)]
pub(crate) struct Surface {
    pub(crate) name: Name,
    pub(crate) principals: Vec<String>,
    pub(crate) principal_must_exist: bool,
    pub(crate) actions: BTreeMap<Name, Action>,
    pub(crate) resource_type: String,
    pub(crate) resource: ResourceId,
    pub(crate) resource_must_exist: bool,
    pub(crate) params: Record,
    pub(crate) bounds: Vec<Bound>,
    pub(crate) approvals: Vec<Name>,
    pub(crate) terms: Terms,
}

/// The id of the resource: a constant, or made from the parameters.
#[derive(Debug)]
pub(crate) enum ResourceId {
    Constant(String),
    Template(Template),
}

/// A Cedar action with what is evaluated for it.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) uid: EntityUid,
    pub(crate) policies: Slice,
    /// The facts that the context of this action has.
    pub(crate) facts: Vec<ContextFact>,
}

/// A fact that a context may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContextFact {
    Now,
    Windows,
    Caller,
    Surface,
    Action,
    Approvals,
    Evidence,
    Params,
}

/// A bound that the surface declares.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) name: Name,
    pub(crate) kind: BoundKind,
    pub(crate) key: Template,
    /// The parameter that a budget sums.
    pub(crate) field: Option<String>,
    /// Where the surfaces file declares it.
    pub(crate) line: usize,
}

/// What a bound allows for each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BoundKind {
    /// One live permit.
    Exclusive,
    /// One committed effect, and so one live permit.
    Once {
        /// How long the effect is remembered; for ever if there is none.
        kept_for_ms: Option<u64>,
    },
    /// So many live permits.
    Capacity {
        /// How many, 1 to 2^53-1.
        limit: u64,
    },
    /// The sum of a parameter over the live and committed permits that were issued in one window.
    Budget {
        /// The largest sum, 1 to 2^53-1.
        limit: u64,
        /// The length of a window. Windows count from 1970-01-01T00:00:00Z.
        window_ms: u64,
    },
}

impl BoundKind {
    /// The word of the surfaces file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Once { .. } => "once",
            Self::Capacity { .. } => "capacity",
            Self::Budget { .. } => "budget",
        }
    }
}

/// A bounded operation that a request claims.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The name of the bound.
    pub bound: Name,
    /// What the bound allows.
    pub kind: BoundKind,
    /// The rendered key. Two requests for different values never share one.
    pub key: BoundKey,
    /// What is claimed of it: the summed parameter of a budget (0 charges nothing), 1 of every other
    /// kind. At most 2^53-1.
    pub amount: u64,
}

/// Who may redeem a permit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Executor {
    /// The caller that asked for it.
    Caller,
    /// This principal.
    Named(Caller),
}

/// What becomes of a permit whose command ran and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailedExit {
    /// Nobody knows whether the effect happened: the bounds stay held until somebody says.
    #[default]
    InDoubt,
    /// The author of the bundle says that a failing command has had no effect.
    Aborted,
}

/// What a permit of a surface carries besides its claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Who may redeem it. Sorted, never empty.
    pub executors: Vec<Executor>,
    /// How long it can be redeemed.
    pub permit_for_ms: u64,
    /// How long after the redeem it is in doubt.
    pub complete_within_ms: u64,
    /// Whether permits of earlier policy versions can be redeemed under this one.
    pub honor_issued: bool,
    /// What `holdpoint run` makes of a failing command.
    pub failed_exit: FailedExit,
    /// Whether executors only verify the permit and never redeem it.
    pub offline: bool,
    /// How long a redeemed permit is in doubt before it becomes RELEASED by itself; never if there
    /// is none. Never together with a `once` bound or with `offline`.
    pub release_after_ms: Option<u64>,
}

/// A surface as other crates see it: the facts that outlive one evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurfaceOutline {
    /// The name of the surface.
    pub surface: Name,
    /// Its actions, sorted.
    pub actions: Vec<Name>,
    /// Its bounds, in the order of their names.
    pub bounds: Vec<BoundOutline>,
    /// What its permits carry.
    pub terms: Terms,
}

/// A bound as other crates see it: a change of any field matters to live permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundOutline {
    /// The name of the bound.
    pub name: Name,
    /// Its kind, with its limits.
    pub kind: BoundKind,
    /// Its key template, as written.
    pub template: String,
    /// The parameter that a budget sums, as written (`params.amount_minor`); none for other kinds.
    pub field: Option<String>,
}
