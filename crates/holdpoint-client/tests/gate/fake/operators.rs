//! What approvers and operators ask of a fake node.

use holdpoint_proto::v1;
use holdpoint_receipt::statement::{
    ApprovalStatement, DrainMode, DrainStatement, FrozenStatement, PolicyStatement,
    SessionStatement,
};
use holdpoint_receipt::{
    Body, ClusterTime, Digest, Name, PolicyVersion, Reason, StatementText, commit, sha256,
    sha256_domain,
};
use tonic::{Request, Response, Status};

use super::FakeNode;
use super::notary::NOW_MS;
use super::service::caller;
use super::world::{SALT, policy, refusal};

/// The bundle whose activation drains.
pub(crate) const DIGEST: [u8; 32] = [7; 32];

/// Permits of a page.
const PAGE: usize = 2;

/// What the one listed request waits to have approved.
pub(crate) fn subject() -> (Vec<u8>, Digest) {
    let text = br#"{"action":"apply","binds":{"params.workspace":"prod-eu"},"namespace":"default","quorum":"two-person","surface":"infra.apply"}"#;
    (
        text.to_vec(),
        sha256_domain("holdpoint/approval/v1", &[text]),
    )
}

fn committed() -> Digest {
    commit(&SALT, "caller_commitment", b"caller")
}

impl FakeNode {
    pub(super) fn close(&self, call: &v1::CloseSessionRequest) -> v1::CloseSessionResponse {
        let (file, _) = self.world().certify(Body::SessionClosed(SessionStatement {
            session_commitment: commit(&SALT, "session_commitment", call.session.as_bytes()),
            caller_commitment: committed(),
        }));
        v1::CloseSessionResponse {
            receipt: Some(v1::Receipt { file }),
            salt: SALT.as_bytes().to_vec(),
            ..v1::CloseSessionResponse::default()
        }
    }

    pub(super) fn freezes(&self, call: &v1::FreezeRequest) -> v1::FreezeResponse {
        let surface = match call.surface.as_str() {
            "" => None,
            name => Some(Name::new(name).unwrap()),
        };
        let (file, _) = self.world().certify(Body::Frozen(FrozenStatement {
            surface,
            frozen: call.frozen,
            caller_commitment: committed(),
            disputed_leaf: None,
        }));
        v1::FreezeResponse {
            receipt: Some(v1::Receipt { file }),
            ..v1::FreezeResponse::default()
        }
    }

    pub(super) fn retains(call: &v1::SetRetentionRequest) -> v1::SetRetentionResponse {
        let least_ms = 86_400_000;
        let is_short = call.retention.unwrap().permits_ms.unwrap_or(u64::MAX) < least_ms;
        v1::SetRetentionResponse {
            replay: false,
            least_ms,
            refusal: is_short.then(|| refusal(Reason::RetentionTooShort, v1::Decided::Never)),
        }
    }

    /// Every permit, so many on a page.
    pub(super) fn list(&self, call: &v1::ListPermitsRequest) -> v1::ListPermitsResponse {
        let world = self.world();
        let from = call.page.first().copied().map_or(0, usize::from);
        let rest: Vec<v1::Permit> = world.permits().skip(from).cloned().collect();
        let next = from + PAGE;
        v1::ListPermitsResponse {
            next_page: if rest.len() > PAGE {
                vec![u8::try_from(next).unwrap()]
            } else {
                Vec::new()
            },
            permits: rest.into_iter().take(PAGE).collect(),
            cluster_time_ms: NOW_MS,
            refusal: None,
        }
    }

    fn approval(&self, call: &v1::ApproveRequest, approver: &str) -> v1::Approval {
        let approval = v1::Approval {
            quorum: call.quorum.clone(),
            subject_digest: call.subject_digest.clone(),
            approver: approver.to_owned(),
            given_at_ms: NOW_MS,
            expires_at_ms: NOW_MS + 1_000,
            state: v1::ApprovalState::Given.into(),
            spent_by: String::new(),
        };
        let name = (
            call.quorum.clone(),
            call.subject_digest.clone(),
            approver.to_owned(),
        );
        self.world().approvals.insert(name, approval.clone());
        approval
    }
}

fn statement(quorum: &str, subject: &[u8]) -> ApprovalStatement {
    ApprovalStatement {
        surface: Name::new("infra.apply").unwrap(),
        quorum: Name::new(quorum).unwrap(),
        subject_digest: Digest::from_bytes(subject.try_into().unwrap()),
        caller_commitment: committed(),
        policy_version: policy().0,
        policy_digest: policy().1,
        expires_at: Some(ClusterTime::new(NOW_MS + 1_000).unwrap()),
        previous: None,
    }
}

#[tonic::async_trait]
impl v1::approvals_server::Approvals for FakeNode {
    async fn list_pending(
        &self,
        _: Request<v1::ListPendingRequest>,
    ) -> Result<Response<v1::ListPendingResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn get_subject(
        &self,
        request: Request<v1::GetSubjectRequest>,
    ) -> Result<Response<v1::GetSubjectResponse>, Status> {
        let (bytes, digest) = subject();
        if request.into_inner().subject_digest != digest.as_bytes() {
            return Ok(Response::new(v1::GetSubjectResponse {
                refusal: Some(refusal(Reason::UnknownSubject, v1::Decided::Never)),
                ..v1::GetSubjectResponse::default()
            }));
        }
        let mut answer = v1::GetSubjectResponse {
            quorum: "two-person".to_owned(),
            subject_json: bytes,
            policy_version: policy().0.get(),
            policy_digest: policy().1.as_bytes().to_vec(),
            policy_name: "fake".to_owned(),
            approvals: self.world().approvals.values().cloned().collect(),
            needed: 2,
            surface: "infra.apply".to_owned(),
            ..v1::GetSubjectResponse::default()
        };
        if let Some(misshow) = *self.misshow.lock().unwrap() {
            misshow(&mut answer);
        }
        Ok(Response::new(answer))
    }

    async fn approve(
        &self,
        request: Request<v1::ApproveRequest>,
    ) -> Result<Response<v1::ApproveResponse>, Status> {
        let approver = caller(&request);
        let call = request.into_inner();
        let approval = self.approval(&call, &approver);
        let body = Body::Approved(statement(&call.quorum, &call.subject_digest));
        let (file, _) = self.world().certify(body);
        Ok(Response::new(v1::ApproveResponse {
            approval: Some(approval),
            receipt: Some(v1::Receipt { file }),
            ..v1::ApproveResponse::default()
        }))
    }

    async fn revoke_approval(
        &self,
        request: Request<v1::RevokeApprovalRequest>,
    ) -> Result<Response<v1::RevokeApprovalResponse>, Status> {
        let approver = caller(&request);
        let call = request.into_inner();
        let name = (call.quorum.clone(), call.subject_digest.clone(), approver);
        let Some(mut approval) = self.world().approvals.remove(&name) else {
            return Ok(Response::new(v1::RevokeApprovalResponse {
                refusal: Some(refusal(Reason::UnknownApproval, v1::Decided::Never)),
                ..v1::RevokeApprovalResponse::default()
            }));
        };
        approval.state = v1::ApprovalState::Revoked.into();
        let (file, _) = self
            .world()
            .certify(Body::ApprovalRevoked(ApprovalStatement {
                expires_at: None,
                previous: Some(sha256(b"approval")),
                ..statement(&call.quorum, &call.subject_digest)
            }));
        Ok(Response::new(v1::RevokeApprovalResponse {
            approval: Some(approval),
            receipt: Some(v1::Receipt { file }),
            ..v1::RevokeApprovalResponse::default()
        }))
    }
}

#[tonic::async_trait]
impl v1::policy_server::Policy for FakeNode {
    async fn put(
        &self,
        _: Request<v1::PutPolicyRequest>,
    ) -> Result<Response<v1::PutPolicyResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    /// A bundle comes into force at once, but for one that drains.
    async fn activate(
        &self,
        request: Request<v1::ActivatePolicyRequest>,
    ) -> Result<Response<v1::ActivatePolicyResponse>, Status> {
        let call = request.into_inner();
        let policy_digest = Digest::from_bytes(call.digest.as_slice().try_into().unwrap());
        let mode = match call.mode() {
            v1::ActivationMode::Drain => Some(DrainMode::Drain),
            v1::ActivationMode::Revoke => Some(DrainMode::Revoke),
            _ => None,
        };
        let is_in_the_way = call.digest == DIGEST;
        let mut answer = v1::ActivatePolicyResponse::default();
        match (is_in_the_way, mode) {
            (true, None) => {
                answer.refusal = Some(refusal(Reason::BoundsInUse, v1::Decided::Never));
            }
            (true, Some(mode)) => {
                let (file, _) = self.world().certify(Body::Drain(DrainStatement {
                    policy_digest,
                    mode,
                    caller_commitment: committed(),
                }));
                answer.receipt = Some(v1::Receipt { file });
                answer.draining = vec!["infra.apply".to_owned()];
            }
            (false, _) => {
                let version = call.expected_version + 1;
                let (file, _) = self.world().certify(Body::Policy(PolicyStatement {
                    policy_version: PolicyVersion::new(version).unwrap(),
                    policy_digest,
                    evaluator: StatementText::new("fake/1").unwrap(),
                    caller_commitment: committed(),
                }));
                answer.receipt = Some(v1::Receipt { file });
                answer.version = version;
            }
        }
        Ok(Response::new(answer))
    }

    async fn list(
        &self,
        _: Request<v1::ListPoliciesRequest>,
    ) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn get(
        &self,
        _: Request<v1::GetPolicyRequest>,
    ) -> Result<Response<v1::GetPolicyResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn cancel_drain(
        &self,
        _: Request<v1::CancelDrainRequest>,
    ) -> Result<Response<v1::CancelDrainResponse>, Status> {
        let (file, _) = self.world().certify(Body::Drain(DrainStatement {
            policy_digest: Digest::from_bytes(DIGEST),
            mode: DrainMode::Cancelled,
            caller_commitment: committed(),
        }));
        Ok(Response::new(v1::CancelDrainResponse {
            receipt: Some(v1::Receipt { file }),
            refusal: None,
        }))
    }

    async fn set_shadow(
        &self,
        _: Request<v1::SetShadowRequest>,
    ) -> Result<Response<v1::SetShadowResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn get_shadow(
        &self,
        _: Request<v1::GetShadowRequest>,
    ) -> Result<Response<v1::GetShadowResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn delete(
        &self,
        _: Request<v1::DeletePolicyRequest>,
    ) -> Result<Response<v1::DeletePolicyResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }
}
