//! What witnesses signed, as a follower hears it from the leader: so that every node shows it.
//!
//! ```text
//! leader's shown head ─▶ its nodes' lines verified as a proven head ─▶ each witness's line verified ─▶ kept
//! ```
//!
//! Nothing is taken on the leader's word, and witnesses are asked by the leader alone.

use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::want_head_answer;
use holdpoint_raft::{NodeAnswer, NodeQuestion};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Name, NodeId, cosignature};
use tokio::time::{Instant, sleep};

use super::seen::Signed;
use super::{Witnesses, namespaces};
use crate::config::WitnessEntry;
use crate::cosign::Lead;
use crate::gate::Gate;
use crate::limits::{WITNESS_PERIOD, WITNESS_WAIT};

/// Asks the leader whenever another node leads, for as long as the group lives.
pub(super) async fn run(gate: &Gate) {
    let mut leadership = gate.group().leadership();
    while leadership.has_changed().is_ok() {
        let lead = Lead::from(&*leadership.borrow_and_update());
        if let Lead::Other(leader) = lead {
            for namespace in namespaces(gate) {
                hear(gate, leader, &namespace).await;
            }
        }
        sleep(WITNESS_PERIOD).await;
    }
}

async fn hear(gate: &Gate, leader: NodeId, namespace: &Name) {
    let witnesses = gate.witnesses();
    if let Some(newest) = gate.newest_proven(namespace) {
        for place in 0..witnesses.entries.len() {
            // Since when it is behind.
            witnesses
                .seen
                .has_signed(namespace, place, &newest, Instant::now());
        }
    }
    let question = NodeQuestion::WantHead(wire::WantHead {
        namespace: namespace.to_string(),
        at_least: 0,
        witnessed: true,
    });
    let asked = gate.group().ask_node(leader, question, WITNESS_WAIT).await;
    let Ok(NodeAnswer::WantHead(wire::WantHeadAnswer {
        answer: Some(want_head_answer::Answer::Note(note)),
    })) = asked
    else {
        return;
    };
    let Some(shown) = note_of(&note) else {
        return;
    };
    let (base, lines) = parted(&shown, &witnesses.entries);
    let Some(base) = base.filter(|_| !lines.is_empty()) else {
        return;
    };
    match gate.learn_head(namespace, base.clone()).await {
        Ok(size) => {
            for (place, line) in lines {
                let signed = Signed {
                    note: base.clone(),
                    size,
                    line,
                    at: Instant::now(),
                };
                witnesses.seen.learn_signed(namespace, place, signed);
            }
        }
        // It has not applied as much yet; the next look may find it.
        Err(error) => {
            tracing::debug!(%namespace, %error, "the leader's witnessed head is not taken");
        }
    }
}

type Lines = Vec<(usize, holdpoint_receipt::note::NoteSignature)>;

/// The note of the nodes alone, and the valid lines of the witnesses that this node knows too, each with
/// the place of its witness. Lines of nobody that it knows are left out of both.
fn parted(shown: &Note, entries: &[WitnessEntry]) -> (Option<Note>, Lines) {
    let (mut of_nodes, mut of_witnesses) = (Vec::new(), Vec::new());
    for line in shown.signatures() {
        let mut known = entries.iter().enumerate();
        let witness = known.find(|(_, entry)| line.name == *entry.verifier.name());
        match witness {
            None => of_nodes.push(line.clone()),
            Some((place, entry)) => {
                let verifier = &entry.verifier;
                let is_valid = line.key_id == verifier.key_id()
                    && cosignature::verify(verifier.key(), &line.signature, shown.text()).is_ok();
                if is_valid {
                    of_witnesses.push((place, line.clone()));
                }
            }
        }
    }
    let base = Note::new(shown.text().to_owned(), of_nodes).ok();
    (base, of_witnesses)
}

/// The leader's answer with the lines of witnesses, as it shows heads to the public.
pub(crate) fn shown_to_nodes(
    witnesses: &Witnesses,
    namespace: &str,
    answer: wire::WantHeadAnswer,
) -> wire::WantHeadAnswer {
    let Some(want_head_answer::Answer::Note(bytes)) = &answer.answer else {
        return answer;
    };
    let Some((namespace, note)) = Name::new(namespace).ok().zip(note_of(bytes)) else {
        return answer;
    };
    let shown = witnesses.shown(&namespace, note).to_string().into_bytes();
    wire::WantHeadAnswer {
        answer: Some(want_head_answer::Answer::Note(shown.into())),
    }
}

fn note_of(bytes: &[u8]) -> Option<Note> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
