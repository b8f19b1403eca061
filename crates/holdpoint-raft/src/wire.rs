//! Conversions between openraft's words and the peer protocol's. Nothing here sends anything.

use holdpoint_proto::peer::v1 as wire;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};

use crate::payload::{PayloadError, decode_payload, encode_payload};
use crate::types::{LeaderId, LogEntry, LogId, TypeConfig, Vote, log_id, term_of};

/// Why a frame means nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// A part that every such frame has is not there.
    #[error("the frame has no {0}")]
    Missing(&'static str),
    /// An entry does not decode.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// Entries are not consecutive.
    #[error("the frame's entries are not consecutive")]
    Hole,
}

pub(crate) fn id_to_wire(id: &LogId) -> wire::LogId {
    wire::LogId {
        term: term_of(id),
        index: id.index,
    }
}

pub(crate) fn id_from_wire(id: wire::LogId) -> LogId {
    log_id(id.term, id.index)
}

fn ids(id: Option<&LogId>) -> Option<wire::LogId> {
    id.map(id_to_wire)
}

pub(crate) fn vote_to_wire(vote: &Vote) -> wire::Vote {
    wire::Vote {
        term: vote.leader_id.term,
        node: Some(vote.leader_id.voted_for),
        committed: vote.committed,
    }
}

pub(crate) fn vote_from_wire(vote: Option<wire::Vote>) -> Result<Vote, WireError> {
    let vote = vote.ok_or(WireError::Missing("vote"))?;
    let voted_for = vote.node.ok_or(WireError::Missing("vote"))?;
    let leader_id = LeaderId {
        term: vote.term,
        voted_for,
    };
    Ok(Vote {
        leader_id,
        committed: vote.committed,
    })
}

pub(crate) fn append_to_wire(request: &AppendEntriesRequest<TypeConfig>) -> wire::AppendEntries {
    let entries = request.entries.iter().map(|entry| wire::LogEntry {
        id: Some(id_to_wire(&entry.log_id)),
        payload: encode_payload(&entry.payload),
    });
    wire::AppendEntries {
        vote: Some(vote_to_wire(&request.vote)),
        previous: ids(request.prev_log_id.as_ref()),
        entries: entries.collect(),
        committed: ids(request.leader_commit.as_ref()),
    }
}

/// Decodes an append, down to the commands of its entries: an entry that this node could not apply
/// is refused here, before it is in the log.
pub(crate) fn append_from_wire(
    append: wire::AppendEntries,
) -> Result<AppendEntriesRequest<TypeConfig>, WireError> {
    let mut next = append.previous.map(|id| id.index.saturating_add(1));
    let mut entries = Vec::with_capacity(append.entries.len());
    for entry in append.entries {
        let id = id_from_wire(entry.id.ok_or(WireError::Missing("entry position"))?);
        if next.is_some_and(|next| next != id.index) {
            return Err(WireError::Hole);
        }
        next = Some(id.index.saturating_add(1));
        let payload = decode_payload(entry.payload)?;
        if let openraft::EntryPayload::Normal(proposal) = &payload {
            proposal.entry()?;
        }
        entries.push(LogEntry {
            log_id: id,
            payload,
        });
    }
    Ok(AppendEntriesRequest {
        vote: vote_from_wire(append.vote)?,
        prev_log_id: append.previous.map(id_from_wire),
        entries,
        leader_commit: append.committed.map(id_from_wire),
    })
}

pub(crate) fn outcome_to_wire(result: &StreamAppendResult<TypeConfig>) -> wire::AppendOutcome {
    use wire::append_outcome::{Matched, Outcome};
    let outcome = match result {
        Ok(matched) => Outcome::Matched(Matched {
            id: ids(matched.as_ref()),
        }),
        Err(StreamAppendError::Conflict(id)) => Outcome::Conflict(id_to_wire(id)),
        Err(StreamAppendError::HigherVote(vote)) => Outcome::HigherVote(vote_to_wire(vote)),
    };
    wire::AppendOutcome {
        outcome: Some(outcome),
    }
}

pub(crate) fn outcome_from_wire(
    outcome: wire::AppendOutcome,
) -> Result<StreamAppendResult<TypeConfig>, WireError> {
    use wire::append_outcome::Outcome;
    Ok(
        match outcome.outcome.ok_or(WireError::Missing("outcome"))? {
            Outcome::Matched(matched) => Ok(matched.id.map(id_from_wire)),
            Outcome::Conflict(id) => Err(StreamAppendError::Conflict(id_from_wire(id))),
            Outcome::HigherVote(vote) => {
                Err(StreamAppendError::HigherVote(vote_from_wire(Some(vote))?))
            }
        },
    )
}

/// What a whole append became, in the words of a stream's step: how far the log now matches.
#[expect(clippy::needless_pass_by_value, reason = "it is taken apart")]
pub(crate) fn heartbeat_outcome(
    response: AppendEntriesResponse<TypeConfig>,
    previous: Option<LogId>,
) -> StreamAppendResult<TypeConfig> {
    match response {
        AppendEntriesResponse::Success => Ok(previous),
        AppendEntriesResponse::PartialSuccess(matched) => Ok(matched),
        AppendEntriesResponse::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote)),
        // A heartbeat without a previous position conflicts with nothing.
        AppendEntriesResponse::Conflict => match previous {
            Some(previous) => Err(StreamAppendError::Conflict(previous)),
            None => Ok(None),
        },
    }
}

pub(crate) fn vote_request_to_wire(request: &VoteRequest<TypeConfig>) -> wire::VoteRequest {
    wire::VoteRequest {
        vote: Some(vote_to_wire(&request.vote)),
        last: ids(request.last_log_id.as_ref()),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(crate) fn vote_request_from_wire(
    request: wire::VoteRequest,
) -> Result<VoteRequest<TypeConfig>, WireError> {
    Ok(VoteRequest {
        vote: vote_from_wire(request.vote)?,
        last_log_id: request.last.map(id_from_wire),
        leadership_transfer: request.leadership_transfer,
    })
}

pub(crate) fn vote_answer_to_wire(response: &VoteResponse<TypeConfig>) -> wire::VoteAnswer {
    wire::VoteAnswer {
        vote: Some(vote_to_wire(&response.vote)),
        granted: response.vote_granted,
        last: ids(response.last_log_id.as_ref()),
    }
}

pub(crate) fn vote_answer_from_wire(
    answer: wire::VoteAnswer,
) -> Result<VoteResponse<TypeConfig>, WireError> {
    Ok(VoteResponse {
        vote: vote_from_wire(answer.vote)?,
        vote_granted: answer.granted,
        last_log_id: answer.last.map(id_from_wire),
    })
}

pub(crate) fn transfer_to_wire(
    request: &TransferLeaderRequest<TypeConfig>,
) -> wire::TransferLeader {
    wire::TransferLeader {
        from: Some(vote_to_wire(request.from_leader())),
        to: *request.to_node_id(),
        last: ids(request.last_log_id()),
    }
}

pub(crate) fn transfer_from_wire(
    request: wire::TransferLeader,
) -> Result<TransferLeaderRequest<TypeConfig>, WireError> {
    let from = vote_from_wire(request.from)?;
    Ok(TransferLeaderRequest::new(
        from,
        request.to,
        request.last.map(id_from_wire),
    ))
}

pub(crate) fn transfer_answer_to_wire(
    response: &TransferLeaderResponse<TypeConfig>,
) -> wire::TransferLeaderAnswer {
    use wire::transfer_leader_answer::Result as Told;
    let (result, vote, last) = match response {
        Ok(()) => (Told::Accepted, None, None),
        Err(TransferLeaderError::VoteChanged { actual, .. }) => {
            (Told::VoteChanged, Some(vote_to_wire(actual)), None)
        }
        Err(TransferLeaderError::LogNotFlushed { actual, .. }) => {
            (Told::LogBehind, None, ids(actual.as_ref()))
        }
    };
    wire::TransferLeaderAnswer {
        result: result.into(),
        vote,
        last,
    }
}

pub(crate) fn transfer_answer_from_wire(
    answer: &wire::TransferLeaderAnswer,
    request: &TransferLeaderRequest<TypeConfig>,
) -> Result<TransferLeaderResponse<TypeConfig>, WireError> {
    use wire::transfer_leader_answer::Result as Told;
    Ok(match answer.result() {
        Told::Accepted => Ok(()),
        Told::VoteChanged => Err(TransferLeaderError::VoteChanged {
            expected: *request.from_leader(),
            actual: vote_from_wire(answer.vote)?,
        }),
        Told::LogBehind => Err(TransferLeaderError::LogNotFlushed {
            expected: request.last_log_id().copied(),
            actual: answer.last.map(id_from_wire),
        }),
        Told::Unspecified => return Err(WireError::Missing("result")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Payload;

    fn vote() -> Vote {
        Vote {
            leader_id: LeaderId {
                term: 4,
                voted_for: 2,
            },
            committed: true,
        }
    }

    fn request(indexes: &[u64]) -> AppendEntriesRequest<TypeConfig> {
        let entries = indexes
            .iter()
            .map(|index| LogEntry {
                log_id: log_id(4, *index),
                payload: Payload::Blank,
            })
            .collect();
        AppendEntriesRequest {
            vote: vote(),
            prev_log_id: Some(log_id(3, 6)),
            entries,
            leader_commit: Some(log_id(3, 5)),
        }
    }

    #[test]
    fn an_append_arrives_as_it_was_sent() {
        let sent = request(&[7, 8]);
        let arrived = append_from_wire(append_to_wire(&sent)).unwrap();
        assert_eq!(arrived.vote, sent.vote);
        assert_eq!(arrived.prev_log_id, sent.prev_log_id);
        assert_eq!(arrived.leader_commit, sent.leader_commit);
        let ids: Vec<_> = arrived.entries.iter().map(|entry| entry.log_id).collect();
        assert_eq!(ids, [log_id(4, 7), log_id(4, 8)]);
    }

    #[test]
    fn an_append_with_a_hole_is_refused() {
        assert!(matches!(
            append_from_wire(append_to_wire(&request(&[7, 9]))),
            Err(WireError::Hole)
        ));
        assert!(matches!(
            append_from_wire(append_to_wire(&request(&[8]))),
            Err(WireError::Hole)
        ));
    }

    #[test]
    fn every_outcome_of_an_append_arrives_as_it_was_sent() {
        let outcomes: [StreamAppendResult<TypeConfig>; 4] = [
            Ok(None),
            Ok(Some(log_id(1, 2))),
            Err(StreamAppendError::Conflict(log_id(1, 3))),
            Err(StreamAppendError::HigherVote(vote())),
        ];
        for sent in outcomes {
            assert_eq!(outcome_from_wire(outcome_to_wire(&sent)).unwrap(), sent);
        }
    }
}
