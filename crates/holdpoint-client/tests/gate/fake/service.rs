//! The services of a fake node.

use std::net::SocketAddr;
use std::pin::Pin;

use holdpoint_proto::hint::with_leader_hint;
use holdpoint_proto::v1;
use holdpoint_proto::v1::authorize_stream_response::Result as StreamResult;
use holdpoint_receipt::Reason;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::notary::NOW_MS;
use super::world::{refusal, silence};
use super::{FakeNode, Twist};

pub(super) fn caller<T>(request: &Request<T>) -> String {
    let name = request.metadata().get("holdpoint-caller");
    format!(
        "loopback:{}",
        name.map_or("dev", |name| name.to_str().unwrap())
    )
}

fn hint(leader: SocketAddr) -> v1::LeaderHint {
    let leader = v1::NodeAddress {
        id: 1,
        client: leader.to_string(),
    };
    v1::LeaderHint {
        nodes: vec![leader.clone()],
        leader: Some(leader),
        term: 7,
    }
}

/// What becomes of one attempt; none if the stream that it came over is to end.
async fn decide(
    node: &FakeNode,
    call: v1::AuthorizeRequest,
    caller: &str,
) -> Result<Option<v1::AuthorizeResponse>, Status> {
    let act = |call| node.world().authorize(call, caller);
    Ok(Some(match node.twist() {
        Twist::Answer | Twist::LieRedeem(_) => act(call),
        Twist::Mishear(change) => {
            let mut call = call;
            change(call.operation.as_mut().unwrap());
            act(call)
        }
        Twist::LoseAnswer => {
            act(call);
            return Err(Status::unavailable("the node stops"));
        }
        Twist::Hang => {
            act(call);
            node.hung.notify_one();
            std::future::pending().await
        }
        Twist::Refuse(reason, decided) => silence(reason, decided),
        Twist::NotLeader(leader) => v1::AuthorizeResponse {
            leader_hint: Some(hint(leader)),
            ..silence(Reason::NotLeader, v1::Decided::Never)
        },
        Twist::NotLeaderStatus(leader) => {
            let status = Status::failed_precondition("not the leader");
            return Err(with_leader_hint(status, &hint(leader)));
        }
        Twist::Lie(lie) => {
            let mut answer = act(call);
            lie(&mut answer);
            answer
        }
        Twist::BreakStream => {
            act(call);
            return Ok(None);
        }
        Twist::Wait => {
            node.world().submitted(&call);
            v1::AuthorizeResponse {
                waiting: Some(v1::Waiting {
                    ticket: 3,
                    since_ms: NOW_MS,
                    until_ms: call.wait_until_ms,
                }),
                ..silence(Reason::Timeout, v1::Decided::Unknown)
            }
        }
    }))
}

/// What becomes of another call about a permit.
async fn other<T>(
    node: &FakeNode,
    act: impl FnOnce() -> T,
    refused: impl FnOnce(v1::Refusal) -> T,
    lie: impl FnOnce(&mut T, Twist),
) -> Result<Response<T>, Status> {
    let twist = node.twist();
    match twist {
        Twist::LoseAnswer | Twist::BreakStream => {
            act();
            Err(Status::unavailable("the node stops"))
        }
        Twist::Hang => {
            act();
            node.hung.notify_one();
            std::future::pending().await
        }
        Twist::Refuse(reason, decided) => Ok(Response::new(refused(refusal(reason, decided)))),
        Twist::NotLeader(leader) => Ok(Response::new(refused(v1::Refusal {
            leader_hint: Some(hint(leader)),
            ..refusal(Reason::NotLeader, v1::Decided::Never)
        }))),
        Twist::NotLeaderStatus(leader) => Err(with_leader_hint(
            Status::failed_precondition("not the leader"),
            &hint(leader),
        )),
        Twist::Answer | Twist::Lie(_) | Twist::LieRedeem(_) | Twist::Mishear(_) | Twist::Wait => {
            let mut answer = act();
            lie(&mut answer, twist);
            Ok(Response::new(answer))
        }
    }
}

#[tonic::async_trait]
impl v1::gate_server::Gate for FakeNode {
    type AuthorizeStreamStream =
        Pin<Box<dyn Stream<Item = Result<v1::AuthorizeStreamResponse, Status>> + Send>>;

    async fn authorize(
        &self,
        request: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        self.seen.lock().unwrap().alone += 1;
        let caller = caller(&request);
        let answer = decide(self, request.into_inner(), &caller).await?;
        answer
            .map(Response::new)
            .ok_or_else(|| Status::unavailable("the node stops"))
    }

    async fn authorize_stream(
        &self,
        request: Request<Streaming<v1::AuthorizeStreamRequest>>,
    ) -> Result<Response<Self::AuthorizeStreamStream>, Status> {
        self.seen.lock().unwrap().streams += 1;
        let (node, caller) = (self.clone(), caller(&request));
        let mut frames = request.into_inner();
        let (answers, stream) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Some(Ok(frame)) = frames.next().await {
                let (node, caller, answers) = (node.clone(), caller.clone(), answers.clone());
                let work = async move {
                    let answer = decide(&node, frame.authorize.unwrap(), &caller).await?;
                    let answer = answer.ok_or_else(|| Status::unavailable("the node stops"))?;
                    let result = Some(StreamResult::Answer(answer));
                    Ok(v1::AuthorizeStreamResponse {
                        request_id: frame.request_id,
                        result,
                    })
                };
                // Answers go out as they come, so in any order.
                tokio::spawn(async move { answers.send(work.await).await });
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn redeem(
        &self,
        request: Request<v1::RedeemRequest>,
    ) -> Result<Response<v1::RedeemResponse>, Status> {
        let call = request.into_inner();
        let refused = |refusal| v1::RedeemResponse {
            refusal: Some(refusal),
            ..v1::RedeemResponse::default()
        };
        let lie = |answer: &mut v1::RedeemResponse, twist| {
            if let Twist::LieRedeem(lie) = twist {
                lie(answer);
            }
        };
        other(self, || self.world().redeem(&call), refused, lie).await
    }

    async fn complete(
        &self,
        request: Request<v1::CompleteRequest>,
    ) -> Result<Response<v1::CompleteResponse>, Status> {
        let call = request.into_inner();
        let refused = |refusal| v1::CompleteResponse {
            refusal: Some(refusal),
            ..v1::CompleteResponse::default()
        };
        other(self, || self.world().complete(&call), refused, |_, _| {}).await
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeRequest>,
    ) -> Result<Response<v1::RevokeResponse>, Status> {
        Ok(Response::new(self.world().revoke(&request.into_inner())))
    }

    async fn get_permit(
        &self,
        request: Request<v1::GetPermitRequest>,
    ) -> Result<Response<v1::GetPermitResponse>, Status> {
        Ok(Response::new(
            self.world().get_permit(&request.into_inner()),
        ))
    }

    async fn get_operation(
        &self,
        _: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::GetOperationResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn get_receipt(
        &self,
        _: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::GetReceiptResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        Ok(Response::new(self.world().release(&request.into_inner())))
    }

    async fn close_session(
        &self,
        request: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        Ok(Response::new(self.close(&request.into_inner())))
    }

    async fn list_permits(
        &self,
        request: Request<v1::ListPermitsRequest>,
    ) -> Result<Response<v1::ListPermitsResponse>, Status> {
        Ok(Response::new(self.list(&request.into_inner())))
    }
}

#[tonic::async_trait]
impl v1::keys_server::Keys for FakeNode {
    async fn export(
        &self,
        _: Request<v1::ExportKeysRequest>,
    ) -> Result<Response<v1::ExportKeysResponse>, Status> {
        let keys_json = self.world().notary.keys().to_file().into_bytes();
        Ok(Response::new(v1::ExportKeysResponse {
            keys_json,
            links: Vec::new(),
            refusal: None,
        }))
    }

    async fn list(
        &self,
        _: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn rotate(
        &self,
        _: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn retire(
        &self,
        _: Request<v1::RetireKeysRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn revoke(
        &self,
        _: Request<v1::RevokeKeysRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn require(
        &self,
        _: Request<v1::RequireSignersRequest>,
    ) -> Result<Response<v1::ChangeKeysResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }
}

#[tonic::async_trait]
impl v1::cluster_server::Cluster for FakeNode {
    async fn freeze(
        &self,
        request: Request<v1::FreezeRequest>,
    ) -> Result<Response<v1::FreezeResponse>, Status> {
        Ok(Response::new(self.freezes(&request.into_inner())))
    }

    async fn set_retention(
        &self,
        request: Request<v1::SetRetentionRequest>,
    ) -> Result<Response<v1::SetRetentionResponse>, Status> {
        Ok(Response::new(Self::retains(&request.into_inner())))
    }

    async fn change_members(
        &self,
        _: Request<v1::ChangeMembersRequest>,
    ) -> Result<Response<v1::ChangeMembersResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn get_retention(
        &self,
        _: Request<v1::GetRetentionRequest>,
    ) -> Result<Response<v1::GetRetentionResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let member = |address: &SocketAddr| v1::NodeStatus {
            id: u64::from(address.port()),
            client: address.to_string(),
            role: "voter".to_owned(),
            signing: "ok".to_owned(),
            ..v1::NodeStatus::default()
        };
        let world = self.world();
        Ok(Response::new(v1::StatusResponse {
            cluster_id: world.notary.cluster().to_string(),
            node_id: u64::from(self.address.port()),
            nodes: world.addresses.iter().map(member).collect(),
            build: "fake".to_owned(),
            ..v1::StatusResponse::default()
        }))
    }
}
