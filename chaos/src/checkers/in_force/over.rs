//! The policy in force, as clients saw it.

use std::collections::BTreeMap;

use super::activations::Activations;
use crate::history::{Answered, Event};
use crate::story::{Activated, Denied, Granted, StepKind, Story};
use crate::verdict::Verdict;

/// Something that names a policy version, and the times between which it took effect.
struct Named<'s> {
    namespace: &'s str,
    version: u64,
    asked_us: u64,
    shown_us: u64,
    leaf: Option<u64>,
    is_activation: bool,
    event: &'s Event,
}

/// Checks that versions rise with the log and with time, that each decision and each read names the
/// version in force between its call and its answer, that no decision is repeated under a later version
/// unless its permit was used, and that no permit is redeemed under a later version than its own (unless
/// the header says that it may).
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    let activations = match Activations::of(story) {
        Ok(activations) => activations,
        Err((one, other)) => {
            let why = format!("version {} was activated twice", one.version);
            return Verdict::shown(story.history, why, [one.event, other.event]);
        }
    };
    let named = named(story);
    let broken = by_leaf(story, &named)
        .or_else(|| {
            named
                .iter()
                .find_map(|one| by_time(story, &activations, one))
        })
        .or_else(|| {
            let replays = story
                .permits
                .iter()
                .map(|permit| replayed(story, &activations, permit));
            let denials = story
                .denials
                .iter()
                .map(|denied| denied_again(story, &activations, denied));
            replays.chain(denials).flatten().next()
        })
        .or_else(|| redeemed_late(story, &activations));
    if let Some(broken) = broken {
        return broken;
    }
    let demanded = story.history.header.demands.activations_min;
    if story.activations.len() < demanded || named.len() == story.activations.len() {
        return Verdict::Unknown(format!(
            "{} activations ({demanded} are needed) and {} decisions",
            story.activations.len(),
            named.len().saturating_sub(story.activations.len())
        ));
    }
    Verdict::Holds
}

/// Everything that names a version as the one in force.
fn named<'s>(story: &'s Story<'s>) -> Vec<Named<'s>> {
    let permits = story.permits.iter().filter_map(|permit| {
        Some(Named {
            namespace: permit.namespace,
            version: permit.version,
            asked_us: permit.asked_us,
            shown_us: permit.shown_us,
            leaf: permit.leaf(),
            is_activation: false,
            event: permit.shown.first()?,
        })
    });
    let denials = story.denials.iter().filter_map(|denied| {
        Some(Named {
            namespace: denied.namespace,
            version: denied.version,
            asked_us: denied.asked_us,
            shown_us: denied.shown_us,
            leaf: denied.proof.map(|proof| proof.leaf),
            is_activation: false,
            event: denied.shown.first()?,
        })
    });
    let activations = story.activations.iter().map(|activated| Named {
        namespace: activated.namespace,
        version: activated.version,
        asked_us: activated.asked_us,
        shown_us: activated.shown_us,
        leaf: activated.proof.map(|proof| proof.leaf),
        is_activation: true,
        event: activated.event,
    });
    let reads = story.history.events.iter().filter_map(|event| {
        let Answered::Version { version } = event.answer else {
            return None;
        };
        Some(Named {
            namespace: &event.namespace,
            version,
            asked_us: event.call_us,
            shown_us: event.return_us,
            leaf: None,
            is_activation: false,
            event,
        })
    });
    permits
        .chain(denials)
        .chain(activations)
        .chain(reads)
        .collect()
}

/// Versions rise with the log, and only where one is activated (or may have been).
fn by_leaf(story: &Story<'_>, named: &[Named<'_>]) -> Option<Verdict> {
    let mut logs: BTreeMap<&str, Vec<(u64, &Named<'_>)>> = BTreeMap::new();
    for one in named {
        if let Some(leaf) = one.leaf {
            logs.entry(one.namespace).or_default().push((leaf, one));
        }
    }
    for (namespace, mut log) in logs {
        log.sort_by_key(|(leaf, _)| *leaf);
        let has_open = story.has_open_activation(namespace);
        for pair in log.windows(2) {
            let [(leaf, earlier), (later_leaf, later)] = pair else {
                continue;
            };
            let rises = later.version > earlier.version;
            let fits = if later.is_activation {
                rises
            } else {
                later.version == earlier.version || (rises && has_open)
            };
            if !fits {
                let why = format!(
                    "in `{namespace}` leaf {later_leaf} names policy version {}, and {} was in \
                     force since leaf {leaf} at the latest",
                    later.version, earlier.version
                );
                return Some(Verdict::shown(
                    story.history,
                    why,
                    [earlier.event, later.event],
                ));
            }
        }
    }
    None
}

/// No version is named after a later one was acknowledged, nor before anybody asked for it.
fn by_time<'s>(
    story: &'s Story<'s>,
    activations: &Activations<'s>,
    one: &Named<'s>,
) -> Option<Verdict> {
    let word = one.event.answer.as_str();
    if let Some(newer) = activations.before(one.namespace, one.asked_us)
        && (newer.version > one.version || (one.is_activation && newer.version == one.version))
    {
        let why = format!(
            "`{word}` names policy version {}, and version {} of `{}` was acknowledged before it was \
             asked for",
            one.version, newer.version, one.namespace
        );
        return Some(Verdict::shown(story.history, why, [newer.event, one.event]));
    }
    let made = activations.of_version(one.namespace, one.version)?;
    (made.asked_us > one.shown_us).then(|| {
        let why = format!(
            "`{word}` names policy version {} of `{}` before anybody asked for it",
            one.version, one.namespace
        );
        Verdict::shown(story.history, why, [one.event, made.event])
    })
}

/// A permit is shown again under a later version only if it was used, or may have been.
fn replayed<'s>(
    story: &'s Story<'s>,
    activations: &Activations<'s>,
    permit: &'s Granted<'s>,
) -> Option<Verdict> {
    permit.shown.iter().find_map(|event| {
        let newer = newer(activations, permit.namespace, event.call_us, permit.version)?;
        let is_used = permit
            .steps
            .iter()
            .any(|step| step.asked_us <= event.return_us);
        (!is_used).then(|| {
            let why = format!(
                "permit {} of policy version {} was given again under version {}, and nobody had \
                 redeemed it: it should have been superseded",
                permit.id, permit.version, newer.version
            );
            let first = permit.shown.first().copied().into_iter();
            Verdict::shown(story.history, why, first.chain([newer.event, event]))
        })
    })
}

/// A denial is never repeated under a later version.
fn denied_again<'s>(
    story: &'s Story<'s>,
    activations: &Activations<'s>,
    denied: &'s Denied<'s>,
) -> Option<Verdict> {
    denied.shown.iter().find_map(|event| {
        let newer = newer(activations, denied.namespace, event.call_us, denied.version)?;
        let why = format!(
            "a denial of policy version {} was repeated under version {}",
            denied.version, newer.version
        );
        let first = denied.shown.first().copied().into_iter();
        Some(Verdict::shown(
            story.history,
            why,
            first.chain([newer.event, event]),
        ))
    })
}

/// No permit is redeemed under a later version than its own.
fn redeemed_late<'s>(story: &'s Story<'s>, activations: &Activations<'s>) -> Option<Verdict> {
    if story.history.header.honor_issued {
        return None;
    }
    story.permits.iter().find_map(|permit| {
        permit.steps_of(StepKind::Redeem).find_map(|step| {
            let done = step.done?;
            let by_time = newer(activations, permit.namespace, step.asked_us, permit.version);
            let newer = by_time.or_else(|| {
                let (granted, redeemed) = (permit.leaf()?, step.proof()?.leaf);
                story.activations.iter().find(|activated| {
                    let leaf = activated.proof.map(|proof| proof.leaf);
                    activated.namespace == permit.namespace
                        && leaf.is_some_and(|leaf| granted < leaf && leaf < redeemed)
                })
            })?;
            let why = format!(
                "permit {} of policy version {} was redeemed under version {}",
                permit.id, permit.version, newer.version
            );
            let first = permit.shown.first().copied().into_iter();
            Some(Verdict::shown(
                story.history,
                why,
                first.chain([newer.event, done]),
            ))
        })
    })
}

fn newer<'s>(
    activations: &Activations<'s>,
    namespace: &str,
    at_us: u64,
    version: u64,
) -> Option<&'s Activated<'s>> {
    let newest = activations.before(namespace, at_us)?;
    (newest.version > version).then_some(newest)
}
