//! Which node to ask next: a pure state machine, told what happened and what time it is.
//!
//! Sticky: the preferred node is asked first, always, and changes only when another one answers
//! or is named as the leader. A node that could not be reached, or did not answer, is quarantined for
//! a time that doubles; it is asked again before that only when every other node was asked already,
//! so no call fails because all nodes happen to be quarantined. Nothing here connects, waits or
//! reads a clock: `now` is the time since the gate was built.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How many nodes a client knows at most; further ones that a hint names are ignored.
pub(crate) const NODES_MAX: usize = 64;
/// Quarantine after the first failure in a row.
pub(crate) const QUARANTINE_MIN: Duration = Duration::from_millis(500);
/// The longest quarantine.
pub(crate) const QUARANTINE_MAX: Duration = Duration::from_secs(15);

/// Why a text is not the address of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the address of a node: give `host:port`, such as `127.0.0.1:7411`")]
pub struct AddressError {
    text: String,
}

/// `host:port` of a node's listener for clients.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(String);

impl Address {
    /// The text, `host:port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refused = || AddressError {
            text: text.to_owned(),
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let port: u16 = port.parse().map_err(|_| refused())?;
        // A colon in the host is IPv6, which stands in brackets so that the port is plain.
        let inner = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let fits = |host: &str, colon: bool| {
            let accepts = |c: char| {
                c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') || (colon && c == ':')
            };
            !host.is_empty() && host.chars().all(accepts)
        };
        let host_fits = inner.map_or_else(|| fits(host, false), |inner| fits(inner, true));
        if port == 0 || !host_fits {
            Err(refused())
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A node's place in [`Endpoints`]. Nodes are never removed, so it stays valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) usize);

/// What is known of a node's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// It was never asked.
    Fresh,
    /// It answered last time.
    Proven,
    /// It failed `strikes` times in a row, and is left alone until `until`.
    Quarantined { until: Duration, strikes: u32 },
}

#[derive(Clone, Debug)]
struct Node {
    address: Address,
    health: Health,
}

/// The nodes that a client knows.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    // INVARIANT: never empty, no address twice, at most NODES_MAX.
    nodes: Vec<Node>,
    // INVARIANT: below nodes.len().
    preferred: Slot,
    /// The newest term of which a hint spoke.
    term: u64,
}

impl Endpoints {
    /// Starts with `first` and `others`, of which repeated ones count once; the first is preferred.
    pub(crate) fn new(first: Address, others: impl IntoIterator<Item = Address>) -> Self {
        let node = Node {
            address: first,
            health: Health::Fresh,
        };
        let mut endpoints = Self {
            nodes: vec![node],
            preferred: Slot(0),
            term: 0,
        };
        for address in others {
            endpoints.learn(address);
        }
        endpoints
    }

    /// How many nodes are known.
    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Every node with its address.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Address)> {
        self.nodes
            .iter()
            .enumerate()
            .map(|(place, node)| (Slot(place), &node.address))
    }

    /// The address of a node.
    pub(crate) fn address(&self, slot: Slot) -> Option<&Address> {
        self.nodes.get(slot.0).map(|node| &node.address)
    }

    /// Whether the node answered when it was last asked.
    pub(crate) fn is_proven(&self, slot: Slot) -> bool {
        self.nodes
            .get(slot.0)
            .is_some_and(|node| node.health == Health::Proven)
    }

    /// The next node to ask, of those that are not in `tried`; none when all are.
    ///
    /// Usable nodes come before quarantined ones; among the usable ones the preferred one, then the
    /// others in their order after it; among the quarantined ones the one whose time is up first.
    pub(crate) fn choose(&self, tried: &BTreeSet<Slot>, now: Duration) -> Option<Slot> {
        let count = self.nodes.len();
        let rank = |(place, node): (usize, &Node)| {
            let after_preferred = (place + count - self.preferred.0) % count;
            let until = match node.health {
                Health::Quarantined { until, .. } if until > now => until,
                Health::Quarantined { .. } | Health::Fresh | Health::Proven => Duration::ZERO,
            };
            (until, after_preferred, Slot(place))
        };
        let untried = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(place, _)| !tried.contains(&Slot(*place)));
        untried.map(rank).min().map(|(_, _, slot)| slot)
    }

    /// The node answered, if only to say that it cannot decide.
    pub(crate) fn alive(&mut self, slot: Slot) {
        if let Some(node) = self.nodes.get_mut(slot.0) {
            node.health = Health::Proven;
        }
    }

    /// The node gave the answer to a call, so it is the one to ask next time.
    pub(crate) fn answered(&mut self, slot: Slot) {
        self.alive(slot);
        self.prefer(slot);
    }

    /// The node could not be reached, did not answer, or gave an answer that cannot be believed.
    pub(crate) fn failed(&mut self, slot: Slot, now: Duration) {
        let Some(node) = self.nodes.get_mut(slot.0) else {
            return;
        };
        let strikes = match node.health {
            // Calls that ran side by side and failed together are one failure.
            Health::Quarantined { until, .. } if until > now => return,
            Health::Quarantined { strikes, .. } => strikes.saturating_add(1),
            Health::Fresh | Health::Proven => 0,
        };
        let doubled = QUARANTINE_MIN.saturating_mul(1_u32.checked_shl(strikes).unwrap_or(u32::MAX));
        let until = now.saturating_add(doubled.min(QUARANTINE_MAX));
        node.health = Health::Quarantined { until, strikes };
    }

    /// A node named the leader of `term`. An older term than one heard of before is ignored.
    pub(crate) fn hinted(&mut self, leader: Address, term: u64) {
        if term < self.term {
            return;
        }
        self.term = term;
        if let Some(slot) = self.learn(leader) {
            self.prefer(slot);
        }
    }

    /// Adds a node, unless it is known already or there are too many.
    pub(crate) fn learn(&mut self, address: Address) -> Option<Slot> {
        if let Some(place) = self.nodes.iter().position(|node| node.address == address) {
            return Some(Slot(place));
        }
        if self.nodes.len() >= NODES_MAX {
            return None;
        }
        self.nodes.push(Node {
            address,
            health: Health::Fresh,
        });
        Some(Slot(self.nodes.len() - 1))
    }

    fn prefer(&mut self, slot: Slot) {
        if slot.0 < self.nodes.len() {
            self.preferred = slot;
        }
    }
}
