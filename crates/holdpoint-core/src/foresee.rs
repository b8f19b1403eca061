//! Which rows the commands of an entry will ask for, as far as the commands name them.
//!
//! For a state that looks rows up together for less than one by one. Most of these are not there, which
//! is what costs: a fresh attempt on a fresh operation. It never reads, and decides nothing: judging asks
//! for every row itself.

use crate::command::{Authorize, Command};
use crate::key::{KeySpace, Kind, StateKey};
use crate::outline::BoundKind;
use crate::position::GroupId;

/// Rows named for one entry. What is beyond is looked up when it is asked for.
const FORESEEN_MAX: usize = 4_096;

/// The rows, in no order; one may be named twice.
pub(crate) fn foreseen(group: GroupId, commands: &[Command]) -> Vec<StateKey> {
    let mut rows = Vec::new();
    for command in commands {
        if rows.len() >= FORESEEN_MAX {
            break;
        }
        let Some(namespace) = command.namespace() else {
            continue;
        };
        let keys = KeySpace::namespace(group, namespace);
        if let Command::Authorize(command) = command {
            attempt(&keys, command, &mut rows);
        } else if let Command::Redeem(command) = command {
            rows.push(keys.permit(&command.permit));
        } else if let Command::Complete(command) = command {
            rows.push(keys.permit(&command.permit));
        } else if let Command::Revoke(command) = command {
            rows.push(keys.permit(&command.permit));
        }
    }
    rows
}

fn attempt(keys: &KeySpace, command: &Authorize, rows: &mut Vec<StateKey>) {
    rows.push(keys.attempt(&command.caller, &command.idempotency_key));
    let claims = command.evaluation.iter().flat_map(|it| &it.claims);
    for claim in claims {
        let operation = |kind| keys.operation(kind, &command.surface, &claim.name, &claim.key);
        match claim.kind {
            BoundKind::Exclusive => rows.push(operation(Kind::Holder)),
            BoundKind::Once { .. } => {
                rows.push(operation(Kind::Tombstone));
                rows.push(operation(Kind::Holder));
            }
            // Their rows are shared by many, so few of them are looked up.
            BoundKind::Capacity { .. } | BoundKind::Budget { .. } => {}
        }
    }
}
