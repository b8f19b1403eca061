//! One collection of signatures under one head.
//!
//! All who may sign are asked at once, and the first who make it enough are taken: whoever is slow or
//! away costs nothing while enough others answer. Where keys change, everybody's signature is taken that
//! comes soon: whoever follows the keys later must find enough of them also when one is marked as
//! compromised meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use holdpoint_raft::Clock;
use holdpoint_receipt::keys::{HeadSignature, SignedHead};
use holdpoint_receipt::note::{Note, NoteError};
use holdpoint_receipt::verify::verify_head_signature;
use holdpoint_receipt::{ClusterId, NodeId};
use tokio::time::{Instant, timeout_at};

use super::epochs::Wanted;
use super::nodes::Answer;
use super::reader::Plan;
use super::standing::Standing;

/// Seconds that the time of a co-signature may be off this node's clock.
const OFF_S_MAX: u64 = 3;

/// How long the signatures that a handover does not need are waited for once it has those that it does.
const MORE_WITHIN: Duration = Duration::from_millis(300);

/// What a round came to.
#[derive(Debug)]
pub(crate) enum Collected {
    /// Enough signed.
    Enough {
        /// The head as receipts carry it: exactly as many signers as the epoch needs.
        note: Note,
        /// The head as both epochs signed it, where keys change.
        handover: Option<Note>,
        /// Everybody who signed it, also those that the note does not need.
        signers: Vec<NodeId>,
    },
    /// Somebody has signed a larger head, and without it there are not enough.
    Larger(u64),
    /// So many others have another root that there cannot be enough.
    Contradicted,
    /// Not enough signed.
    TooFew {
        /// How many of the epoch did.
        signed: usize,
        /// How many must.
        needed: usize,
    },
}

/// An answer that is waited for.
pub(crate) type Asked = (Wanted, BoxFuture<'static, Option<Answer>>);

/// Collects answers until there are enough, or there cannot be.
pub(crate) async fn collect(
    cluster: &ClusterId,
    plan: &Plan,
    asked: Vec<Asked>,
    clock: &Arc<dyn Clock>,
    standing: &Standing,
) -> Result<Collected, NoteError> {
    let asked = asked.into_iter().map(|(wanted, answer)| async move {
        let answer = answer.await;
        (wanted, answer)
    });
    let mut asked: FuturesUnordered<_> = asked.collect();
    let mut tally = Tally::new(plan);
    let mut until = None;
    loop {
        let next = match until {
            None => asked.next().await,
            Some(until) => timeout_at(until, asked.next()).await.unwrap_or_default(),
        };
        let Some((wanted, answer)) = next else {
            break;
        };
        match answer {
            Some(Answer::Signature(raw)) => {
                let now_s = clock.wall_ms() / 1_000;
                match accept(cluster, plan, &wanted, &raw, now_s) {
                    Ok(signature) => tally.take(&wanted, signature),
                    Err(why) => {
                        tracing::warn!(node = %wanted.node, why, "a signature is not taken");
                    }
                }
            }
            Some(Answer::Larger(head)) => tally.larger = tally.larger.max(Some(head.size)),
            Some(Answer::Mismatch(root)) => {
                standing.mismatched();
                tracing::error!(
                    node = %wanted.node, size = plan.head.size, own_root = %plan.head.root, %root,
                    "ALARM: another node has another log of statements"
                );
                tally.mismatches = tally.mismatches.saturating_add(1);
            }
            Some(Answer::NotYet(applied)) => {
                tracing::debug!(node = %wanted.node, applied, size = plan.head.size, "a signer is behind");
            }
            Some(Answer::Refused(word)) => {
                tracing::debug!(node = %wanted.node, word, "a signer does not sign");
            }
            None => tracing::debug!(node = %wanted.node, "a signer does not answer"),
        }
        if tally.is_enough() {
            if plan.due.earlier.is_none() {
                return tally.into_notes();
            }
            until.get_or_insert_with(|| Instant::now() + MORE_WITHIN);
        }
    }
    if tally.is_enough() {
        tally.into_notes()
    } else {
        Ok(tally.into_failure())
    }
}

/// What has been collected.
struct Tally<'a> {
    plan: &'a Plan,
    of_epoch: Vec<HeadSignature>,
    of_earlier: Vec<HeadSignature>,
    larger: Option<u64>,
    mismatches: usize,
}

impl<'a> Tally<'a> {
    const fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            of_epoch: Vec::new(),
            of_earlier: Vec::new(),
            larger: None,
            mismatches: 0,
        }
    }

    const fn needed(&self) -> usize {
        self.plan.due.epoch.signers_needed as usize
    }

    fn needed_earlier(&self) -> usize {
        let earlier = self.plan.due.earlier.as_ref();
        earlier.map_or(0, |epoch| epoch.signers_needed as usize)
    }

    fn take(&mut self, wanted: &Wanted, signature: HeadSignature) {
        if wanted.in_earlier {
            self.of_earlier.push(signature.clone());
        }
        if wanted.in_epoch {
            self.of_epoch.push(signature);
        }
    }

    fn is_enough(&self) -> bool {
        self.of_epoch.len() >= self.needed() && self.of_earlier.len() >= self.needed_earlier()
    }

    fn into_notes(mut self) -> Result<Collected, NoteError> {
        let checkpoint = &self.plan.checkpoint;
        let mut handover = None;
        if self.plan.due.earlier.is_some() {
            // Of a node whose keys change, the old ones stand first.
            let mut both = self.of_earlier.clone();
            let others = self.of_epoch.iter();
            both.extend(others.filter(|it| !self.of_earlier.contains(it)).cloned());
            handover = Some(checkpoint.to_note(both)?);
        }
        self.of_epoch.truncate(self.needed());
        let signers = self.of_epoch.iter().map(|signature| signature.node);
        Ok(Collected::Enough {
            signers: signers.collect(),
            note: checkpoint.to_note(self.of_epoch)?,
            handover,
        })
    }

    fn into_failure(self) -> Collected {
        let nodes = self.plan.due.epoch.nodes.len();
        if self.mismatches > nodes.saturating_sub(self.needed()) {
            return Collected::Contradicted;
        }
        match self.larger {
            Some(size) => Collected::Larger(size),
            None => Collected::TooFew {
                signed: self.of_epoch.len(),
                needed: self.needed(),
            },
        }
    }
}

/// The signature in the form of a note, if it is valid and its time is near.
fn accept(
    cluster: &ClusterId,
    plan: &Plan,
    wanted: &Wanted,
    signed: &SignedHead,
    now_s: u64,
) -> Result<HeadSignature, &'static str> {
    let origin = &plan.checkpoint.origin;
    let lines = HeadSignature::new(cluster, origin, wanted.node, &wanted.keys, signed);
    let verified = verify_head_signature(cluster, &plan.checkpoint, &wanted.keys, &lines);
    let at_s = verified.map_err(|_invalid| "it is not valid")?.at_s;
    if at_s.abs_diff(now_s) > OFF_S_MAX {
        return Err("its time is far off this node's clock");
    }
    Ok(lines)
}
