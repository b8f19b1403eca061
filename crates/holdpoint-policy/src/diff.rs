//! What one bundle changes of another, in sentences.
//!
//! Compares what is in force and nothing else: the bundle's own cases, comments, white space and the
//! order of files decide nothing, so they are no difference. It never says that two bundles give the
//! same answers; only an evaluation can.

mod surfaces;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cedar_policy::Effect;
use serde_json::Value as JsonValue;

use crate::approvals::{Bind, Quorum};
use crate::policies::Rule;
use crate::policy::{Inner, Policy};
use crate::time;

/// The type of the actions, which the schema declares and not the entities file.
const ACTION_TYPE: &str = "Action";

/// What a difference is about, in the order of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A surface as a whole, or what its requests are made of.
    Surface,
    /// A bound of a surface.
    Bound,
    /// What permits of a surface carry: executors and lifetimes.
    Terms,
    /// Who must approve what.
    Quorum,
    /// A Cedar policy.
    Policy,
    /// A window of the calendars.
    Window,
    /// Who a caller is.
    Caller,
    /// An entity.
    Entity,
    /// A type of the schema.
    Schema,
}

impl Part {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Surface => "surface",
            Self::Bound => "bound",
            Self::Terms => "terms",
            Self::Quorum => "quorum",
            Self::Policy => "policy",
            Self::Window => "window",
            Self::Caller => "caller",
            Self::Entity => "entity",
            Self::Schema => "schema",
        }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It allows less.
    Tightened,
    /// It allows more.
    Loosened,
    /// It is another; neither more nor less can be said of it.
    Changed,
}

impl Change {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Tightened => "tightened",
            Self::Loosened => "loosened",
            Self::Changed => "changed",
        }
    }
}

/// One difference between two bundles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// What it is about.
    pub part: Part,
    /// Its name: `infra.apply`, `infra.apply/workspace`, `Team::"sre"`.
    pub name: String,
    /// What became of it.
    pub change: Change,
    /// The same for people, on one line.
    pub sentence: String,
    /// Whether live permits of the surface, or effects that a `once` bound remembers, would keep the
    /// second bundle from being activated.
    pub waits_for_permits: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        if self.waits_for_permits {
            f.write_str("; live permits have to end first")?;
        }
        Ok(())
    }
}

/// What `after` changes of `before`, sorted by part and name. Empty if both decide everything alike;
/// their names and digests may differ all the same.
#[must_use]
pub fn diff(before: &Policy, after: &Policy) -> Vec<Difference> {
    let (before, after) = (&before.0, &after.0);
    let mut found = Found::default();
    surfaces::compare(&mut found, before, after);
    quorums(&mut found, before, after);
    rules(&mut found, before, after);
    let windows = (&before.calendars.0, &after.calendars.0);
    found.same(Part::Window, "window", windows, "is open at other times");
    let callers = (&shown(&before.callers), &shown(&after.callers));
    found.texts(Part::Caller, "caller", callers);
    let entities = (&entities(before), &entities(after));
    found.same(
        Part::Entity,
        "entity",
        entities,
        "has other attributes or parents",
    );
    let (records, actions) = (
        (&before.schema.records, &after.schema.records),
        (&before.schema.actions, &after.schema.actions),
    );
    found.same(Part::Schema, "type", records, "has other attributes");
    found.same(Part::Schema, "action", actions, "applies otherwise");
    found.0.sort();
    found.0
}

/// The differences so far.
#[derive(Debug, Default)]
struct Found(Vec<Difference>);

impl Found {
    fn add(&mut self, part: Part, name: &str, change: Change, sentence: String) {
        self.push(part, name, change, sentence, false);
    }

    fn push(&mut self, part: Part, name: &str, change: Change, sentence: String, waits: bool) {
        self.0.push(Difference {
            part,
            name: name.to_owned(),
            change,
            sentence,
            waits_for_permits: waits,
        });
    }

    /// Things of which no more can be said than that they are there, or are others.
    fn same<K: Ord + fmt::Display, V: PartialEq>(
        &mut self,
        part: Part,
        word: &str,
        (before, after): (&BTreeMap<K, V>, &BTreeMap<K, V>),
        changed: &str,
    ) {
        for (key, pair) in pairs(before, after) {
            let name = key.to_string();
            match pair {
                (None, _) => self.add(
                    part,
                    &name,
                    Change::Added,
                    format!("{word} `{name}` is new"),
                ),
                (_, None) => {
                    self.add(
                        part,
                        &name,
                        Change::Removed,
                        format!("{word} `{name}` is gone"),
                    );
                }
                (Some(before), Some(after)) if before != after => {
                    let sentence = format!("{word} `{name}` {changed}");
                    self.add(part, &name, Change::Changed, sentence);
                }
                (Some(_), Some(_)) => {}
            }
        }
    }

    /// Things that a text says in full.
    fn texts(
        &mut self,
        part: Part,
        word: &str,
        (before, after): (&BTreeMap<String, String>, &BTreeMap<String, String>),
    ) {
        for (name, pair) in pairs(before, after) {
            let (change, said) = match pair {
                (None, Some(after)) => (Change::Added, format!("is new: {after}")),
                (Some(before), None) => (Change::Removed, format!("is gone: it was {before}")),
                (Some(before), Some(after)) if before != after => {
                    (Change::Changed, format!("is {after}, was {before}"))
                }
                (_, _) => continue,
            };
            self.add(part, name, change, format!("{word} `{name}` {said}"));
        }
    }
}

/// What is under a key before and after.
type Pair<'a, V> = (Option<&'a V>, Option<&'a V>);

/// Every key of either, with what is under it.
fn pairs<'a, K: Ord, V>(
    before: &'a BTreeMap<K, V>,
    after: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Pair<'a, V>)> {
    let keys: BTreeSet<&K> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .map(|key| (key, (before.get(key), after.get(key))))
}

fn shown<K: fmt::Display, V: fmt::Display>(map: &BTreeMap<K, V>) -> BTreeMap<String, String> {
    map.iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}

/// The entities of the entities file, in a form that can be compared.
fn entities(inner: &Inner) -> BTreeMap<String, Option<JsonValue>> {
    let entities = inner.entities.iter();
    let of_the_file = entities.filter(|entity| entity.uid().type_name().to_string() != ACTION_TYPE);
    of_the_file
        .map(|entity| {
            let mut json = entity.to_json_value().ok();
            // Cedar gives the parents in hash order.
            let parents = json.as_mut().and_then(|json| json.get_mut("parents"));
            if let Some(parents) = parents.and_then(JsonValue::as_array_mut) {
                parents.sort_by_key(ToString::to_string);
            }
            (entity.uid().to_string(), json)
        })
        .collect()
}

fn rules(found: &mut Found, before: &Inner, after: &Inner) {
    for (id, pair) in pairs(&before.rules, &after.rules) {
        let word = |rule: &Rule| match rule.policy.effect() {
            Effect::Permit => "permit",
            Effect::Forbid => "forbid",
        };
        let said = |rule: &Rule| (rule.policy.effect(), rule.policy.to_json().ok());
        let (change, sentence) = match pair {
            (None, Some(after)) => (
                Change::Added,
                format!("{} `{id}` is new: {}", word(after), after.reason),
            ),
            (Some(before), None) => (
                Change::Removed,
                format!("{} `{id}` is gone: {}", word(before), before.reason),
            ),
            (Some(before), Some(after)) if before.policy.effect() != after.policy.effect() => (
                Change::Changed,
                format!("`{id}` is a {}, was a {}", word(after), word(before)),
            ),
            (Some(before), Some(after)) if before.code != after.code => {
                let (now, then) = (after.code.as_deref(), before.code.as_deref());
                let (now, then) = (now.unwrap_or_default(), then.unwrap_or_default());
                let sentence = format!("{} `{id}` has the code {now}, had {then}", word(after));
                (Change::Changed, sentence)
            }
            // Annotations are in it, so a new @reason is a difference too.
            (Some(before), Some(after)) if said(before) != said(after) => (
                Change::Changed,
                format!("{} `{id}` reads otherwise: {}", word(after), after.reason),
            ),
            (_, _) => continue,
        };
        found.add(Part::Policy, id, change, sentence);
    }
}

fn quorums(found: &mut Found, before: &Inner, after: &Inner) {
    for (name, pair) in pairs(&before.quorums, &after.quorums) {
        let (change, sentence) = match pair {
            (None, Some(after)) => (
                Change::Added,
                format!("quorum `{name}` is new: {} of {}", after.min, after.from),
            ),
            (Some(_), None) => (Change::Removed, format!("quorum `{name}` is gone")),
            (Some(before), Some(after)) if before != after => {
                let is_min_alone = Quorum {
                    min: before.min,
                    ..after.clone()
                } == *before;
                let change = match (is_min_alone, after.min > before.min) {
                    (true, true) => Change::Tightened,
                    (true, false) => Change::Loosened,
                    (false, _) => Change::Changed,
                };
                let said = quorum_changes(before, after).join(", ");
                (change, format!("quorum `{name}` changes: {said}"))
            }
            (_, _) => continue,
        };
        found.add(Part::Quorum, name.as_str(), change, sentence);
    }
}

fn quorum_changes(before: &Quorum, after: &Quorum) -> Vec<String> {
    let show = |quorum: &Quorum| {
        let binds: Vec<String> = quorum.binds.iter().map(Bind::show).collect();
        [
            ("min", quorum.min.to_string()),
            ("from", quorum.from.to_string()),
            (
                "the requester is excluded",
                quorum.excludes_requester.to_string(),
            ),
            ("binds", format!("[{}]", binds.join(", "))),
            ("max_age", time::show_duration(quorum.max_age_ms)),
            ("spent", quorum.spent.to_string()),
        ]
    };
    changes(show(before), show(after))
}

/// `x is 2, was 1` for each of the fields that differ.
fn changes<const N: usize>(before: [(&str, String); N], after: [(&str, String); N]) -> Vec<String> {
    let differ = before.into_iter().zip(after);
    differ
        .filter(|((_, before), (_, after))| before != after)
        .map(|((name, before), (_, after))| format!("{name} is {after}, was {before}"))
        .collect()
}
