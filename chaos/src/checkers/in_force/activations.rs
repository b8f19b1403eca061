//! Which policy version was surely in force when.

use std::collections::BTreeMap;

use crate::story::{Activated, Story};

/// The activations that were acknowledged, by namespace.
pub(super) struct Activations<'s> {
    /// By the time of the acknowledgement, each with the highest version until then.
    shown: BTreeMap<&'s str, Vec<(u64, &'s Activated<'s>)>>,
    by_version: BTreeMap<(&'s str, u64), &'s Activated<'s>>,
}

impl<'s> Activations<'s> {
    /// Sorts them.
    ///
    /// # Errors
    ///
    /// Two that were given one version.
    pub(super) fn of(story: &'s Story<'s>) -> Result<Self, (&'s Activated<'s>, &'s Activated<'s>)> {
        let mut shown: BTreeMap<&str, Vec<(u64, &Activated<'_>)>> = BTreeMap::new();
        let mut by_version: BTreeMap<(&str, u64), &Activated<'_>> = BTreeMap::new();
        let mut sorted: Vec<&Activated<'_>> = story.activations.iter().collect();
        sorted.sort_by_key(|activated| activated.shown_us);
        for activated in sorted {
            let name = (activated.namespace, activated.version);
            if let Some(other) = by_version.insert(name, activated) {
                return Err((other, activated));
            }
            let list = shown.entry(activated.namespace).or_default();
            let highest = match list.last() {
                Some((_, highest)) if highest.version > activated.version => highest,
                _ => activated,
            };
            list.push((activated.shown_us, highest));
        }
        Ok(Self { shown, by_version })
    }

    /// The highest version that was acknowledged before `at_us`.
    pub(super) fn before(&self, namespace: &str, at_us: u64) -> Option<&'s Activated<'s>> {
        let list = self.shown.get(namespace)?;
        let count = list.partition_point(|(shown_us, _)| *shown_us < at_us);
        let (_, highest) = list.get(count.checked_sub(1)?)?;
        Some(highest)
    }

    /// The activation that made a version.
    pub(super) fn of_version(&self, namespace: &'s str, version: u64) -> Option<&'s Activated<'s>> {
        self.by_version.get(&(namespace, version)).copied()
    }
}
