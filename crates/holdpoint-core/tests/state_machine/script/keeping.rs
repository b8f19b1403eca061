//! Lines about what is held, released, swept and kept.
//!
//! ```text
//! many N KEY SURFACE NAME=VALUE… [; OPTION…]    authorize N times in one entry, with `%` the number
//! release FENCE [; by CALLER] [; operator]
//! retain permits 90d disclosures 90d  how long what has ended is kept, and `statements`, `sessions`;
//!                                     what is not named is kept for ever
//! sweep                               one bounded step; `sweep all` until nothing is due
//! due                                 whether a sweep is, and when next
//! used SURFACE BOUND VALUE            how much of a capacity or a budget is used
//! doubts                              the permits in doubt
//! statements                          the leaves whose statements are kept, and whose disclosures
//! ```

use holdpoint_core::command::{Retention, SetRetention};
use holdpoint_core::outcome::{Outcome, SweepOutcome};
use holdpoint_core::outline::Window;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::UsageRecord;
use holdpoint_core::{Command, MapView};
use holdpoint_receipt::BoundKey;

use super::{Line, apply, authorize, duration, said, shown, stands};
use crate::world::{World, default_namespace, granted, name, time};

pub(super) fn answer(world: &mut World, line: &Line<'_>) -> String {
    let command = match line.word(0) {
        "release" => {
            let mut release = world.release(line.number(1), line.by());
            release.operator = line.option("operator").is_some();
            Command::Release(release)
        }
        "many" => return many(world, line),
        "retain" => retain(line),
        "sweep" if line.words.get(1) == Some(&"all") => return sweep_all(world),
        "sweep" => world.sweep(),
        "due" => return due(world),
        "used" => return used(world, line),
        "doubts" => return doubts(world),
        "statements" => return statements(world),
        other => panic!("no command `{other}`"),
    };
    apply(world, command)
}

fn many(world: &mut World, line: &Line<'_>) -> String {
    let commands = (1..=line.number(1)).map(|number| {
        let number = number.to_string();
        let words = line.words.iter().enumerate();
        let words = words.filter(|(place, _)| *place != 1);
        let words: Vec<String> = words.map(|(_, word)| word.replace('%', &number)).collect();
        let one = Line {
            words: words.iter().map(String::as_str).collect(),
            options: line.options.clone(),
        };
        authorize(world, &one)
    });
    let commands = commands.collect();
    let applied = world.apply(commands);
    let granted = applied
        .outcomes
        .iter()
        .filter(|outcome| granted(outcome).is_some());
    format!("{} of {} granted", granted.count(), applied.outcomes.len())
}

fn namespace(world: &World) -> NamespaceQuery<'_, MapView> {
    let found = world.query().namespace(&default_namespace()).unwrap();
    found.unwrap()
}

/// `NAME TIME` pairs; what is not named is kept for ever.
fn retain(line: &Line<'_>) -> Command {
    let kept = |name: &str| {
        let place = line.words.iter().position(|word| *word == name)?;
        Some(duration(line.word(place + 1)))
    };
    Command::SetRetention(SetRetention {
        namespace: default_namespace(),
        retention: Retention {
            permits_ms: kept("permits"),
            disclosures_ms: kept("disclosures"),
            statements_ms: kept("statements"),
            sessions_ms: kept("sessions"),
        },
    })
}

fn sweep_all(world: &mut World) -> String {
    let mut total = SweepOutcome::default();
    loop {
        let sweep = world.sweep();
        let Outcome::Swept(swept) = world.one(sweep) else {
            panic!("a sweep sweeps");
        };
        total.rows += swept.rows;
        total.released.extend(swept.released);
        total.activated = swept.activated.or(total.activated);
        if swept.is_done {
            total.is_done = true;
            return said(&Outcome::Swept(total));
        }
    }
}

fn due(world: &World) -> String {
    let namespace = namespace(world);
    let now = time(world.clock_ms);
    if namespace.is_sweep_due(now).unwrap() {
        return "a sweep is due".to_owned();
    }
    let next = namespace.next_due(now).unwrap();
    next.map_or_else(
        || "nothing is due".to_owned(),
        |next| format!("the next is due at {}", shown(next)),
    )
}

fn used(world: &World, line: &Line<'_>) -> String {
    let namespace = namespace(world);
    let key = BoundKey::new(format!("{}/{}", line.word(2), line.word(3))).unwrap();
    let usages = namespace
        .usages(&name(line.word(1)), &name(line.word(2)), &key)
        .unwrap();
    if usages.is_empty() {
        return "nothing".to_owned();
    }
    let one = |(window, usage): &(Option<Window>, UsageRecord)| {
        let until = window.map(|window| format!(" until {}", shown(window.end())));
        let until = until.unwrap_or_default();
        format!("live {} committed {}{until}", usage.live, usage.committed)
    };
    usages.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn statements(world: &World) -> String {
    let namespace = namespace(world);
    let size = namespace.head().unwrap().size;
    let kept = (0..size).filter(|leaf| namespace.statement(*leaf).unwrap().is_some());
    let disclosed = (0..size).filter(|leaf| namespace.disclosure(*leaf).unwrap().is_some());
    for leaf in 0..size {
        assert!(
            namespace.inclusion(leaf, size).unwrap().is_some(),
            "every leaf is provable, kept or not"
        );
    }
    let list = |leaves: Vec<u64>| {
        let each = leaves.iter().map(u64::to_string);
        each.collect::<Vec<_>>().join(",")
    };
    format!(
        "kept [{}], disclosed [{}] of {size}",
        list(kept.collect()),
        list(disclosed.collect())
    )
}

fn doubts(world: &World) -> String {
    let namespace = namespace(world);
    let permits = namespace.doubts(None, 100).unwrap();
    let each = permits.iter().map(|(_, permit)| stands(permit));
    format!("in doubt: [{}]", each.collect::<Vec<_>>().join(", "))
}
