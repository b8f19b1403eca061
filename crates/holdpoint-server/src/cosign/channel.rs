//! Questions about heads as they travel between nodes, and the group as the one who carries them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use holdpoint_core::Outcome;
use holdpoint_core::command::{Command, RecordHandover};
use holdpoint_core::outcome::KeysOutcome;
use holdpoint_proto::peer::v1 as wire;
use holdpoint_proto::peer::v1::sign_head_answer as said;
use holdpoint_proto::peer::v1::{signed_before_answer, want_head_answer};
use holdpoint_raft::{Group, NodeAnswer, NodeQuestion};
use holdpoint_receipt::cosignature::COSIGNATURE_BYTES;
use holdpoint_receipt::keys::SignedHead;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Digest, Name, NodeId};

use super::heads::Head;
use super::nodes::{Answer, Lead, Nodes, Past};
use super::service::Service;
use super::signer::SignHead;

/// How long recording a handover may take.
const RECORD: Duration = Duration::from_secs(3);

/// How long handing leadership over may take.
const STEP_DOWN: Duration = Duration::from_secs(3);

impl Nodes for Group {
    fn lead(&self) -> Lead {
        Lead::from(&*self.leadership().borrow())
    }

    fn other_voters(&self) -> Vec<NodeId> {
        let status = self.status();
        let voters = status.members.iter().filter(|(_, member)| member.is_voter);
        voters
            .map(|(node, _)| *node)
            .filter(|node| *node != status.node)
            .filter_map(|node| NodeId::new(node).ok())
            .collect()
    }

    fn sign_head(
        &self,
        node: NodeId,
        asked: SignHead,
        proven: Option<Note>,
        wait: Duration,
    ) -> BoxFuture<'static, Option<Answer>> {
        let question = NodeQuestion::SignHead(wire::SignHead {
            namespace: asked.namespace.to_string(),
            size: asked.head.size,
            root: asked.head.root.as_bytes().to_vec().into(),
            proven: proven
                .map_or_else(Vec::new, |note| note.to_string().into_bytes())
                .into(),
            epoch_from: asked.epoch_from,
        });
        let group = self.clone();
        async move {
            match group.ask_node(node, question, wait).await {
                Ok(NodeAnswer::SignHead(answer)) => Some(signed_from_wire(answer)),
                Ok(_) => None,
                Err(error) => {
                    tracing::debug!(%node, %error, "a signer was not reached");
                    None
                }
            }
        }
        .boxed()
    }

    fn want_head(
        &self,
        leader: NodeId,
        namespace: Name,
        at_least: u64,
        wait: Duration,
    ) -> BoxFuture<'static, Option<Note>> {
        let question = NodeQuestion::WantHead(wire::WantHead {
            namespace: namespace.to_string(),
            at_least,
            witnessed: false,
        });
        let group = self.clone();
        async move {
            let Ok(NodeAnswer::WantHead(answer)) = group.ask_node(leader, question, wait).await
            else {
                return None;
            };
            match answer.answer? {
                want_head_answer::Answer::Note(note) => note_from(&note),
                want_head_answer::Answer::Declined(_) => None,
            }
        }
        .boxed()
    }

    fn signed_before(
        &self,
        node: NodeId,
        namespace: Name,
        wait: Duration,
    ) -> BoxFuture<'static, Past> {
        let namespace = namespace.to_string();
        let question = NodeQuestion::SignedBefore(wire::SignedBefore { namespace });
        let group = self.clone();
        async move {
            let Ok(NodeAnswer::SignedBefore(answer)) = group.ask_node(node, question, wait).await
            else {
                return Past::Unheard;
            };
            match answer.answer {
                Some(signed_before_answer::Answer::Known(known)) => {
                    head_from(known.size, &known.root).map_or(Past::Unheard, Past::Signed)
                }
                Some(signed_before_answer::Answer::Nothing(_)) => Past::Nothing,
                Some(signed_before_answer::Answer::Declined(_)) | None => Past::Unheard,
            }
        }
        .boxed()
    }

    fn record_handover(&self, command: RecordHandover) -> BoxFuture<'static, bool> {
        let group = self.clone();
        async move {
            let proposed = group
                .propose(Command::RecordHandover(command), RECORD)
                .await;
            match proposed.map(holdpoint_raft::Committed::into_value) {
                Ok(Outcome::Keys(KeysOutcome::Done { .. })) => true,
                Ok(refused) => {
                    tracing::error!(?refused, "a handover of keys was not recorded");
                    false
                }
                Err(error) => {
                    tracing::warn!(%error, "a handover of keys is not recorded yet");
                    false
                }
            }
        }
        .boxed()
    }

    fn proof_moved(&self) {
        Group::proof_moved(self);
    }

    fn step_down(&self) {
        let group = self.clone();
        tokio::spawn(async move {
            for voter in group.other_voters() {
                match group.transfer_leader(voter.get(), STEP_DOWN).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(%voter, %error, "leadership was not handed over");
                    }
                }
            }
        });
    }
}

/// Answers a question about heads.
pub(crate) async fn sign_head(service: &Service, question: wire::SignHead) -> wire::SignHeadAnswer {
    let asked = Name::new(&question.namespace)
        .ok()
        .zip(head_from(question.size, &question.root));
    let answer = match asked {
        Some((namespace, head)) => {
            let asked = SignHead {
                namespace,
                head,
                epoch_from: question.epoch_from,
            };
            service.sign_head(asked, note_from(&question.proven)).await
        }
        None => Answer::Refused("malformed".to_owned()),
    };
    wire::SignHeadAnswer {
        answer: Some(signed_to_wire(answer, question.epoch_from)),
    }
}

/// Answers a question for a proven head.
pub(crate) async fn want_head(service: &Service, question: wire::WantHead) -> wire::WantHeadAnswer {
    let note = match Name::new(&question.namespace) {
        Ok(namespace) => service.want_head(namespace, question.at_least).await,
        Err(_) => None,
    };
    let answer = match note {
        Some(note) => want_head_answer::Answer::Note(note.to_string().into_bytes().into()),
        None => want_head_answer::Answer::Declined(declined("no head is proven")),
    };
    wire::WantHeadAnswer {
        answer: Some(answer),
    }
}

/// Answers what `from` signed.
pub(crate) fn signed_before(
    service: &Service,
    from: NodeId,
    question: &wire::SignedBefore,
) -> wire::SignedBeforeAnswer {
    let known = Name::new(&question.namespace)
        .ok()
        .and_then(|namespace| service.signed_before(from, &namespace));
    let answer = match known {
        Some(head) => signed_before_answer::Answer::Known(signed_before_answer::Known {
            size: head.size,
            root: head.root.as_bytes().to_vec().into(),
        }),
        None => signed_before_answer::Answer::Nothing(signed_before_answer::Nothing {}),
    };
    wire::SignedBeforeAnswer {
        answer: Some(answer),
    }
}

fn signed_from_wire(answer: wire::SignHeadAnswer) -> Answer {
    let malformed = || Answer::Refused("malformed".to_owned());
    match answer.answer {
        Some(said::Answer::Signed(signed)) => {
            signature_from(&signed).map_or_else(malformed, Answer::Signature)
        }
        Some(said::Answer::Larger(head)) => {
            head_from(head.size, &head.root).map_or_else(malformed, Answer::Larger)
        }
        Some(said::Answer::NotYet(not_yet)) => Answer::NotYet(not_yet.applied_size),
        Some(said::Answer::Mismatch(mismatch)) => {
            digest_from(&mismatch.root).map_or_else(malformed, Answer::Mismatch)
        }
        Some(said::Answer::Declined(declined)) => Answer::Refused(declined.word),
        None => malformed(),
    }
}

fn signed_to_wire(answer: Answer, epoch_from: u64) -> said::Answer {
    match answer {
        Answer::Signature(signed) => {
            let (time, signature) = signed.cosign.split_at(8);
            let mut at_s = [0; 8];
            at_s.copy_from_slice(time);
            said::Answer::Signed(said::Signed {
                log_signature: signed.log.to_vec().into(),
                cosigned_at_s: u64::from_be_bytes(at_s),
                cosign_signature: signature.to_vec().into(),
                epoch_from,
            })
        }
        Answer::Larger(head) => said::Answer::Larger(said::Larger {
            size: head.size,
            root: head.root.as_bytes().to_vec().into(),
        }),
        Answer::NotYet(applied_size) => said::Answer::NotYet(said::NotYet { applied_size }),
        Answer::Mismatch(root) => said::Answer::Mismatch(said::Mismatch {
            root: root.as_bytes().to_vec().into(),
        }),
        Answer::Refused(word) => said::Answer::Declined(declined(&word)),
    }
}

fn declined(word: &str) -> wire::Declined {
    wire::Declined {
        word: word.to_owned(),
        detail: format!("the node says: {word}"),
    }
}

fn signature_from(signed: &said::Signed) -> Option<SignedHead> {
    let mut cosign = [0; COSIGNATURE_BYTES];
    let (time, rest) = cosign.split_at_mut(8);
    time.copy_from_slice(&signed.cosigned_at_s.to_be_bytes());
    let signature: &[u8] = &signed.cosign_signature;
    if signature.len() != rest.len() {
        return None;
    }
    rest.copy_from_slice(signature);
    let log: &[u8] = &signed.log_signature;
    Some(SignedHead {
        log: log.try_into().ok()?,
        cosign,
    })
}

fn note_from(bytes: &[u8]) -> Option<Note> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn head_from(size: u64, root: &[u8]) -> Option<Head> {
    let root = digest_from(root)?;
    Some(Head { size, root })
}

fn digest_from(bytes: &[u8]) -> Option<Digest> {
    let bytes: [u8; 32] = bytes.try_into().ok()?;
    Some(Digest::from_bytes(bytes))
}

/// The group, as signing asks it.
pub(crate) fn nodes_of(group: &Group) -> Arc<dyn Nodes> {
    Arc::new(group.clone())
}
