//! The log of statements as it grows, from any node, without gaps.
//!
//! A stream that breaks is opened again, at another node if need be, at the leaf after the last one
//! seen. What comes is checked before it is given out: that leaves follow each other, that each
//! statement is of this gate and of its leaf, and its receipt. Nothing here keeps anything: whoever must
//! go on after a restart stores [`Watch::next_leaf`].

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_receipt::statement::Kind;
use holdpoint_receipt::{Decision, Digest, Name, Reason, Statement};
use tonic::Streaming;

use crate::believe::{AnswerError, Receipt, same};
use crate::call::NoAnswer;
use crate::connection::Connection;
use crate::failure::{Failure, Refused};
use crate::fault::Decided;
use crate::gate::{CallError, Gate};
use crate::info::malformed;
use crate::refusal::Silence;

/// How often in a row a stream may break before anything came over it.
const BREAKS_MAX: u32 = 8;

/// Which statements are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchFilter {
    /// Only statements of these kinds; none means all.
    pub kinds: Vec<Kind>,
    /// Only statements about these surfaces; none means all, also those about none.
    pub surfaces: Vec<Name>,
    /// Only decisions that are this; other kinds are not left out.
    pub decision: Option<Decision>,
    /// Leaves the proofs out, so that the statements are as the node says them. Costs the node less.
    pub without_receipts: bool,
}

impl WatchFilter {
    /// Whether every statement comes, so that a missing one is a gap.
    fn is_all(&self) -> bool {
        self.kinds.is_empty() && self.surfaces.is_empty() && self.decision.is_none()
    }
}

/// A statement of the log.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The statement. Its place names its leaf.
    pub statement: Statement,
    /// Its hash.
    pub hash: Digest,
    /// Its proof, verified; absent if the filter leaves proofs out.
    pub receipt: Option<Receipt>,
}

/// Why a watch ended, and where to go on.
#[derive(Debug, thiserror::Error)]
#[error("{cause}; {}", resume(*next_leaf, *first_kept))]
pub struct WatchEnded {
    /// The first leaf that was not seen; none if not even the beginning is known.
    pub next_leaf: Option<u64>,
    /// The first leaf that is still kept, where the wanted one no longer is.
    pub first_kept: Option<u64>,
    /// Why.
    #[source]
    pub cause: CallError,
}

fn resume(next_leaf: Option<u64>, first_kept: Option<u64>) -> String {
    match (next_leaf, first_kept) {
        (Some(next), Some(first)) => {
            format!("leaf {next} was the next, and the first that is still kept is leaf {first}")
        }
        (Some(next), None) => format!("resume at leaf {next}"),
        (None, _) => "nothing was seen yet".to_owned(),
    }
}

/// The log of statements as it grows; made by [`Gate::watch`].
#[derive(Debug)]
pub struct Watch<'a> {
    gate: &'a Gate,
    filter: WatchFilter,
    next_leaf: Option<u64>,
    stream: Option<Box<Streaming<v1::WatchResponse>>>,
    /// Breaks since something last came.
    break_count: u32,
}

/// What one message of a stream means.
enum Step {
    Statement(Box<Watched>),
    Progress,
    Refused(v1::Refusal, u64),
}

impl Gate {
    /// Watches the log of statements from leaf `from`; without one, from the next that is made.
    ///
    /// Nothing is asked before [`Watch::next`].
    #[must_use]
    pub const fn watch(&self, from: Option<u64>, filter: WatchFilter) -> Watch<'_> {
        Watch {
            gate: self,
            filter,
            next_leaf: from,
            stream: None,
            break_count: 0,
        }
    }
}

impl Watch<'_> {
    /// The first leaf that was not seen yet, where it is known: where to resume.
    #[must_use]
    pub const fn next_leaf(&self) -> Option<u64> {
        self.next_leaf
    }

    /// The next statement, waited for without an end.
    ///
    /// # Errors
    ///
    /// [`WatchEnded`] if no node streams within the gate's deadline, if what came cannot be believed,
    /// or if the leaf is no longer kept. It says where to resume; calling again does that.
    ///
    /// # Cancellation
    ///
    /// Harmless: no statement is lost.
    pub async fn next(&mut self) -> Result<Watched, WatchEnded> {
        loop {
            if self.stream.is_none() {
                let opened = self.open().await;
                self.stream = Some(Box::new(opened.map_err(|error| self.ended(error.into()))?));
            }
            let Some(stream) = self.stream.as_mut() else {
                continue;
            };
            let Ok(Some(message)) = stream.message().await else {
                self.broke()?;
                continue;
            };
            self.break_count = 0;
            let keys = self.gate.keys();
            match self.read(message) {
                Ok(Step::Statement(watched)) => return Ok(*watched),
                Ok(Step::Progress) => {}
                Ok(Step::Refused(refusal, first_leaf)) => self.refused(refusal, first_leaf)?,
                Err(error) => {
                    self.stream = None;
                    let is_receipt = matches!(error, AnswerError::Receipt(_));
                    if is_receipt && self.gate.follow_keys(&keys).await {
                        continue;
                    }
                    return Err(self.disbelieved(&error));
                }
            }
        }
    }

    async fn open(&self) -> Result<Streaming<v1::WatchResponse>, NoAnswer> {
        let (gate, filter) = (self.gate, &self.filter);
        let words = |kinds: &[Kind]| kinds.iter().map(Kind::to_string).collect();
        let ask = |connection: Arc<Connection>, _| {
            let message = v1::WatchRequest {
                namespace: gate.namespace().to_string(),
                from_leaf: self.next_leaf,
                kinds: words(&filter.kinds),
                surfaces: filter.surfaces.iter().map(Name::to_string).collect(),
                decision: match filter.decision {
                    None => v1::Decision::Unspecified,
                    Some(Decision::Permit) => v1::Decision::Permit,
                    Some(Decision::Deny) => v1::Decision::Deny,
                    Some(Decision::Silence) => v1::Decision::Silence,
                }
                .into(),
                with_receipts: !filter.without_receipts,
            };
            async move {
                let opened = connection
                    .history()
                    .watch(connection.request(message))
                    .await?;
                Ok(opened.into_inner())
            }
        };
        Ok(gate.nodes().call(gate.deadline(), ask).await?.answer)
    }

    fn read(&mut self, message: v1::WatchResponse) -> Result<Step, AnswerError> {
        if let Some(refusal) = message.refusal {
            return Ok(Step::Refused(refusal, message.next_leaf));
        }
        let seen_to = self.next_leaf.unwrap_or_default();
        let Some(sent) = message.statement else {
            // Only a filter may leave statements out.
            let is_gap =
                self.filter.is_all() && self.next_leaf.is_some() && message.next_leaf != seen_to;
            same("next_leaf", message.next_leaf >= seen_to && !is_gap)?;
            self.next_leaf = Some(message.next_leaf);
            return Ok(Step::Progress);
        };
        let leaf = sent.leaf_index;
        let follows = if self.filter.is_all() && self.next_leaf.is_some() {
            leaf == seen_to
        } else {
            leaf >= seen_to
        };
        same("leaf_index", follows)?;
        let after = leaf
            .checked_add(1)
            .ok_or_else(|| malformed("leaf_index", "is beyond every log"))?;
        same("next_leaf", message.next_leaf == after)?;
        let watched = self.believe(sent)?;
        self.next_leaf = Some(after);
        Ok(Step::Statement(Box::new(watched)))
    }

    fn believe(&self, sent: v1::WatchedStatement) -> Result<Watched, AnswerError> {
        let statement =
            Statement::parse(&sent.statement).map_err(|error| malformed("statement", error))?;
        same(
            "authority",
            statement.authority == *self.gate.keys().authority(),
        )?;
        same("namespace", statement.namespace == *self.gate.namespace())?;
        same(
            "leaf_index",
            statement.place.leaf_index() == sent.leaf_index,
        )?;
        let hash = statement.receipt_hash();
        let receipt = if self.filter.without_receipts {
            None
        } else {
            let receipt = Receipt::believe(sent.receipt, &self.gate.trust())?;
            same("statement", receipt.hash() == hash)?;
            Some(receipt)
        };
        Ok(Watched {
            statement,
            hash,
            receipt,
        })
    }

    /// The stream ended. Another is opened, unless that helped nothing several times.
    fn broke(&mut self) -> Result<(), WatchEnded> {
        self.stream = None;
        self.break_count = self.break_count.saturating_add(1);
        if self.break_count < BREAKS_MAX {
            return Ok(());
        }
        self.break_count = 0;
        let sentence = "Streams of statements break before anything comes over them.".to_owned();
        Err(self.ended(CallError::Silence(Silence::gate(
            Reason::Timeout,
            sentence,
            Decided::Never,
            None,
        ))))
    }

    /// The node streams nothing: one that another may do better, or a final one.
    fn refused(&mut self, refusal: v1::Refusal, first_leaf: u64) -> Result<(), WatchEnded> {
        self.stream = None;
        match Failure::from_refusal(refusal) {
            Failure::Again { .. } => self.broke(),
            Failure::Final(refused) => {
                let wanted = self.next_leaf;
                let first_kept =
                    Some(first_leaf).filter(|first| wanted.is_some_and(|wanted| wanted < *first));
                let mut ended = self.ended(CallError::Refused(refused));
                ended.first_kept = first_kept;
                Err(ended)
            }
        }
    }

    fn disbelieved(&self, error: &AnswerError) -> WatchEnded {
        self.ended(CallError::Refused(Refused {
            reason: Reason::ReceiptInvalid,
            sentence: format!("what came is not believed: {error}"),
            decided: Decided::Never,
        }))
    }

    const fn ended(&self, cause: CallError) -> WatchEnded {
        WatchEnded {
            next_leaf: self.next_leaf,
            first_kept: None,
            cause,
        }
    }
}
