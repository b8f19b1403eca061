//! Fences and redemptions, as clients saw them.

use crate::history::Event;
use crate::story::{Granted, StepKind, Story};
use crate::verdict::Verdict;

/// Checks that fences rise with the log and with real time, that no two permits of a namespace share one,
/// and that none was redeemed under two redemption ids.
///
/// Unknown with too few permits or redemptions.
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    for permit in &story.permits {
        let done: Vec<&Event> = permit
            .steps_of(StepKind::Redeem)
            .filter_map(|step| step.done)
            .collect();
        if done.len() > 1 {
            let why = format!("permit {} was redeemed {} times", permit.id, done.len());
            let first = permit.shown.first().copied();
            return Verdict::shown(story.history, why, first.into_iter().chain(done));
        }
    }
    if let Some(broken) = falls(story) {
        return broken;
    }
    let demands = story.history.header.demands;
    let redeemed = story.permits.iter().filter(|permit| permit.was_redeemed());
    let (permits, redeemed) = (story.permits.len(), redeemed.count());
    if permits < demands.permits_min || redeemed < demands.redemptions_min {
        return Verdict::Unknown(format!(
            "{permits} permits and {redeemed} redemptions, {} and {} are needed",
            demands.permits_min, demands.redemptions_min
        ));
    }
    Verdict::Holds
}

/// Goes through the permits by fence: everything else must rise along.
fn falls(story: &Story<'_>) -> Option<Verdict> {
    let mut newest: Option<&Granted<'_>> = None;
    let mut last: Option<&Granted<'_>> = None;
    for permit in &story.permits {
        if last.is_some_and(|last| last.namespace != permit.namespace) {
            (newest, last) = (None, None);
        }
        if let Some(last) = last {
            if last.fence == permit.fence {
                return Some(shown(story, last, permit, "have one fence"));
            }
            if let (Some(before), Some(after)) = (last.leaf(), permit.leaf())
                && before >= after
            {
                let what = "stand in the log against their fences";
                return Some(shown(story, last, permit, what));
            }
        }
        if let Some(newest) = newest
            && permit.shown_us < newest.asked_us
        {
            return Some(shown(
                story,
                newest,
                permit,
                "were granted against their fences",
            ));
        }
        if newest.is_none_or(|newest| permit.asked_us > newest.asked_us) {
            newest = Some(permit);
        }
        last = Some(permit);
    }
    None
}

fn shown(story: &Story<'_>, one: &Granted<'_>, other: &Granted<'_>, what: &str) -> Verdict {
    let why = format!(
        "permits {} (fence {}) and {} (fence {}) of `{}` {what}",
        one.id, one.fence, other.id, other.fence, one.namespace
    );
    let events = one.shown.first().into_iter().chain(other.shown.first());
    Verdict::shown(story.history, why, events.copied())
}
