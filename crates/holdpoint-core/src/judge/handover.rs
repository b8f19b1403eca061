//! Handing a log over: the signers before an epoch and those in it have signed one head that covers
//! the statement which opens it.

use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::note::{NOTE_BYTES_MAX, Note};
use holdpoint_receipt::verify::verify_handover;

use super::Verdict;
use super::gate::Gate;
use super::keys::done;
use crate::command::RecordHandover;
use crate::epochs::{Epochs, before, epochs, marks, published_epoch, without_marked};
use crate::fault::ApplyError;
use crate::key::Kind;
use crate::query::root_of;
use crate::record::EpochRecord;
use crate::rejection::{HandoverProblem, Rejection};
use crate::view::View;

pub(super) fn record_handover<V: View>(
    gate: &mut Gate<'_, V>,
    command: &RecordHandover,
) -> Result<Verdict, ApplyError<V::Error>> {
    let rejected = |problem| Ok(Verdict::reject(Rejection::Handover(problem)));
    let from = command.tree_size_from;
    let all = epochs(gate.draft.view(), &gate.keys)?;
    let place = all.iter().position(|(first, _)| *first == from);
    let Some((place, (_, epoch))) = place.and_then(|place| Some((place, all.get(place)?))) else {
        return rejected(HandoverProblem::Epoch);
    };
    if place == 0 {
        return rejected(HandoverProblem::Epoch);
    }
    // What was handed over to a later epoch needs no proof that it went by this one.
    if all
        .iter()
        .skip(place)
        .any(|(_, epoch)| epoch.handover.is_some())
    {
        return Ok(Verdict::Unchanged(done(Vec::new(), true)));
    }
    let Some((note, head)) = read(&command.note) else {
        return rejected(HandoverProblem::Note);
    };
    if let Some(problem) = gate.handover_problem(&all, place, &note, &head)? {
        return rejected(problem);
    }
    let epoch = EpochRecord {
        handover: Some(command.note.clone()),
        ..epoch.clone()
    };
    let key = gate.keys.at_leaf(Kind::Epoch, from);
    gate.draft.write(key, &epoch)?;
    Ok(Verdict::Changed(done(Vec::new(), false)))
}

/// The note and the head that it is about.
fn read(bytes: &[u8]) -> Option<(Note, Checkpoint)> {
    if bytes.len() > NOTE_BYTES_MAX {
        return None;
    }
    let note: Note = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    let head = note.text().parse().ok()?;
    Some((note, head))
}

impl<V: View> Gate<'_, V> {
    /// Why a note does not hand the log over to the epoch at `place`; none if it does.
    fn handover_problem(
        &self,
        all: &Epochs,
        place: usize,
        note: &Note,
        claimed: &Checkpoint,
    ) -> Result<Option<HandoverProblem>, ApplyError<V::Error>> {
        let (Some((old_from, old)), Some((from, new))) = (before(all, place), all.get(place))
        else {
            return Ok(Some(HandoverProblem::Epoch));
        };
        let size = claimed.size.get();
        let next = place.checked_add(1).and_then(|next| all.get(next));
        let is_own = size >= *from && next.is_none_or(|(next, _)| size < *next);
        if !is_own || size > self.leaves()? {
            return Ok(Some(HandoverProblem::Size));
        }
        let Some(root) = root_of(self.draft.view(), &self.keys, size)? else {
            return Ok(Some(HandoverProblem::Size));
        };
        let head = Checkpoint {
            origin: Origin::new(&self.cluster, &self.name),
            size: claimed.size,
            root,
        };
        let marks = marks(self.draft.view(), &self.keys)?;
        let own = self.keys.at_leaf(Kind::Epoch, *from);
        let published = |from: u64, epoch: &EpochRecord| {
            let valid = without_marked(epoch, &marks, size);
            published_epoch(from, &valid)
                .map_err(|_unfit| ApplyError::contradiction(own.clone(), "an epoch is not of keys"))
        };
        let (old, new) = (published(*old_from, old)?, published(*from, new)?);
        let verified = verify_handover(note, &self.cluster, &head, &old, &new);
        Ok(verified.err().map(|_error| HandoverProblem::Signatures))
    }
}
