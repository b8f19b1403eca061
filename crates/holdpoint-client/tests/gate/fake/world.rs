//! What the nodes of a fake cluster agree on: attempts, permits and the log.
//!
//! A model of SPEC section 4 that is just large enough for a client: one exclusive bound per
//! `workspace`, no expiry, no policy changes. A queue is played by the twist of a node.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use holdpoint_proto::convert::Draft;
use holdpoint_proto::v1;
use holdpoint_receipt::statement::{
    BoundCommitments, DecisionStatement, Grant, Outcome, PermitStep, Verdict,
};
use holdpoint_receipt::{
    Body, Caller, ClusterTime, Digest, Fence, Json, Name, PermitId, PolicyVersion, Reason, Request,
    Salt, StatementText, commit, sha256,
};

use super::notary::{NOW_MS, Notary};

pub(super) const SALT: Salt = Salt::from_bytes([9; 32]);

/// One submission as it came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Submission {
    pub(crate) key: String,
    pub(crate) not_after_ms: u64,
    pub(crate) wait_until_ms: u64,
    pub(crate) params: Vec<u8>,
}

struct Recorded {
    digest: Digest,
    not_after_ms: u64,
    answer: v1::AuthorizeResponse,
}

#[derive(Clone)]
struct Held {
    request: Request,
    wire: v1::Permit,
    redemption_id: Option<String>,
    redeemed: Vec<u8>,
    completed: Option<(i32, Vec<u8>)>,
    last: Digest,
}

/// The state that all nodes share.
pub(crate) struct World {
    pub(crate) notary: Notary,
    pub(crate) submissions: Vec<Submission>,
    pub(crate) redemption_ids: Vec<String>,
    /// Every node, in the order of their start.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Says the next statement wrongly, and signs it all the same.
    pub(crate) misstate: Option<fn(&mut Body)>,
    attempts: BTreeMap<(String, String), Recorded>,
    permits: BTreeMap<String, Held>,
    /// Who approved what.
    pub(super) approvals: BTreeMap<(String, Vec<u8>, String), v1::Approval>,
}

pub(super) fn policy() -> (PolicyVersion, Digest) {
    (PolicyVersion::new(12).unwrap(), sha256(b"bundle"))
}

pub(crate) fn refusal(reason: Reason, decided: v1::Decided) -> v1::Refusal {
    v1::Refusal {
        reason: reason.code().into(),
        reason_name: reason.as_str().to_owned(),
        sentence: reason.sentence().to_owned(),
        decided: decided.into(),
        leader_hint: None,
    }
}

pub(crate) fn silence(reason: Reason, decided: v1::Decided) -> v1::AuthorizeResponse {
    v1::AuthorizeResponse {
        decision: v1::Decision::Silence.into(),
        reason: reason.code().into(),
        reason_name: reason.as_str().to_owned(),
        sentence: reason.sentence().to_owned(),
        decided: decided.into(),
        ..v1::AuthorizeResponse::default()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            notary: Notary::new(1),
            submissions: Vec::new(),
            redemption_ids: Vec::new(),
            addresses: Vec::new(),
            misstate: None,
            attempts: BTreeMap::new(),
            permits: BTreeMap::new(),
            approvals: BTreeMap::new(),
        }
    }

    /// Every permit, the oldest first.
    pub(super) fn permits(&self) -> impl Iterator<Item = &v1::Permit> {
        self.permits.values().map(|held| &held.wire)
    }

    /// Gives the bounds of a redeemed permit up.
    pub(crate) fn release(&mut self, call: &v1::ReleaseRequest) -> v1::ReleaseResponse {
        let held = self.permits[&call.permit_id].clone();
        if held.wire.state() != v1::PermitState::Redeemed {
            return v1::ReleaseResponse {
                refusal: Some(refusal(Reason::NotInDoubt, v1::Decided::Never)),
                ..v1::ReleaseResponse::default()
            };
        }
        let (receipt, last) = self.certify(Body::Released {
            step: Self::step(&held),
            reason_commitment: (!call.reason.is_empty())
                .then(|| commit(&SALT, "reason_commitment", call.reason.as_bytes())),
        });
        let held = self.permits.get_mut(&call.permit_id).unwrap();
        held.wire.release_reason.clone_from(&call.reason);
        held.wire.state = v1::PermitState::Released.into();
        held.last = last;
        v1::ReleaseResponse {
            permit: Some(held.wire.clone()),
            receipt: Some(v1::Receipt { file: receipt }),
            replay: false,
            refusal: None,
        }
    }

    /// Notes a submission as it came.
    pub(crate) fn submitted(&mut self, call: &v1::AuthorizeRequest) {
        self.submissions.push(Submission {
            key: call.idempotency_key.clone(),
            not_after_ms: call.not_after_ms,
            wait_until_ms: call.wait_until_ms,
            params: call
                .operation
                .as_ref()
                .map(|operation| operation.params_json.clone())
                .unwrap_or_default(),
        });
    }

    pub(super) fn certify(&mut self, mut body: Body) -> (Vec<u8>, Digest) {
        if let Some(misstate) = self.misstate.take() {
            misstate(&mut body);
        }
        self.notary.certify(body)
    }

    /// How many permits were ever granted.
    pub(crate) fn permit_count(&self) -> usize {
        self.permits.len()
    }

    pub(crate) fn authorize(
        &mut self,
        call: v1::AuthorizeRequest,
        caller: &str,
    ) -> v1::AuthorizeResponse {
        self.submitted(&call);
        let v1::AuthorizeRequest {
            operation,
            idempotency_key: key,
            not_after_ms,
            ..
        } = call;
        let operation = operation.unwrap();
        let draft = Draft::parse(operation, Caller::new(caller).unwrap()).unwrap();
        if draft.surface().as_str() != "infra.apply" {
            return silence(Reason::UnknownSurface, v1::Decided::Never);
        }
        let request = draft.with_action(Name::new("apply").unwrap());
        let digest = request.digest();
        let attempt = (caller.to_owned(), key.clone());
        if let Some(recorded) = self.attempts.get(&attempt) {
            if recorded.digest != digest || recorded.not_after_ms != not_after_ms {
                let mut reused = silence(Reason::IdempotencyKeyReused, v1::Decided::Never);
                reused.not_after_ms = recorded.not_after_ms;
                return reused;
            }
            let mut answer = v1::AuthorizeResponse {
                replay: true,
                ..recorded.answer.clone()
            };
            if let Some(permit) = &mut answer.permit {
                *permit = self.permits[&permit.id].wire.clone();
            }
            return answer;
        }
        let answer = self.decide(&request, digest, &key, not_after_ms);
        let recorded = Recorded {
            digest,
            not_after_ms,
            answer: answer.clone(),
        };
        self.attempts.insert(attempt, recorded);
        answer
    }

    fn decide(
        &mut self,
        request: &Request,
        digest: Digest,
        key: &str,
        not_after_ms: u64,
    ) -> v1::AuthorizeResponse {
        let holder = self.holder(request).map(|held| held.wire.fence);
        let bound = bound(request);
        let number = u8::try_from(self.permits.len()).unwrap();
        let grant = Grant {
            permit_id: PermitId::from_bytes([number + 1; 16]),
            fence: Fence::new((1 << 40) + u64::from(number) + 1).unwrap(),
            expires_at: ClusterTime::new(NOW_MS + 600_000).unwrap(),
        };
        let verdict = match holder {
            None => Verdict::Permit(grant),
            Some(_) => Verdict::Deny {
                reason: Reason::BoundHeld,
                retry_at: Some(grant.expires_at),
            },
        };
        let (reason, is_permit) = (verdict.reason(), holder.is_none());
        let (receipt, hash) = self.certify_decision(request, digest, key, not_after_ms, verdict);
        let (version, policy_digest) = policy();
        let wire = wire_permit(request, digest, grant);
        let decision = if is_permit {
            v1::Decision::Permit
        } else {
            v1::Decision::Deny
        };
        if is_permit {
            let held = Held {
                request: request.clone(),
                wire: wire.clone(),
                redemption_id: None,
                redeemed: Vec::new(),
                completed: None,
                last: hash,
            };
            self.permits.insert(wire.id.clone(), held);
        }
        v1::AuthorizeResponse {
            decision: decision.into(),
            reason: reason.code().into(),
            reason_name: reason.as_str().to_owned(),
            sentence: reason.sentence().to_owned(),
            permit: is_permit.then_some(wire),
            receipt: Some(v1::Receipt { file: receipt }),
            request_canonical: request.to_canonical().into_bytes(),
            request_digest: digest.as_bytes().to_vec(),
            policies: vec!["tf.reviewed-plan".to_owned()],
            not_after_ms,
            holder_fence: holder.unwrap_or_default(),
            refused_bound: holder.map(|_| bound),
            policy_version: version.get(),
            policy_digest: policy_digest.as_bytes().to_vec(),
            ..v1::AuthorizeResponse::default()
        }
    }

    fn certify_decision(
        &mut self,
        request: &Request,
        digest: Digest,
        key: &str,
        not_after_ms: u64,
        verdict: Verdict,
    ) -> (Vec<u8>, Digest) {
        let (policy_version, policy_digest) = policy();
        self.certify(Body::Decision(Box::new(DecisionStatement {
            verdict,
            surface: request.surface.clone(),
            action: request.action.clone(),
            request_digest: digest,
            caller_commitment: commit(&SALT, "caller_commitment", b"caller"),
            actor_commitment: None,
            session_commitment: None,
            idempotency_key_commitment: commit(&SALT, "key", key.as_bytes()),
            not_after: ClusterTime::new(not_after_ms).unwrap(),
            policy_version,
            policy_digest,
            evaluator: StatementText::new("fake/1").unwrap(),
            inputs_digest: sha256(b"inputs"),
            approvals_digest: None,
            bounds: BoundCommitments::default(),
            policy_codes: None,
            policy_ids: None,
        })))
    }

    fn holder(&self, request: &Request) -> Option<&Held> {
        let live = [v1::PermitState::Issued, v1::PermitState::Redeemed];
        let same = |held: &&Held| {
            live.contains(&held.wire.state()) && bound(&held.request) == bound(request)
        };
        self.permits.values().find(same)
    }

    fn step(held: &Held) -> PermitStep {
        PermitStep {
            permit_id: held.wire.id.parse().unwrap(),
            fence: Fence::new(held.wire.fence).unwrap(),
            surface: held.request.surface.clone(),
            action: held.request.action.clone(),
            request_digest: held.request.digest(),
            caller_commitment: None,
            policy_version: policy().0,
            previous: held.last,
        }
    }

    pub(crate) fn redeem(&mut self, call: &v1::RedeemRequest) -> v1::RedeemResponse {
        self.redemption_ids.push(call.redemption_id.clone());
        let refused = |reason| v1::RedeemResponse {
            refusal: Some(refusal(reason, v1::Decided::Never)),
            ..v1::RedeemResponse::default()
        };
        let Some(held) = self.permits.get(&call.permit_id).cloned() else {
            return refused(Reason::UnknownPermit);
        };
        let digest = held.request.digest();
        if call.request_digest != digest.as_bytes() || call.fence != held.wire.fence {
            return refused(Reason::RequestMismatch);
        }
        let answer = |held: &Held, replay| v1::RedeemResponse {
            permit: Some(held.wire.clone()),
            receipt: Some(v1::Receipt {
                file: held.redeemed.clone(),
            }),
            replay,
            refusal: None,
            redemption_salt: SALT.as_bytes().to_vec(),
        };
        if held.redemption_id.as_ref() == Some(&call.redemption_id) {
            return answer(&held, true);
        }
        match held.wire.state() {
            v1::PermitState::Issued => {}
            v1::PermitState::Revoked => return refused(Reason::Revoked),
            _ => return refused(Reason::AlreadyRedeemed),
        }
        let (redeemed, last) = self.certify(Body::Redeemed {
            step: Self::step(&held),
            redemption_commitment: commit(
                &SALT,
                "redemption_commitment",
                call.redemption_id.as_bytes(),
            ),
            complete_by: ClusterTime::new(NOW_MS + 3_600_000).unwrap(),
        });
        let held = self.permits.get_mut(&call.permit_id).unwrap();
        held.wire.state = v1::PermitState::Redeemed.into();
        held.redemption_id = Some(call.redemption_id.clone());
        (held.redeemed, held.last) = (redeemed, last);
        answer(held, false)
    }

    pub(crate) fn complete(&mut self, call: &v1::CompleteRequest) -> v1::CompleteResponse {
        let refused = |reason| v1::CompleteResponse {
            refusal: Some(refusal(reason, v1::Decided::Never)),
            ..v1::CompleteResponse::default()
        };
        let Some(held) = self.permits.get(&call.permit_id).cloned() else {
            return refused(Reason::UnknownPermit);
        };
        match &held.completed {
            Some((completion, _)) if *completion != call.completion => {
                return refused(Reason::OutcomeConflict);
            }
            Some((_, receipt)) => {
                return v1::CompleteResponse {
                    permit: Some(held.wire),
                    receipt: Some(v1::Receipt {
                        file: receipt.clone(),
                    }),
                    replay: true,
                    refusal: None,
                };
            }
            None if held.wire.state() != v1::PermitState::Redeemed => {
                return refused(Reason::NotRedeemed);
            }
            None => {}
        }
        let (outcome, state) = match call.completion() {
            v1::Completion::Committed => (Outcome::Committed, v1::PermitState::Committed),
            _ => (Outcome::Aborted, v1::PermitState::Aborted),
        };
        let evidence = <[u8; 32]>::try_from(call.evidence_digest.as_slice()).ok();
        let (receipt, last) = self.certify(Body::Completed {
            step: Self::step(&held),
            outcome,
            evidence_digest: evidence.map(Digest::from_bytes),
            reason_commitment: (!call.reason.is_empty())
                .then(|| commit(&SALT, "reason_commitment", call.reason.as_bytes())),
        });
        let held = self.permits.get_mut(&call.permit_id).unwrap();
        held.wire.state = state.into();
        held.completed = Some((call.completion, receipt.clone()));
        held.last = last;
        v1::CompleteResponse {
            permit: Some(held.wire.clone()),
            receipt: Some(v1::Receipt { file: receipt }),
            replay: false,
            refusal: None,
        }
    }

    pub(crate) fn revoke(&mut self, call: &v1::RevokeRequest) -> v1::RevokeResponse {
        let held = self.permits[&call.permit_id].clone();
        let (receipt, last) = self.certify(Body::Revoked(Self::step(&held)));
        let held = self.permits.get_mut(&call.permit_id).unwrap();
        held.wire.state = v1::PermitState::Revoked.into();
        held.last = last;
        v1::RevokeResponse {
            permit: Some(held.wire.clone()),
            receipt: Some(v1::Receipt { file: receipt }),
            replay: false,
            refusal: None,
        }
    }

    pub(crate) fn get_permit(&self, call: &v1::GetPermitRequest) -> v1::GetPermitResponse {
        match self.permits.get(&call.permit_id) {
            None => v1::GetPermitResponse {
                refusal: Some(refusal(Reason::UnknownPermit, v1::Decided::Never)),
                ..v1::GetPermitResponse::default()
            },
            Some(held) => v1::GetPermitResponse {
                permit: Some(held.wire.clone()),
                cluster_time_ms: NOW_MS,
                refusal: None,
                request_canonical: held.request.to_canonical().into_bytes(),
                erasure: None,
            },
        }
    }
}

fn wire_permit(request: &Request, digest: Digest, grant: Grant) -> v1::Permit {
    let (version, policy_digest) = policy();
    v1::Permit {
        id: grant.permit_id.to_string(),
        fence: grant.fence.get(),
        issued_at_ms: NOW_MS,
        expires_at_ms: grant.expires_at.get(),
        complete_by_ms: 0,
        state: v1::PermitState::Issued.into(),
        request_digest: digest.as_bytes().to_vec(),
        bounds: vec![bound(request)],
        surface: request.surface.to_string(),
        action: request.action.to_string(),
        caller: request.caller.to_string(),
        in_doubt: false,
        policy_version: version.get(),
        policy_digest: policy_digest.as_bytes().to_vec(),
        ..v1::Permit::default()
    }
}

fn bound(request: &Request) -> v1::BoundKey {
    let workspace = request
        .params
        .get("workspace")
        .and_then(Json::as_str)
        .unwrap_or("none");
    v1::BoundKey {
        name: "workspace".to_owned(),
        kind: "exclusive".to_owned(),
        key: format!("workspace/{workspace}"),
        amount: 1,
    }
}
