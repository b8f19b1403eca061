//! What policies and requests are made of, in the model's own words, and everything that can be done.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Exclusive,
    /// For how long; none for ever.
    Once(Option<u64>),
    Capacity(u64),
    /// The limit of the sum of `amount`, and the length of a window.
    Budget(u64, u64),
}

impl Kind {
    pub(super) fn is_consumed(self) -> bool {
        matches!(self, Self::Once(_) | Self::Budget(..))
    }

    pub(super) fn is_once(self) -> bool {
        matches!(self, Self::Once(_))
    }

    pub(super) fn is_of_one(self) -> bool {
        matches!(self, Self::Exclusive | Self::Once(_))
    }
}

/// A bound as a policy declares it: name, kind, template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound(
    pub(crate) &'static str,
    pub(crate) Kind,
    pub(crate) &'static str,
);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Surface {
    pub(crate) name: &'static str,
    /// Sorted by name.
    pub(crate) bounds: &'static [Bound],
    pub(crate) executors: &'static [&'static str],
    pub(crate) life_ms: u64,
    pub(crate) within_ms: u64,
    pub(crate) honours: bool,
    pub(crate) is_offline: bool,
    pub(crate) release_ms: Option<u64>,
}

/// Surfaces sorted by name.
pub(crate) type Policy = &'static [Surface];

/// What is asked for, on which surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) surface: &'static str,
    pub(crate) account: u8,
    pub(crate) invoice: u8,
    pub(crate) amount: u64,
}

impl Asked {
    /// The parameter that the key of a bound is rendered from.
    pub(crate) fn value(self, bound: &str) -> u8 {
        match bound {
            "account" => self.account,
            "invoice" => self.invoice,
            _ => 0,
        }
    }

    pub(super) fn charge(self, kind: Kind) -> u64 {
        match kind {
            Kind::Budget(..) => self.amount,
            Kind::Exclusive | Kind::Once(_) | Kind::Capacity(_) => 1,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    OldVersion,
    OldTime,
    WrongFacts,
    Lookup,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Nothing,
    Fence,
    Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Refuse,
    Drain,
    Revoke,
}

/// An attempt and its evaluation.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) by: &'static str,
    pub(crate) key: u64,
    pub(crate) asked: Asked,
    pub(crate) end_ms: u64,
    pub(crate) wait_ms: Option<u64>,
    pub(crate) freshness: Freshness,
    pub(crate) denies: bool,
    pub(crate) after: Option<u64>,
    pub(crate) session: Option<u8>,
    /// Places in the list of approvals, and whether they are spent.
    pub(crate) approvals: Vec<(usize, bool)>,
}

/// What is said about how a permit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Result {
    pub(crate) is_committed: bool,
    pub(crate) evidence: Option<u8>,
}

impl Result {
    /// Whether `again` says the same; evidence may be left out.
    pub(super) fn covers(self, again: Self) -> bool {
        self.is_committed == again.is_committed
            && (again.evidence.is_none() || again.evidence == self.evidence)
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Wait(u64),
    Put(usize),
    Activate {
        policy: usize,
        expects_next: bool,
        mode: Mode,
    },
    Authorize(Asking),
    Redeem {
        fence: u64,
        by: &'static str,
        id: u8,
        wrong: Wrong,
    },
    Complete {
        fence: u64,
        by: &'static str,
        result: Result,
        is_operator: bool,
    },
    Revoke {
        fence: u64,
        by: &'static str,
        is_operator: bool,
    },
    Release {
        fence: u64,
        is_operator: bool,
    },
    Approve {
        quorum: u8,
        subject: u8,
        by: &'static str,
        for_ms: u64,
        is_moved: bool,
    },
    RevokeApproval {
        quorum: u8,
        subject: u8,
        by: &'static str,
        principal: &'static str,
        is_operator: bool,
    },
    Ask {
        by: &'static str,
        asked: Asked,
        is_moved: bool,
    },
    Close {
        session: u8,
        by: &'static str,
        is_operator: bool,
    },
    Freeze {
        surface: Option<&'static str>,
        is_frozen: bool,
    },
    Leave {
        by: &'static str,
        key: u64,
        /// How far the ticket is from that of the attempt.
        off: u64,
    },
    Announce {
        node: u64,
        keys: u64,
    },
    Rotate {
        node: u64,
        keys: u64,
        expected: u64,
    },
    Retire(u64),
    Mark {
        signer: (u64, u64),
        to: u64,
    },
    Require(Option<u32>),
    HandOver {
        from: u64,
        size: u64,
        signers: Vec<(u64, u64)>,
        is_forged: bool,
    },
    Dispute {
        leaf: u64,
        node: u64,
        evaluator: u32,
    },
    Erase(u64),
    EraseAt(u64),
    CancelDrain,
    Shadow(Vec<usize>),
    Delete(usize),
    Retain(Kept),
    Sweep,
}

impl Op {
    /// Whether it is about the group, and so lets nothing go in the namespace first.
    pub(crate) fn is_of_group(&self) -> bool {
        matches!(
            self,
            Self::Wait(_)
                | Self::Announce { .. }
                | Self::Rotate { .. }
                | Self::Retire(_)
                | Self::Mark { .. }
                | Self::Require(_)
        )
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Wait(_) => "wait:",
            Self::Put(_) => "put:",
            Self::Activate { .. } => "activate:",
            Self::Authorize(_) => "authorize:",
            Self::Redeem { .. } => "redeem:",
            Self::Complete { .. } => "complete:",
            Self::Revoke { .. } => "revoke:",
            Self::Release { .. } => "release:",
            Self::Approve { .. } => "approve:",
            Self::RevokeApproval { .. } => "revoke approval:",
            Self::Ask { .. } => "ask:",
            Self::Close { .. } => "close:",
            Self::Freeze { .. } => "freeze:",
            Self::Leave { .. } => "leave:",
            Self::Announce { .. } => "announce:",
            Self::Rotate { .. } => "rotate:",
            Self::Retire(_) => "retire:",
            Self::Mark { .. } => "mark:",
            Self::Require(_) => "require:",
            Self::HandOver { .. } => "hand over:",
            Self::Dispute { .. } => "dispute:",
            Self::Erase(_) => "erase:",
            Self::EraseAt(_) => "erase at:",
            Self::CancelDrain => "cancel drain:",
            Self::Shadow(_) => "shadow:",
            Self::Delete(_) => "delete:",
            Self::Retain(_) => "retain:",
            Self::Sweep => "sweep:",
        }
    }
}

/// How long what has ended is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_field_names,
    reason = "times say their unit, and these are all times"
)]
pub(crate) struct Kept {
    pub(crate) permits_ms: Option<u64>,
    pub(crate) disclosures_ms: Option<u64>,
    pub(crate) statements_ms: Option<u64>,
    pub(crate) sessions_ms: Option<u64>,
}
