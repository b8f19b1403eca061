//! Who signs heads, in the model: lists of epochs and marks, and who is what now.

use std::collections::BTreeMap;

use super::{Model, Op, replayed};

/// A node and the number of its keys.
pub(crate) type Signer = (u64, u64);

#[derive(Clone, Copy, Debug)]
struct Node {
    keys: u64,
    is_retired: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) from: u64,
    pub(crate) needed: usize,
    pub(crate) signers: Vec<Signer>,
    pub(crate) is_handed_over: bool,
}

/// Keys that count no more under larger heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) signer: Signer,
    pub(crate) to: u64,
}

pub(crate) struct Signing {
    pub(crate) voters: Vec<u64>,
    required: usize,
    nodes: BTreeMap<u64, Node>,
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) marks: Vec<Mark>,
}

impl Default for Signing {
    fn default() -> Self {
        Self {
            voters: vec![1, 2, 3],
            required: 0,
            nodes: BTreeMap::new(),
            epochs: Vec::new(),
            marks: Vec::new(),
        }
    }
}

impl Signing {
    /// The keys that a node has now.
    pub(crate) fn keys_of(&self, node: u64) -> Option<u64> {
        self.nodes.get(&node).map(|node| node.keys)
    }

    fn signers(&self) -> Vec<Signer> {
        let announced = self
            .voters
            .iter()
            .filter_map(|id| Some((*id, self.nodes.get(id)?)));
        let signing = announced.filter(|(_, node)| !node.is_retired);
        signing.map(|(id, node)| (id, node.keys)).collect()
    }

    fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    fn are_enough(&self) -> bool {
        self.signers().len() >= self.majority().max(self.required)
    }

    fn is_pending(&self) -> bool {
        match self.epochs.last() {
            None => true,
            Some(epoch) => epoch.from > 0 && !epoch.is_handed_over,
        }
    }

    /// Whether nobody has or had these keys.
    fn are_fresh(&self, keys: u64) -> bool {
        let mut ever = self.epochs.iter().flat_map(|epoch| &epoch.signers);
        !ever.any(|(_, known)| *known == keys) && !self.nodes.values().any(|node| node.keys == keys)
    }

    /// The epoch before the one at `place` that somebody could prove something under.
    pub(crate) fn before(&self, place: usize) -> Option<&Epoch> {
        let earlier = self.epochs.get(..place)?;
        let proven = earlier.iter().rev().find(|epoch| epoch.is_handed_over);
        proven.or(earlier.first())
    }

    /// Who of an epoch counts under a head of `size` leaves.
    pub(crate) fn counting(&self, epoch: &Epoch, size: u64) -> Vec<Signer> {
        let is_marked = |signer: &Signer| {
            let mut marks = self.marks.iter();
            marks.any(|mark| mark.signer == *signer && mark.to < size)
        };
        let signers = epoch.signers.iter().copied();
        signers.filter(|signer| !is_marked(signer)).collect()
    }
}

impl Model {
    pub(super) fn answer_about_keys(&mut self, op: Op) -> String {
        match op {
            Op::Announce { node, keys } => self.announce(node, keys),
            Op::Rotate {
                node,
                keys,
                expected,
            } => self.rotate(node, keys, expected),
            Op::Retire(node) => self.retire(node),
            Op::Mark { signer, to } => self.mark(signer, to),
            Op::Require(signers) => self.require(signers),
            Op::HandOver {
                from,
                size,
                signers,
                is_forged,
            } => {
                let problem = self.hand_over(from, size, &signers, is_forged);
                problem.map_or_else(
                    || "done".to_owned(),
                    |problem| match problem {
                        "" => replayed("done", true),
                        _ => format!("rejected: the note does not hand the log over: {problem}"),
                    },
                )
            }
            other => self.answer_about_past(other),
        }
    }

    /// A uniform membership.
    pub(crate) fn change_voters(&mut self, voters: &[u64]) {
        self.signing.voters = voters.to_vec();
        if self.open_epoch() {
            self.notes.push("a membership opened an epoch");
        }
    }

    /// Adds an epoch if others sign now, and says so.
    fn open_epoch(&mut self) -> bool {
        let signing = &self.signing;
        let signers = signing.signers();
        if signers.len() < signing.majority() {
            return false;
        }
        let needed = signing.majority().max(signing.required.min(signers.len()));
        let newest = signing.epochs.last();
        if newest.is_some_and(|epoch| epoch.needed == needed && epoch.signers == signers) {
            return false;
        }
        let from = newest.map_or(0, |_| self.leaves.len() as u64 + 1);
        self.stated(None);
        self.signing.epochs.push(Epoch {
            from,
            needed,
            signers,
            is_handed_over: false,
        });
        true
    }

    /// What a change of keys says that was made.
    fn keys_changed(&mut self) -> String {
        if self.open_epoch() {
            format!("done stated at {}", self.leaves.len() - 1)
        } else {
            "done".to_owned()
        }
    }

    fn announce(&mut self, node: u64, keys: u64) -> String {
        match self.signing.keys_of(node) {
            Some(known) if known != keys => {
                return format!("rejected: node {node} is known under other keys");
            }
            Some(_) => return "announced".to_owned(),
            None => {}
        }
        if !self.signing.are_fresh(keys) {
            return format!(
                "rejected: the keys of node {node} are malformed, weak, or in use by another"
            );
        }
        let fresh = Node {
            keys,
            is_retired: false,
        };
        self.signing.nodes.insert(node, fresh);
        self.open_epoch();
        "announced".to_owned()
    }

    fn rotate(&mut self, node: u64, keys: u64, expected: u64) -> String {
        let Some(known) = self.signing.nodes.get(&node).copied() else {
            return "refused UNKNOWN_NODE".to_owned();
        };
        if known.keys == keys && !known.is_retired {
            return replayed("done", true);
        }
        if known.keys != expected {
            return "refused KEYS_MOVED".to_owned();
        }
        if self.signing.is_pending() {
            return "refused KEYS_PENDING".to_owned();
        }
        let mut marks = self.signing.marks.iter();
        let is_fit = if known.keys == keys {
            !marks.any(|mark| mark.signer == (node, keys))
        } else {
            self.signing.are_fresh(keys)
        };
        if !is_fit {
            return "refused KEYS_UNFIT".to_owned();
        }
        if known.is_retired {
            self.notes.push("a node was restored");
        }
        let fresh = Node {
            keys,
            is_retired: false,
        };
        self.signing.nodes.insert(node, fresh);
        self.keys_changed()
    }

    fn retire(&mut self, node: u64) -> String {
        let is_voter = self.signing.voters.contains(&node);
        let known = self.signing.nodes.get(&node).copied();
        let Some(known) = known.filter(|_| is_voter) else {
            return "refused UNKNOWN_NODE".to_owned();
        };
        if known.is_retired {
            return replayed("done", true);
        }
        if self.signing.is_pending() {
            return "refused KEYS_PENDING".to_owned();
        }
        self.take_out(node, known);
        if !self.signing.are_enough() {
            self.signing.nodes.insert(node, known);
            return "refused TOO_FEW_SIGNERS".to_owned();
        }
        self.keys_changed()
    }

    fn take_out(&mut self, node: u64, known: Node) {
        let retired = Node {
            is_retired: true,
            ..known
        };
        self.signing.nodes.insert(node, retired);
    }

    fn mark(&mut self, signer: Signer, to: u64) -> String {
        let (node, keys) = signer;
        let Some(known) = self.signing.nodes.get(&node).copied() else {
            return "refused UNKNOWN_NODE".to_owned();
        };
        let mut ever = self.signing.epochs.iter().flat_map(|epoch| &epoch.signers);
        if !ever.any(|known| *known == signer) {
            return "refused UNKNOWN_KEY".to_owned();
        }
        let mut marks = self.signing.marks.iter();
        if marks.any(|mark| mark.signer == signer && mark.to <= to) {
            return replayed("done", true);
        }
        let size = self.leaves.len() as u64;
        if to > size {
            return format!("rejected: a head of {to} leaves, and the log has {size}");
        }
        if self.signing.is_pending() {
            return "refused KEYS_PENDING".to_owned();
        }
        if known.keys == keys && !known.is_retired {
            self.take_out(node, known);
            if self.signing.voters.contains(&node) && !self.signing.are_enough() {
                self.signing.nodes.insert(node, known);
                return "refused TOO_FEW_SIGNERS".to_owned();
            }
        } else {
            self.notes.push("keys of the past were marked");
        }
        self.signing.marks.push(Mark { signer, to });
        if !self.open_epoch() {
            self.stated(None);
        }
        format!("done stated at {}", self.leaves.len() - 1)
    }

    fn require(&mut self, signers: Option<u32>) -> String {
        let signers = signers.map_or(0, |signers| usize::try_from(signers).unwrap());
        let before = self.signing.required;
        if before == signers {
            return replayed("done", true);
        }
        if self.signing.is_pending() {
            return "refused KEYS_PENDING".to_owned();
        }
        self.signing.required = signers;
        if !self.signing.are_enough() {
            self.signing.required = before;
            return "refused TOO_FEW_SIGNERS".to_owned();
        }
        self.keys_changed()
    }

    /// What is wrong with a note, nothing where it was recorded before, or none.
    fn hand_over(
        &mut self,
        from: u64,
        size: u64,
        signers: &[Signer],
        is_forged: bool,
    ) -> Option<&'static str> {
        let epochs = &self.signing.epochs;
        let place = epochs.iter().position(|epoch| epoch.from == from);
        let Some(place) = place.filter(|place| *place > 0) else {
            return Some("there is no such epoch, or it is the first");
        };
        if epochs[place..].iter().any(|epoch| epoch.is_handed_over) {
            return Some("");
        }
        let next = epochs.get(place + 1).map_or(u64::MAX, |next| next.from);
        if size < from || size >= next || size > self.leaves.len() as u64 {
            return Some("the head is of another epoch's size, or beyond the log");
        }
        let (old, new) = (self.signing.before(place).unwrap(), &epochs[place]);
        let count = |epoch: &Epoch| {
            let counting = self.signing.counting(epoch, size);
            signers
                .iter()
                .filter(|signer| counting.contains(signer))
                .count()
        };
        let is_stranger = |signer: &Signer| {
            let both = [old, new].map(|epoch| self.signing.counting(epoch, size));
            !both.concat().contains(signer)
        };
        let are_enough = count(old) >= old.needed && count(new) >= new.needed;
        if is_forged || !are_enough || signers.iter().any(is_stranger) {
            return Some("it is another head, or not signed by enough nodes of either epoch");
        }
        self.changes = true;
        self.signing.epochs[place].is_handed_over = true;
        None
    }
}
