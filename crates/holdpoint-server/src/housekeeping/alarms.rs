//! What people have to look at: conflicts, disputed decisions, permits in doubt, an activation that waits for long.
//!
//! Says each thing when it changes, and what stays bad now and then. Changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use holdpoint_core::Query;
use holdpoint_raft::StateView;
use holdpoint_receipt::{ClusterTime, Name};
use tokio::time::Instant;

use super::{ReadError, namespaces};

/// How long an activation may drain before it is told that it does not end.
const DRAINS_LONG_MS: u64 = 60_000;

/// How often what stays bad is told again.
const AGAIN: Duration = Duration::from_mins(10);

/// How often the state is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What is to be looked at in a namespace.
#[derive(Clone, Debug)]
pub(super) struct State {
    name: Name,
    conflicts: u64,
    disputes: u64,
    in_doubt: usize,
    /// The surfaces of an activation that has waited for long.
    drains: Option<(ClusterTime, Vec<String>)>,
}

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    told: BTreeMap<Name, Told>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Told {
    conflicts: u64,
    disputes: u64,
    in_doubt: usize,
    drains: Option<ClusterTime>,
    at: Instant,
}

/// Reads what there is to be told.
pub(super) fn look(state: &Query<'_, StateView<'_>>) -> Result<Vec<State>, ReadError> {
    let mut all = Vec::new();
    for name in namespaces(state)? {
        let Some(namespace) = state.namespace(&name)? else {
            continue;
        };
        let record = namespace.record();
        let drains = record
            .drain
            .as_ref()
            .filter(|drain| namespace.now().saturating_since(drain.since) >= DRAINS_LONG_MS);
        all.push(State {
            conflicts: record.conflicts,
            disputes: record.disputes,
            in_doubt: namespace.doubt_count()?,
            drains: drains.map(|drain| {
                let surfaces = drain.surfaces.iter().map(ToString::to_string);
                (drain.since, surfaces.collect())
            }),
            name,
        });
    }
    Ok(all)
}

impl Alarms {
    /// Whether it is time to look again.
    pub(super) fn is_due(&self) -> bool {
        self.looked.is_none_or(|at| at.elapsed() >= LOOK)
    }

    /// Tells what is new, and what is old and bad for long.
    pub(super) fn raise(&mut self, namespaces: &[State]) {
        self.looked = Some(Instant::now());
        for state in namespaces {
            self.raise_one(state);
        }
    }

    fn raise_one(&mut self, state: &State) {
        let namespace = &state.name;
        let is_first = !self.told.contains_key(namespace);
        let told = self.told.entry(namespace.clone()).or_insert_with(|| Told {
            conflicts: 0,
            disputes: 0,
            in_doubt: 0,
            drains: None,
            at: Instant::now(),
        });
        let again = !is_first && told.at.elapsed() >= AGAIN;
        if state.conflicts > told.conflicts {
            let (conflicts, new) = (
                state.conflicts,
                state.conflicts.saturating_sub(told.conflicts),
            );
            tracing::error!(
                %namespace, conflicts, new,
                "outcomes contradict what is recorded, or came after a release; look at the conflict \
                 statements of the log"
            );
        }
        if state.disputes > told.disputes {
            let (disputes, new) = (state.disputes, state.disputes.saturating_sub(told.disputes));
            tracing::error!(
                %namespace, disputes, new,
                "ALARM: nodes evaluate decisions otherwise than they were recorded; their surfaces are \
                 frozen until an operator has looked"
            );
        }
        if state.in_doubt > told.in_doubt || (again && state.in_doubt > 0) {
            let in_doubt = state.in_doubt;
            tracing::warn!(
                %namespace, in_doubt,
                "permits are in doubt: nobody said how they ended, and their bounds stay held"
            );
        }
        let drains = state.drains.as_ref().map(|(since, _)| *since);
        if let Some((since, surfaces)) = &state.drains
            && (told.drains != drains || again)
        {
            let surfaces = surfaces.join(", ");
            tracing::warn!(
                %namespace, %since, surfaces,
                "an activation still waits for live permits to end; resolve those in doubt, or cancel it"
            );
        }
        *told = Told {
            conflicts: state.conflicts,
            disputes: state.disputes,
            in_doubt: state.in_doubt,
            drains,
            at: if again { Instant::now() } else { told.at },
        };
    }
}
