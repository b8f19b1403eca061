//! What the state machine knows of a policy bundle.
//!
//! `judge` never evaluates a policy and never reads a bundle. It needs only what bounds, lifetimes
//! and executors a surface has, so that it can hold every evaluation to it: a leader that leaves a
//! bound out is refused.

use holdpoint_receipt::{Caller, ClusterTime, Name};

/// The outline of one bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyOutline {
    /// The surfaces, sorted by name, none twice.
    pub surfaces: Vec<SurfaceOutline>,
}

/// The outline of one surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurfaceOutline {
    /// The surface.
    pub surface: Name,
    /// Its actions, sorted, none twice.
    pub actions: Vec<Name>,
    /// Its bounds, sorted by name, none twice. A request claims every one of them.
    pub bounds: Vec<BoundOutline>,
    /// Who may redeem its permits.
    pub executors: Vec<Executor>,
    /// How long a permit can be redeemed.
    pub permit_for_ms: u64,
    /// How long a redeemed permit may take before it is in doubt.
    pub complete_within_ms: u64,
    /// Whether, while this is the active bundle, permits of earlier versions can be redeemed.
    pub honor_issued: bool,
    /// Whether executors may act on a permit that they have only verified. Then its bounds stay held
    /// until [`crate::record::PermitRecord::held_until`], whatever ends it.
    pub offline: bool,
    /// How long a permit is in doubt before its bounds are released; none never releases them.
    /// Neither with a `once` bound nor with `offline`.
    pub release_after_ms: Option<u64>,
}

/// One bound of a surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundOutline {
    /// Its name.
    pub name: Name,
    /// What it bounds.
    pub kind: BoundKind,
    /// The template that keys are rendered by, as the bundle writes it.
    pub template: String,
    /// The parameter that a budget sums; none for all others.
    pub field: Option<String>,
}

/// What a bound allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BoundKind {
    /// One live permit per key.
    Exclusive,
    /// One committed effect per key, and so one live permit.
    Once {
        /// How long a committed effect counts; none for ever.
        kept_for_ms: Option<u64>,
    },
    /// So many live permits per key.
    Capacity {
        /// How many, at least 1.
        limit: u64,
    },
    /// A sum over the live and committed permits per key that were issued in one window.
    Budget {
        /// The largest sum.
        limit: u64,
        /// The length of a window. Windows count from the Unix epoch.
        window_ms: u64,
    },
}

impl BoundKind {
    /// Whether an effect uses it up, so that it stays charged after a commit.
    #[must_use]
    pub const fn is_consumed(self) -> bool {
        match self {
            Self::Once { .. } | Self::Budget { .. } => true,
            Self::Exclusive | Self::Capacity { .. } => false,
        }
    }

    /// The window that a permit issued at `at` is charged to; none for all but budgets.
    #[must_use]
    pub fn window_at(self, at: ClusterTime) -> Option<Window> {
        let Self::Budget { window_ms, .. } = self else {
            return None;
        };
        // No window is zero long (a bundle with one is refused), but a claim is input.
        let into_ms = at.get().checked_rem(window_ms).unwrap_or_default();
        let start_ms = at.get().saturating_sub(into_ms);
        Some(Window {
            length_ms: window_ms,
            start_ms,
        })
    }

    /// `exclusive`, `once`, `capacity` or `budget`.
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

/// One window of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// Its length.
    pub length_ms: u64,
    /// Its first instant, in milliseconds since the Unix epoch: a multiple of its length.
    pub start_ms: u64,
}

impl Window {
    /// The first instant of the next one.
    #[must_use]
    pub fn end(self) -> ClusterTime {
        let end_ms = self.start_ms.saturating_add(self.length_ms);
        ClusterTime::new(end_ms).unwrap_or(ClusterTime::MAX)
    }
}

/// Who may redeem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Executor {
    /// The caller of the permit itself.
    Caller,
    /// This principal.
    Principal(Caller),
}
