//! The log of a fake node, as it streams it.

use std::pin::Pin;

use holdpoint_proto::v1;
use holdpoint_receipt::Reason;
use tokio_stream::{Stream, StreamExt as _, iter};
use tonic::{Request, Response, Status};

use super::world::refusal;
use super::{FakeNode, Flow};

type Messages = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

impl FakeNode {
    /// What there is from this leaf on, with the progress of what the filter leaves out.
    fn messages(&self, call: &v1::WatchRequest) -> Vec<v1::WatchResponse> {
        let world = self.world();
        let stated = world.notary.stated();
        let from = call.from_leaf.unwrap_or(stated.len() as u64);
        let mut messages = vec![v1::WatchResponse {
            next_leaf: from,
            ..v1::WatchResponse::default()
        }];
        for (statement, file) in stated.iter().skip(usize::try_from(from).unwrap()) {
            let leaf_index = statement.place.leaf_index();
            let kind = statement.body.kind().to_string();
            let is_wanted = call.kinds.is_empty() || call.kinds.contains(&kind);
            messages.push(v1::WatchResponse {
                statement: is_wanted.then(|| v1::WatchedStatement {
                    leaf_index,
                    statement: statement.to_canonical().into_bytes(),
                    receipt: call
                        .with_receipts
                        .then(|| v1::Receipt { file: file.clone() }),
                }),
                next_leaf: leaf_index + 1,
                refusal: None,
            });
        }
        messages
    }
}

#[tonic::async_trait]
impl v1::history_server::History for FakeNode {
    type ExportLogStream = tokio_stream::Empty<Result<v1::ExportLogResponse, Status>>;
    type WatchStream = Messages;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Messages>, Status> {
        let flow = self.flows.lock().unwrap().pop_front().unwrap_or_default();
        let mut messages = self.messages(&request.into_inner());
        let goes_on: Messages = match flow {
            Flow::All => Box::pin(tokio_stream::pending()),
            Flow::Break(count) => {
                messages.truncate(count);
                Box::pin(iter([Err(Status::unavailable("the node stops"))]))
            }
            Flow::Lie(lie) => {
                messages.iter_mut().skip(1).for_each(lie);
                Box::pin(tokio_stream::pending())
            }
            Flow::Gone(first) => {
                messages = vec![v1::WatchResponse {
                    refusal: Some(refusal(Reason::NotFound, v1::Decided::Never)),
                    next_leaf: first,
                    statement: None,
                }];
                Box::pin(tokio_stream::empty())
            }
        };
        let begun = iter(messages.into_iter().map(Ok));
        Ok(Response::new(Box::pin(begun.chain(goes_on))))
    }

    async fn explain(
        &self,
        _: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn list_decisions(
        &self,
        _: Request<v1::ListDecisionsRequest>,
    ) -> Result<Response<v1::ListDecisionsResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn receipt_at(
        &self,
        _: Request<v1::ReceiptAtRequest>,
    ) -> Result<Response<v1::ReceiptAtResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn log_checkpoint(
        &self,
        _: Request<v1::LogCheckpointRequest>,
    ) -> Result<Response<v1::LogCheckpointResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn prove_inclusion(
        &self,
        _: Request<v1::ProveInclusionRequest>,
    ) -> Result<Response<v1::ProofResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn prove_consistency(
        &self,
        _: Request<v1::ProveConsistencyRequest>,
    ) -> Result<Response<v1::ProofResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn export_log(
        &self,
        _: Request<v1::ExportLogRequest>,
    ) -> Result<Response<Self::ExportLogStream>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn chain(
        &self,
        _: Request<v1::ChainRequest>,
    ) -> Result<Response<v1::ChainResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn disclose(
        &self,
        _: Request<v1::DiscloseRequest>,
    ) -> Result<Response<v1::DiscloseResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }

    async fn erase(
        &self,
        _: Request<v1::EraseRequest>,
    ) -> Result<Response<v1::EraseResponse>, Status> {
        Err(Status::unimplemented("not part of the fake"))
    }
}
