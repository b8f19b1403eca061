//! G8: receipts stand in one log, which every node shows alike; deleting or rewriting is evident.
//!
//! Source: `SPEC` section 2 ("receipt") and section 5; RFC 6962 section 2.1 (the tree), and the gossip of
//! Certificate Transparency, which compares heads from many places. It never trusts a node's word that
//! two heads are of one log: it makes the tree again wherever all leaves are known.

use std::collections::BTreeMap;

use holdpoint_receipt::Digest;
use holdpoint_receipt::merkle::{Frontier, leaf_of};

use crate::history::{Answered, Event};
use crate::story::Story;
use crate::verdict::Verdict;

/// What clients saw of the log of one namespace.
#[derive(Default)]
struct Log<'s> {
    leaves: BTreeMap<u64, (&'s str, &'s Event)>,
    places: BTreeMap<&'s str, (u64, &'s Event)>,
    heads: BTreeMap<u64, (&'s str, &'s Event)>,
}

/// Checks that no leaf has two statements and no statement two leaves, whichever node is asked; that heads
/// of one size have one root; that each head is that of the leaves before it, as far as they are known;
/// and that the log after healing has every statement that was acknowledged before.
///
/// Unknown if a node of the header showed no head after the last fault was healed.
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    let mut logs: BTreeMap<&str, Log<'_>> = BTreeMap::new();
    for event in &story.history.events {
        let log = logs.entry(&event.namespace).or_default();
        let contradiction = match &event.answer {
            Answered::Leaf { leaf, hash } => log.leaf(*leaf, hash, event),
            Answered::Head { size, root } => log.head(*size, root, event),
            answer => answer
                .receipt()
                .and_then(|proof| log.leaf(proof.leaf, &proof.hash, event)),
        };
        if let Some((why, other)) = contradiction {
            let why = format!("in `{}` {why}", event.namespace);
            return Verdict::shown(story.history, why, [other, event]);
        }
    }
    for (namespace, log) in &logs {
        if let Some((why, event)) = log.wrong_head() {
            let why = format!("in `{namespace}` {why}");
            return Verdict::shown(story.history, why, [event]);
        }
        if let Some(broken) = log.cut(story, namespace) {
            return broken;
        }
    }
    match unseen(story) {
        Some(why) => Verdict::Unknown(why),
        None => Verdict::Holds,
    }
}

impl<'s> Log<'s> {
    fn leaf(&mut self, leaf: u64, hash: &'s str, event: &'s Event) -> Option<(String, &'s Event)> {
        let (known, shown) = *self.leaves.entry(leaf).or_insert((hash, event));
        if known != hash {
            return Some((format!("leaf {leaf} has two statements"), shown));
        }
        let (place, shown) = *self.places.entry(hash).or_insert((leaf, event));
        (place != leaf).then(|| {
            (
                format!("one statement has leaves {place} and {leaf}"),
                shown,
            )
        })
    }

    fn head(&mut self, size: u64, root: &'s str, event: &'s Event) -> Option<(String, &'s Event)> {
        let (known, shown) = *self.heads.entry(size).or_insert((root, event));
        (known != root).then(|| {
            (
                format!("two heads of {size} leaves have different roots"),
                shown,
            )
        })
    }

    /// A head that is not that of its leaves. Looks at heads up to the first leaf that nobody saw.
    fn wrong_head(&self) -> Option<(String, &'s Event)> {
        let mut tree = Frontier::new();
        for (size, (root, event)) in &self.heads {
            while tree.size() < *size {
                let (hash, _) = self.leaves.get(&tree.size())?;
                let hash: Digest = hash.parse().ok()?;
                tree.append(leaf_of(&hash)).ok()?;
            }
            if tree.root().to_string() != **root {
                let why = format!("the head of {size} leaves is not that of the leaves themselves");
                return Some((why, event));
            }
        }
        None
    }

    /// The log after healing is shorter than what was acknowledged before.
    fn cut(&self, story: &Story<'_>, namespace: &str) -> Option<Verdict> {
        let healed_us = story.history.healed_us()?;
        let (size, (_, newest)) = self
            .heads
            .iter()
            .rev()
            .find(|(_, (_, event))| event.call_us >= healed_us)?;
        let before = |(place, proof, event): &(&str, &crate::history::Proof, &Event)| {
            *place == namespace && proof.leaf >= *size && event.return_us < healed_us
        };
        let (_, proof, event) = story.proofs().find(before)?;
        let why = format!(
            "in `{namespace}` leaf {} was acknowledged, and the largest head after healing has {size} \
             leaves",
            proof.leaf
        );
        Some(Verdict::shown(story.history, why, [event, *newest]))
    }
}

/// A node whose log nobody saw.
fn unseen(story: &Story<'_>) -> Option<String> {
    let since_us = story.history.healed_us().unwrap_or_default();
    let showed = |node: &&u64| {
        !story.history.events.iter().any(|event| {
            matches!(event.answer, Answered::Head { .. })
                && event.node == Some(**node)
                && event.call_us >= since_us
        })
    };
    let node = story.history.header.nodes.iter().find(showed)?;
    Some(format!("node {node} showed no head of its log at the end"))
}
