//! The search for an order, at one key.
//!
//! Operations that must be placed stand in the order of their calls, so the next one is among those that
//! were called before the first answer of what is left: the window is as wide as clients are concurrent.
//! What only looks is placed as soon as it fits, which never excludes an order. The rest is tried one
//! after the other, and a state that led nowhere is not entered twice.

use std::collections::HashSet;

use super::collect::{Key, Meaning, Operation};
use super::model::{State, Undo};

/// What came of a search.
#[derive(Debug)]
pub(super) enum Found {
    /// An order that explains every answer.
    Order,
    /// There is none: the furthest that one came, what had to come next there, and who counted.
    Nothing { stuck: Vec<usize>, held: Vec<usize> },
    /// The budget was spent.
    GaveUp,
}

/// One choice, with what was placed without one before it.
struct Frame {
    choices: Vec<usize>,
    next: usize,
    placed: Vec<(usize, Undo)>,
    chosen: Option<(usize, Undo)>,
}

struct Search<'k, 's> {
    key: &'k Key<'s>,
    state: State,
    is_placed: Vec<bool>,
    /// Everything that must be placed before this one is.
    first: usize,
    /// Operations that must be placed, with a leaf, in its order.
    log: Vec<usize>,
    /// How many of the log are placed: they are placed in its order.
    logged: usize,
    left: usize,
    /// Of the operations that are placed, and of the states of the permits.
    print: (u64, u64),
    furthest: (usize, Vec<usize>, Vec<usize>),
}

/// Looks for an order of the operations of `key`, in at most `steps_max` steps.
pub(super) fn explain(key: &Key<'_>, steps_max: usize) -> Found {
    let mut search = Search::new(key);
    let mut entered: Vec<Frame> = Vec::new();
    let mut dead: HashSet<(u64, u64, u64)> = HashSet::new();
    let mut steps: usize = 0;
    let mut frame = search.enter();
    loop {
        if search.left == 0 {
            return Found::Order;
        }
        steps = steps.saturating_add(1).saturating_add(frame.placed.len());
        if steps > steps_max {
            return Found::GaveUp;
        }
        if search.choose(&mut frame) {
            let is_new = dead.insert((search.print.0, search.print.1, search.state.time_ms));
            if is_new {
                let next = search.enter();
                entered.push(std::mem::replace(&mut frame, next));
            } else {
                search.unchoose(&mut frame);
            }
            continue;
        }
        search.leave(frame);
        let Some(mut before) = entered.pop() else {
            let (_, stuck, held) = search.furthest;
            return Found::Nothing { stuck, held };
        };
        search.unchoose(&mut before);
        frame = before;
    }
}

impl<'k, 's> Search<'k, 's> {
    fn new(key: &'k Key<'s>) -> Self {
        let required = || key.operations.iter().take(key.required).enumerate();
        let mut log: Vec<(u64, usize)> = required()
            .filter_map(|(place, operation)| Some((operation.leaf?, place)))
            .collect();
        log.sort_unstable();
        Self {
            key,
            state: State::new(key),
            is_placed: vec![false; key.operations.len()],
            first: 0,
            log: log.into_iter().map(|(_, place)| place).collect(),
            logged: 0,
            left: key.required,
            print: (0, 0),
            furthest: (usize::MAX, Vec::new(), Vec::new()),
        }
    }

    fn operation(&self, place: usize) -> Option<&'k Operation<'s>> {
        self.key.operations.get(place)
    }

    /// What is left and was called before the first answer of what is left.
    fn window(&self) -> Vec<usize> {
        let mut window = Vec::new();
        let mut answered_us = u64::MAX;
        for place in self.first..self.key.required {
            let Some(operation) = self.operation(place) else {
                break;
            };
            if operation.call_us > answered_us {
                break;
            }
            if !self.is_placed.get(place).copied().unwrap_or(true) {
                answered_us = answered_us.min(operation.return_us.unwrap_or(u64::MAX));
                window.push(place);
            }
        }
        window
    }

    /// The cluster time that what has none cannot pass.
    fn until_ms(&self) -> u64 {
        let next = self
            .log
            .get(self.logged)
            .and_then(|place| self.operation(*place));
        next.and_then(|operation| operation.at_ms)
            .unwrap_or(u64::MAX)
    }

    /// Places everything that only looks and fits, and says what can be chosen then.
    fn enter(&mut self) -> Frame {
        let mut placed = Vec::new();
        let mut window = self.window();
        loop {
            let key = self.key;
            let looks: Vec<usize> = window
                .iter()
                .copied()
                .filter(|place| {
                    let operation = key.operations.get(*place);
                    operation.is_some_and(|operation| self.state.explains(key, operation))
                })
                .collect();
            if looks.is_empty() {
                break;
            }
            for place in looks {
                if let Some(undo) = self.place(place) {
                    placed.push((place, undo));
                }
            }
            window = self.window();
        }
        let next = self.log.get(self.logged).copied();
        let answered_us = window
            .iter()
            .filter_map(|place| self.operation(*place)?.return_us)
            .min()
            .unwrap_or(u64::MAX);
        let in_order = |place: &usize| {
            let has_leaf = self.operation(*place).is_some_and(|one| one.leaf.is_some());
            !has_leaf || next == Some(*place)
        };
        let mut choices: Vec<usize> = window.iter().copied().filter(in_order).collect();
        if self.left < self.furthest.0 {
            // Where nothing is in order, the log contradicts real time: all of it is shown.
            let stuck = if choices.is_empty() {
                window
            } else {
                choices.clone()
            };
            self.furthest = (self.left, stuck, self.state.held.clone());
        }
        // What has a leaf first: mostly it is right, and nothing else need be tried.
        choices.sort_by_key(|place| next != Some(*place));
        let lost = self.key.required..self.key.operations.len();
        choices.extend(lost.filter(|place| {
            !self.is_placed.get(*place).copied().unwrap_or(true)
                && self
                    .operation(*place)
                    .is_some_and(|one| one.call_us <= answered_us)
        }));
        Frame {
            choices,
            next: 0,
            placed,
            chosen: None,
        }
    }

    /// Takes the next choice that fits.
    fn choose(&mut self, frame: &mut Frame) -> bool {
        while let Some(place) = frame.choices.get(frame.next).copied() {
            frame.next = frame.next.saturating_add(1);
            if let Some(undo) = self.place(place) {
                frame.chosen = Some((place, undo));
                return true;
            }
        }
        false
    }

    fn unchoose(&mut self, frame: &mut Frame) {
        if let Some((place, undo)) = frame.chosen.take() {
            self.take_back(place, undo);
        }
    }

    fn leave(&mut self, frame: Frame) {
        for (place, undo) in frame.placed.into_iter().rev() {
            self.take_back(place, undo);
        }
    }

    fn place(&mut self, place: usize) -> Option<Undo> {
        let operation = self.operation(place)?;
        let until_ms = match operation.meaning {
            Meaning::Look { .. } => self.until_ms(),
            _ => u64::MAX,
        };
        let undo = self.state.take(self.key, operation, until_ms)?;
        for (permit, before) in &undo.changed {
            self.print.1 ^= mixed(*permit, *before as u64 + 1);
            let now = self.state.local(*permit);
            self.print.1 ^= mixed(*permit, now as u64 + 1);
        }
        self.mark(place, true);
        Some(undo)
    }

    fn take_back(&mut self, place: usize, undo: Undo) {
        for (permit, before) in &undo.changed {
            let now = self.state.local(*permit);
            self.print.1 ^= mixed(*permit, now as u64 + 1);
            self.print.1 ^= mixed(*permit, *before as u64 + 1);
        }
        self.state.undo(undo);
        self.mark(place, false);
    }

    fn mark(&mut self, place: usize, is_placed: bool) {
        self.print.0 ^= mixed(place, 0);
        if let Some(mark) = self.is_placed.get_mut(place) {
            *mark = is_placed;
        }
        let has_leaf = self.operation(place).is_some_and(|one| one.leaf.is_some());
        if place >= self.key.required {
            return;
        }
        if is_placed {
            self.left = self.left.saturating_sub(1);
            self.logged = self.logged.saturating_add(usize::from(has_leaf));
            while self.is_placed.get(self.first).copied().unwrap_or(false) {
                self.first = self.first.saturating_add(1);
            }
        } else {
            self.left = self.left.saturating_add(1);
            self.logged = self.logged.saturating_sub(usize::from(has_leaf));
            self.first = self.first.min(place);
        }
    }
}

/// A number that stands for a pair in a set that is kept as the sum of its members.
const fn mixed(place: usize, what: u64) -> u64 {
    let mut z = (place as u64)
        .wrapping_mul(16)
        .wrapping_add(what)
        .wrapping_add(0x9e37_79b9_7f4a_7c15)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::collect::keys;
    use super::*;
    use crate::reference::{Plan, invent};
    use crate::story::Story;

    #[test]
    fn search_that_runs_out_of_steps_says_so_and_not_that_something_is_broken() {
        let history = invent(&Plan::default());
        let story = Story::of(&history);
        let keys = keys(&story);
        let busiest = keys.iter().max_by_key(|key| key.required).unwrap();
        assert!(matches!(explain(busiest, 5), Found::GaveUp));
        assert!(matches!(explain(busiest, 100_000), Found::Order));
    }

    #[test]
    fn clean_history_needs_about_one_step_for_each_operation() {
        let history = invent(&Plan {
            keys: 1,
            ..Plan::default()
        });
        let story = Story::of(&history);
        for key in keys(&story) {
            let found = explain(&key, key.operations.len() * 2);
            assert!(matches!(found, Found::Order), "{}: {found:?}", key.name);
        }
    }
}
