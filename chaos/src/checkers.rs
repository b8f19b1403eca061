//! One promise, one checker, one file.
//!
//! Most look at a whole [`History`]. [`budget`], [`gapless`] and [`in_turn`], and the functions `check` of
//! [`single_valued`], [`convergent`], [`fenced`] and [`in_force`], look at what a test noted of receipts.

pub mod budget;
pub mod convergent;
pub mod durable;
pub mod fail_closed;
pub mod fenced;
pub mod gapless;
pub mod happened;
pub mod in_force;
pub mod in_turn;
pub mod isolated;
pub mod linearizable;
pub mod progress;
pub mod provable;
pub mod single_valued;
pub mod steady_time;

use crate::history::History;
use crate::story::Story;
use crate::verdict::Verdict;

/// A checker of histories.
#[derive(Clone, Copy, Debug)]
pub struct Checker {
    /// Its name, which is that of its file.
    pub name: &'static str,
    /// What it attacks, in the words of `SPEC` section 5 where it has some.
    pub promise: &'static str,
    /// What it finds.
    pub over: fn(&Story<'_>) -> Verdict,
}

/// Every checker of histories.
pub const ALL: [Checker; 12] = [
    Checker {
        name: "single_valued",
        promise: "G1: what surely counts for a key never exceeds its bound",
        over: single_valued::over,
    },
    Checker {
        name: "linearizable",
        promise: "G2: each key's answers are those of one gate, one at a time",
        over: linearizable::over,
    },
    Checker {
        name: "convergent",
        promise: "G3: one attempt, one request, one policy version: one decision",
        over: convergent::over,
    },
    Checker {
        name: "durable",
        promise: "G4: nothing that was acknowledged is lost",
        over: durable::over,
    },
    Checker {
        name: "fenced",
        promise: "G6: fences rise, and a permit is redeemed once",
        over: fenced::over,
    },
    Checker {
        name: "in_force",
        promise: "decisions and redemptions are under the policy in force",
        over: in_force::over,
    },
    Checker {
        name: "fail_closed",
        promise: "G7: nothing is acknowledged without a receipt that verifies",
        over: fail_closed::over,
    },
    Checker {
        name: "provable",
        promise: "G8: all nodes have one log, and it has every receipt",
        over: provable::over,
    },
    Checker {
        name: "isolated",
        promise: "G9: nothing of one namespace shows in another",
        over: isolated::over,
    },
    Checker {
        name: "progress",
        promise: "G10: decisions go on after healing",
        over: progress::over,
    },
    Checker {
        name: "steady_time",
        promise: "cluster time never goes back, and keeps to the clock",
        over: steady_time::over,
    },
    Checker {
        name: "happened",
        promise: "the faults that the run is about happened",
        over: happened::over,
    },
];

/// What a checker found in a history.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which checker.
    pub checker: Checker,
    /// What it found; none if the run does not ask it.
    pub verdict: Option<Verdict>,
}

/// Asks every checker that the header does not except.
#[must_use]
pub fn check_all(history: &History) -> Vec<Finding> {
    let story = Story::of(history);
    let asked = |checker: Checker| {
        let is_asked = !history
            .header
            .not_asked
            .iter()
            .any(|name| name == checker.name);
        Finding {
            checker,
            verdict: is_asked.then(|| (checker.over)(&story)),
        }
    };
    ALL.into_iter().map(asked).collect()
}

/// The names of all, for messages.
pub(crate) fn names() -> String {
    ALL.map(|checker| checker.name).join(", ")
}
