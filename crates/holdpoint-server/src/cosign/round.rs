//! One collection of signatures under one head.
//!
//! As many are asked as must sign ([`super::quick`]), and the others as soon as one of these does not sign
//! or is late; the first who make it enough are taken. Where keys change, everybody's signature is taken that
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

/// How long those who are asked first may take before the others are asked as well.
const LATE: Duration = Duration::from_millis(50);

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

/// What a round asks.
pub(crate) struct Questions {
    /// Asked at once.
    pub(crate) first: Vec<Asked>,
    /// Asked when those of the first do not sign in time.
    pub(crate) spare: Vec<Asked>,
}

/// What a round rests on.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    pub(crate) cluster: &'a ClusterId,
    /// This node: its own signatures are not verified.
    pub(crate) own: NodeId,
    pub(crate) plan: &'a Plan,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) standing: &'a Standing,
}

/// What the wait for an answer ended with.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time; a box for each answer would cost more"
)]
enum Event {
    Answer(Wanted, Option<Answer>),
    /// Everybody who was asked has answered.
    Answered,
    /// It is time for the next step.
    Late,
}

/// Collects answers until there are enough, or there cannot be. Says with what it came to whether the
/// spare ones were asked.
pub(crate) async fn collect(
    table: Table<'_>,
    questions: Questions,
) -> Result<(Collected, bool), NoteError> {
    let waits = |(wanted, answer): Asked| async move {
        let answer = answer.await;
        (wanted, answer)
    };
    let Questions { first, mut spare } = questions;
    let mut asked: FuturesUnordered<_> = first.into_iter().map(waits).collect();
    let mut tally = Tally::new(table.plan);
    let hedge = Instant::now() + LATE;
    let (mut until, mut was_late) = (None, false);
    loop {
        let deadline = until.or((!spare.is_empty()).then_some(hedge));
        let is_signed = match next(&mut asked, deadline).await {
            Event::Answer(wanted, answer) => take(table, &mut tally, &wanted, answer),
            Event::Answered | Event::Late if spare.is_empty() => break,
            Event::Answered | Event::Late => false,
        };
        if tally.is_enough() {
            if table.plan.due.earlier.is_none() {
                break;
            }
            until.get_or_insert_with(|| Instant::now() + MORE_WITHIN);
        } else if !is_signed && !spare.is_empty() {
            was_late = true;
            asked.extend(spare.drain(..).map(waits));
        }
    }
    let collected = if tally.is_enough() {
        tally.into_notes()?
    } else {
        tally.into_failure()
    };
    Ok((collected, was_late))
}

async fn next<F>(asked: &mut FuturesUnordered<F>, deadline: Option<Instant>) -> Event
where
    F: Future<Output = (Wanted, Option<Answer>)>,
{
    let next = match deadline {
        None => Ok(asked.next().await),
        Some(deadline) => timeout_at(deadline, asked.next()).await,
    };
    match next {
        Ok(Some((wanted, answer))) => Event::Answer(wanted, answer),
        Ok(None) => Event::Answered,
        Err(_) => Event::Late,
    }
}

/// Takes one answer. Whether it is a signature that counts.
fn take(table: Table<'_>, tally: &mut Tally<'_>, wanted: &Wanted, answer: Option<Answer>) -> bool {
    let (plan, node) = (table.plan, wanted.node);
    match answer {
        Some(Answer::Signature(raw)) => match accept(table, wanted, &raw) {
            Ok(signature) => {
                tally.take(wanted, signature);
                return true;
            }
            Err(why) => tracing::warn!(%node, why, "a signature is not taken"),
        },
        Some(Answer::Larger(head)) => tally.larger = tally.larger.max(Some(head.size)),
        Some(Answer::Mismatch(root)) => {
            table.standing.mismatched();
            tracing::error!(
                %node, size = plan.head.size, own_root = %plan.head.root, %root,
                "ALARM: another node has another log of statements"
            );
            tally.mismatches = tally.mismatches.saturating_add(1);
        }
        Some(Answer::NotYet(applied)) => {
            tracing::debug!(%node, applied, size = plan.head.size, "a signer is behind");
        }
        Some(Answer::Refused(word)) => tracing::debug!(%node, word, "a signer does not sign"),
        None => tracing::debug!(%node, "a signer does not answer"),
    }
    false
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

/// The signature in the form of a note, if it is valid and its time is near. This node made its own
/// itself, a moment ago; whoever gets the receipt verifies that too.
fn accept(
    table: Table<'_>,
    wanted: &Wanted,
    signed: &SignedHead,
) -> Result<HeadSignature, &'static str> {
    let (cluster, plan) = (table.cluster, table.plan);
    let origin = &plan.checkpoint.origin;
    let lines = HeadSignature::new(cluster, origin, wanted.node, &wanted.keys, signed);
    if wanted.node == table.own {
        return Ok(lines);
    }
    let verified = verify_head_signature(cluster, &plan.checkpoint, &wanted.keys, &lines);
    let at_s = verified.map_err(|_invalid| "it is not valid")?.at_s;
    if at_s.abs_diff(table.clock.wall_ms() / 1_000) > OFF_S_MAX {
        return Err("its time is far off this node's clock");
    }
    Ok(lines)
}
