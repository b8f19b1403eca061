//! What a command costs does not grow with what has been decided before.
//!
//! Counted are the rows that are read, not seconds: the same count on every machine.

use std::cell::Cell;
use std::convert::Infallible;

use holdpoint_core::command::CompletionResult;
use holdpoint_core::view::Row;
use holdpoint_core::{Command, Entry, GroupId, MapView, Query, StateKey, View, apply, look};

use crate::script::outline;
use crate::world::{Asked, START_MS, World, default_namespace, put, time};

/// A state that counts the rows that are read.
struct Counting<'a> {
    state: &'a MapView,
    rows: Cell<usize>,
}

impl View for Counting<'_> {
    type Error = Infallible;

    fn get(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Infallible> {
        self.rows.set(self.rows.get() + 1);
        self.state.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&StateKey>,
        limit: usize,
    ) -> Result<Vec<Row>, Infallible> {
        let rows = self.state.scan(prefix, after, limit)?;
        self.rows.set(self.rows.get() + 1 + rows.len());
        Ok(rows)
    }
}

/// A world in which `count` permits have been granted; of every four, one is committed, one aborted,
/// one redeemed and one issued.
fn world(count: usize) -> World {
    let mut world = World::new();
    let surfaces = outline("pay account! invoice* seats#1000 spend$1000000/1h");
    world.one(put("p", surfaces));
    let activate = world.activate("p", None);
    world.one(activate);
    let granted: Vec<Command> = (0..count)
        .map(|number| authorize(&mut world, &format!("k{number}"), number))
        .collect();
    world.apply(granted);
    let of = |number: usize| number as u64 + 1;
    let redeemed: Vec<Command> = (0..count)
        .filter(|number| number % 4 < 3)
        .map(|number| Command::Redeem(world.redeem(of(number), "alice", "r1")))
        .collect();
    world.apply(redeemed);
    let mut completed = Vec::new();
    for number in (0..count).filter(|number| number % 4 < 2) {
        let result = match number % 4 {
            0 => CompletionResult::Committed { evidence: None },
            _ => CompletionResult::Aborted,
        };
        let complete = world.complete(of(number), "alice", result);
        completed.push(Command::Complete(complete));
    }
    world.apply(completed);
    world
}

fn asked(number: usize) -> Asked {
    let value = number.to_string();
    let param = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Asked {
        surface: "pay".to_owned(),
        params: vec![
            param("account", &value),
            param("invoice", &value),
            param("seats", "all"),
            param("spend", "all"),
            param("amount", "1"),
        ],
    }
}

fn authorize(world: &mut World, key: &str, number: usize) -> Command {
    let asked = asked(number);
    let mut command = world.lookup("alice", key, START_MS + 300_000, &asked);
    command.evaluation = world.permits(&asked);
    Command::Authorize(Box::new(command))
}

/// Rows that a whole entry reads, and that a look before it does.
fn cost(world: &mut World, command: Command) -> (usize, usize) {
    let counting = Counting {
        state: &world.state,
        rows: Cell::new(0),
    };
    if let Command::Authorize(authorize) = &command {
        look(&counting, GroupId::FIRST, authorize).unwrap();
    }
    let looked = counting.rows.replace(0);
    let entry = Entry {
        group: GroupId::FIRST,
        time: time(world.clock_ms),
        commands: vec![command],
    };
    apply(&counting, 1, world.log.len() as u64 + 1, &entry).unwrap();
    (looked, counting.rows.get())
}

#[test]
fn command_reads_as_many_rows_after_many_decisions_as_after_few() {
    let costs = |count: usize| {
        let mut world = world(count);
        let granted = authorize(&mut world, "new", count);
        let denied = authorize(&mut world, "denied", 2);
        let redeem = Command::Redeem(world.redeem(4, "alice", "r1"));
        let aborted = world.complete(3, "alice", CompletionResult::Aborted);
        [granted, denied, redeem, Command::Complete(aborted)]
            .map(|command| cost(&mut world, command))
    };
    let (few, many) = (costs(16), costs(800));
    assert_eq!(few, many);
    for (looked, read) in many {
        assert!(looked + read < 50, "{looked} rows looked at, {read} read");
    }
}

#[test]
fn asking_whether_a_sweep_is_due_reads_as_many_rows_whatever_is_kept() {
    let cost = |count: usize| {
        let world = world(count);
        let counting = Counting {
            state: &world.state,
            rows: Cell::new(0),
        };
        let query = Query::new(&counting, GroupId::FIRST);
        let namespace = query.namespace(&default_namespace()).unwrap().unwrap();
        counting.rows.set(0);
        assert!(!namespace.is_sweep_due(time(START_MS)).unwrap());
        assert!(namespace.next_due(time(START_MS)).unwrap().is_some());
        counting.rows.get()
    };
    let (few, many) = (cost(16), cost(800));
    assert_eq!(few, many);
    assert!(many < 100, "{many} rows read");
}
