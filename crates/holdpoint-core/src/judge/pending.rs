//! Requests whose approvals are missing: a list for approvers. It decides nothing and proves nothing.

use std::collections::BTreeSet;

use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::statement::subject_digest;
use holdpoint_receipt::{Digest, Reason};

use super::Verdict;
use super::ends::SweepPart;
use super::gate::Gate;
use crate::codec::records::Present;
use crate::command::{AskApproval, MissingApproval};
use crate::fault::ApplyError;
use crate::key::{Kind, StateKey};
use crate::limits::{
    PENDING_BYTES_MAX, PENDING_KEPT_MS, PENDING_MAX, PENDING_REFRESH_MS, QUORUMS_MAX,
    REQUEST_BYTES_MAX, SUBJECT_BYTES_MAX,
};
use crate::outcome::{ChangeOutcome, Outcome};
use crate::record::PendingRecord;
use crate::rejection::{Bounded, Rejection};
use crate::view::View;

pub(super) fn ask_approval<V: View>(
    gate: &mut Gate<'_, V>,
    command: &AskApproval,
) -> Result<Verdict, ApplyError<V::Error>> {
    if let Some(rejection) = malformed(command) {
        return Ok(Verdict::reject(rejection));
    }
    if gate.namespace.active != Some(command.policy) {
        return Ok(refused(Reason::PolicyMoved));
    }
    let key = gate.keys.pending(&command.request_digest);
    let now = gate.now();
    let known = gate.draft.read::<PendingRecord>(&key)?;
    if let Some(known) = &known
        && is_repeated(gate, known, command)
    {
        return Ok(Verdict::Unchanged(listed(true)));
    }
    if let Some(known) = &known {
        gate.unlist(&command.request_digest, known)?;
    }
    let pending = PendingRecord {
        request: command.request.clone(),
        caller: command.caller.clone(),
        asked_at: now,
        listed_until: now.saturating_add(PENDING_KEPT_MS),
        policy: command.policy,
        missing: command.missing.clone(),
    };
    let count = gate.namespace.pending.saturating_add(1);
    let bytes = gate.namespace.pending_bytes.saturating_add(pending.bytes());
    if count > PENDING_MAX || bytes > PENDING_BYTES_MAX {
        return Ok(refused(Reason::TooManyPending));
    }
    (gate.namespace.pending, gate.namespace.pending_bytes) = (count, bytes);
    for row in gate.rows_of_pending(&command.request_digest, &pending) {
        gate.draft.write(row, &Present)?;
    }
    gate.draft.write(key, &pending)?;
    Ok(Verdict::Changed(listed(false)))
}

/// Whether the same was asked so lately that listing it anew would say nothing new.
fn is_repeated<V: View>(gate: &Gate<'_, V>, known: &PendingRecord, command: &AskApproval) -> bool {
    known.policy == command.policy
        && known.missing == command.missing
        && gate.now().saturating_since(known.asked_at) < PENDING_REFRESH_MS
}

fn malformed(command: &AskApproval) -> Option<Rejection> {
    let too_much = |what, count: usize, count_max: usize| {
        (count > count_max).then_some(Rejection::TooMuch {
            what,
            // usize has at most 64 bits on every target that exists, so this loses nothing.
            count: count as u64,
            count_max: count_max as u64,
        })
    };
    let missing = &command.missing;
    let longest = missing.iter().map(|missing| missing.subject.len()).max();
    let request = command.request.len();
    too_much(Bounded::RequestBytes, request, REQUEST_BYTES_MAX)
        .or_else(|| too_much(Bounded::Quorums, missing.len(), QUORUMS_MAX))
        .or_else(|| too_much(Bounded::SubjectBytes, longest?, SUBJECT_BYTES_MAX))
        .or_else(|| {
            let is_own = digest_of_canonical(&command.request) == command.request_digest;
            (!is_own).then_some(Rejection::DigestMismatch)
        })
        .or_else(|| (!is_one_for_each_quorum(missing)).then_some(Rejection::Missing))
}

fn is_one_for_each_quorum(missing: &[MissingApproval]) -> bool {
    !missing.is_empty()
        && missing.is_sorted_by(|before, after| before.quorum < after.quorum)
        && missing
            .iter()
            .all(|missing| missing.needed > 0 && subject_digest(&missing.subject) == missing.digest)
}

fn listed(replay: bool) -> Outcome {
    let statement = None;
    Outcome::Changed(ChangeOutcome::Done { statement, replay })
}

fn refused(reason: Reason) -> Verdict {
    Verdict::Unchanged(Outcome::Changed(ChangeOutcome::Refused { reason }))
}

impl<V: View> Gate<'_, V> {
    /// The rows that follow from a listed request.
    fn rows_of_pending(&self, request: &Digest, pending: &PendingRecord) -> BTreeSet<StateKey> {
        let until = pending.listed_until;
        let end = self
            .keys
            .end_of(Kind::PendingEnd, until, request.as_bytes());
        let subjects = pending.missing.iter();
        subjects
            .map(|missing| self.keys.pending_subject(&missing.digest, request))
            .chain([end])
            .collect()
    }

    fn unlist(
        &mut self,
        request: &Digest,
        pending: &PendingRecord,
    ) -> Result<(), ApplyError<V::Error>> {
        let key = self.keys.pending(request);
        for row in self.rows_of_pending(request, pending) {
            self.draft.delete(row);
        }
        let namespace = &mut self.namespace;
        let count = namespace.pending.checked_sub(1);
        let bytes = namespace.pending_bytes.checked_sub(pending.bytes());
        let Some((count, bytes)) = count.zip(bytes) else {
            return Err(ApplyError::contradiction(key, "it was not counted"));
        };
        (namespace.pending, namespace.pending_bytes) = (count, bytes);
        self.draft.delete(key);
        Ok(())
    }

    /// A request is no longer listed, if it was.
    pub(super) fn forget_pending(&mut self, request: &Digest) -> Result<(), ApplyError<V::Error>> {
        if self.namespace.pending == 0 {
            return Ok(());
        }
        let key = self.keys.pending(request);
        match self.draft.read::<PendingRecord>(&key)? {
            Some(pending) => self.unlist(request, &pending),
            None => Ok(()),
        }
    }

    /// One step of taking requests off the list that nobody has asked for lately.
    pub(super) fn sweep_pending(
        &mut self,
        limit: usize,
    ) -> Result<SweepPart, ApplyError<V::Error>> {
        let now = self.now();
        self.sweep_ends(Kind::PendingEnd, now, limit, |gate, named| {
            let request = <[u8; 32]>::try_from(named).map(Digest::from_bytes);
            let key = gate.keys.named_row(Kind::Pending, named);
            let Ok(request) = request else {
                return Err(ApplyError::contradiction(key, "it names no digest"));
            };
            let pending: PendingRecord = gate.draft.must_read(&key)?;
            gate.unlist(&request, &pending)
        })
    }
}
