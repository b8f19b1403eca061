//! What witnesses signed, as the leader has seen it and its followers have heard. In memory: the next
//! leader asks again. Reads no clock: the time is passed in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdpoint_proto::v1;
use holdpoint_receipt::Name;
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::note::{Note, NoteSignature};
use tokio::time::Instant;

use super::Trouble;
use crate::config::WitnessEntry;
use crate::limits::WITNESSED_FOR;

/// A head that a witness signed.
#[derive(Debug)]
pub(super) struct Signed {
    /// The head, as the nodes signed it.
    pub(super) note: Note,
    /// Its leaves.
    pub(super) size: u64,
    /// The witness's line, verified.
    pub(super) line: NoteSignature,
    /// When the line came.
    pub(super) at: Instant,
}

/// One witness and one log.
#[derive(Debug, Default)]
struct One {
    /// How far the witness is, as it said itself.
    size: u64,
    signed: Option<Signed>,
    /// Since when a newer head is proven.
    behind_since: Option<Instant>,
    trouble: Option<Trouble>,
}

type All = BTreeMap<(Name, usize), One>;

/// Every witness, by its place in the cluster file, and every log. Cheap to clone; clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<All>>);

impl Seen {
    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, namespace: &Name, place: usize, change: impl FnOnce(&mut One) -> T) -> T {
        change(self.lock().entry((namespace.clone(), place)).or_default())
    }

    /// Whether the witness has signed exactly this head. If not, it is behind from now on.
    pub(super) fn has_signed(
        &self,
        namespace: &Name,
        place: usize,
        note: &Note,
        now: Instant,
    ) -> bool {
        self.with(namespace, place, |one| {
            let signed = one.signed.as_ref();
            let has = signed.is_some_and(|signed| signed.note.text() == note.text());
            if !has {
                one.behind_since.get_or_insert(now);
            }
            has
        })
    }

    /// How far the witness is; 0 until it says otherwise.
    pub(super) fn size(&self, namespace: &Name, place: usize) -> u64 {
        self.with(namespace, place, |one| one.size)
    }

    pub(super) fn learn_size(&self, namespace: &Name, place: usize, size: u64) {
        self.with(namespace, place, |one| one.size = size);
    }

    pub(super) fn learn_signed(&self, namespace: &Name, place: usize, signed: Signed) {
        self.with(namespace, place, |one| {
            one.size = signed.size;
            one.signed = Some(signed);
            one.behind_since = None;
        });
    }

    pub(super) fn learn_trouble(&self, namespace: &Name, place: usize, trouble: Option<Trouble>) {
        self.with(namespace, place, |one| {
            if let Some(trouble) = trouble
                .as_ref()
                .filter(|new| one.trouble.as_ref() != Some(new))
            {
                tracing::warn!(%namespace, %trouble, "a witness does not sign");
            }
            one.trouble = trouble;
        });
    }

    /// Forgets what a witness signed.
    pub(super) fn forget(&self, place: usize) {
        self.lock().retain(|(_, known), _| *known != place);
    }

    /// `newest` with what was signed of it. Where nothing was yet, the largest head that a witness
    /// signed within [`WITNESSED_FOR`].
    pub(super) fn shown(&self, namespace: &Name, newest: Note, now: Instant) -> Note {
        let all = self.lock();
        let of_log = all.iter().filter(|((name, _), _)| name == namespace);
        let signed: Vec<&Signed> = of_log.filter_map(|(_, one)| one.signed.as_ref()).collect();
        let is_newest = |signed: &&&Signed| signed.note.text() == newest.text();
        let base = if signed.iter().any(|signed| is_newest(&signed)) {
            newest
        } else {
            let fresh = signed
                .iter()
                .filter(|one| now.duration_since(one.at) < WITNESSED_FOR);
            match fresh.max_by_key(|signed| signed.size) {
                Some(signed) => signed.note.clone(),
                None => return newest,
            }
        };
        let lines = signed
            .iter()
            .filter(|signed| signed.note.text() == base.text())
            .map(|signed| signed.line.clone());
        let all_lines = base.signatures().iter().cloned().chain(lines).collect();
        // Eight witnesses fit any note that nodes signed.
        Note::new(base.text().to_owned(), all_lines).unwrap_or(base)
    }

    pub(super) fn status(
        &self,
        namespace: &Name,
        place: usize,
        entry: &WitnessEntry,
        newest: Option<&Note>,
        now: Instant,
    ) -> v1::WitnessStatus {
        let mut status = v1::WitnessStatus {
            name: entry.name.to_string(),
            ..v1::WitnessStatus::default()
        };
        let all = self.lock();
        let Some(one) = all.get(&(namespace.clone(), place)) else {
            return status;
        };
        let proven = newest.and_then(|note| note.text().parse::<Checkpoint>().ok());
        status.signed_size = one.signed.as_ref().map(|signed| signed.size);
        let signed = status.signed_size.unwrap_or(0);
        status.lag = proven.map(|head| head.size.get().saturating_sub(signed));
        let behind_for = one
            .behind_since
            .map(|since| now.duration_since(since).as_secs());
        status.lag_seconds = Some(behind_for.unwrap_or(0));
        status.trouble = one
            .trouble
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        status
    }
}

#[cfg(test)]
mod tests {
    use holdpoint_receipt::keys::{Algorithm, KeyId, KeyName, VerifierKey};
    use holdpoint_receipt::{Digest, SecretKey};

    use super::*;

    fn name() -> Name {
        Name::new("default").unwrap()
    }

    fn line(signer: &str) -> NoteSignature {
        NoteSignature {
            name: KeyName::new(signer).unwrap(),
            key_id: KeyId([1; 4]),
            signature: vec![7; 72],
        }
    }

    fn note(size: u64) -> Note {
        let root = Digest::from_bytes([9; 32]).to_base64();
        let text = format!("log.example\n{size}\n{root}\n");
        Note::new(text, vec![line("node")]).unwrap()
    }

    fn signers(note: &Note) -> Vec<&str> {
        let lines = note.signatures().iter();
        lines.map(|line| line.name.as_str()).collect()
    }

    fn sign(seen: &Seen, place: usize, size: u64, name: &str, at: Instant) {
        let signed = Signed {
            note: note(size),
            size,
            line: line(name),
            at,
        };
        seen.learn_signed(&Name::new("default").unwrap(), place, signed);
    }

    #[test]
    fn head_that_was_signed_is_shown_until_a_newer_one_is_or_time_has_passed() {
        let (seen, name, now) = (Seen::default(), name(), Instant::now());
        assert_eq!(signers(&seen.shown(&name, note(5), now)), ["node"]);
        sign(&seen, 0, 5, "w1", now);
        sign(&seen, 1, 5, "w2", now);
        let shown = seen.shown(&name, note(5), now);
        assert_eq!(signers(&shown), ["node", "w1", "w2"]);
        // A newer one that nobody has signed does not hide them.
        let shown = seen.shown(&name, note(6), now);
        assert_eq!((shown.text(), signers(&shown).len()), (note(5).text(), 3));
        sign(&seen, 1, 6, "w2", now);
        let shown = seen.shown(&name, note(6), now);
        assert_eq!(signers(&shown), ["node", "w2"]);
        let shown = seen.shown(&name, note(7), now + WITNESSED_FOR);
        assert_eq!(shown, note(7));
    }

    #[test]
    fn witness_lags_by_leaves_and_by_seconds_until_it_signs_the_newest_head() {
        let (seen, name, now) = (Seen::default(), name(), Instant::now());
        let later = now + std::time::Duration::from_secs(3);
        let key = SecretKey::from_seed(&[3; 32]).public();
        let entry = WitnessEntry {
            name: Name::new("w1").unwrap(),
            url: "http://127.0.0.1:1".parse().unwrap(),
            verifier: VerifierKey::new(KeyName::new("w1").unwrap(), Algorithm::CosignatureV1, key),
        };
        let lag = |newest: u64| {
            let status = seen.status(&name, 0, &entry, Some(&note(newest)), later);
            (status.signed_size, status.lag, status.lag_seconds)
        };
        assert_eq!(lag(5), (None, None, None));
        assert!(!seen.has_signed(&name, 0, &note(5), now));
        assert!(!seen.has_signed(&name, 0, &note(6), later));
        assert_eq!(lag(6), (None, Some(6), Some(3)));
        sign(&seen, 0, 6, "w1", later);
        assert!(seen.has_signed(&name, 0, &note(6), later));
        assert_eq!(lag(6), (Some(6), Some(0), Some(0)));
        assert_eq!(lag(9), (Some(6), Some(3), Some(0)));
        seen.forget(0);
        assert_eq!(lag(9), (None, None, None));
    }
}
