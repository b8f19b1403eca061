//! `History`: what was decided, and what came of it.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use holdpoint_proto::convert::{Malformed, Named, namespace};
use holdpoint_proto::v1::{self, explain_request::Subject};
use holdpoint_receipt::statement::Kind as StatementKind;
use holdpoint_receipt::{ClusterTime, Name};
use tonic::{Request, Response, Status};

use super::caller::authenticate;
use super::log_calls::{ConsistencyCall, InclusionCall, LeafCall};
use super::story_calls::{ChainCall, DiscloseCall, EraseCall};
use super::{invalid, page_size};
use crate::admit::Lane;
use crate::gate::Gate;

/// Serves `holdpoint.v1.History`.
#[derive(Clone, Debug)]
pub(crate) struct HistoryService {
    gate: Arc<Gate>,
}

impl HistoryService {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

#[tonic::async_trait]
impl v1::history_server::History for HistoryService {
    type ExportLogStream =
        Pin<Box<dyn Stream<Item = Result<v1::ExportLogResponse, Status>> + Send>>;
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let asking = authenticate(&request)?;
        let call = WatchCall::parse(request.into_inner()).map_err(|error| invalid(&error))?;
        let stream = Gate::watch(Arc::clone(&self.gate), asking, call);
        Ok(Response::new(Box::pin(stream)))
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            ExplainResponse,
            DecisionName::parse,
            explain
        )
    }

    async fn list_decisions(
        &self,
        request: Request<v1::ListDecisionsRequest>,
    ) -> Result<Response<v1::ListDecisionsResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            ListDecisionsResponse,
            |call| DecisionsCall::parse(&call),
            list_decisions
        )
    }

    async fn receipt_at(
        &self,
        request: Request<v1::ReceiptAtRequest>,
    ) -> Result<Response<v1::ReceiptAtResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            ReceiptAtResponse,
            |call| LeafCall::parse(&call),
            receipt_at
        )
    }

    async fn log_checkpoint(
        &self,
        request: Request<v1::LogCheckpointRequest>,
    ) -> Result<Response<v1::LogCheckpointResponse>, Status> {
        let parse = |call: v1::LogCheckpointRequest| namespace(&call.namespace);
        answer!(
            self,
            request,
            Lane::Read,
            LogCheckpointResponse,
            parse,
            log_checkpoint
        )
    }

    async fn prove_inclusion(
        &self,
        request: Request<v1::ProveInclusionRequest>,
    ) -> Result<Response<v1::ProofResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            ProofResponse,
            |call| InclusionCall::parse(&call),
            prove_inclusion
        )
    }

    async fn prove_consistency(
        &self,
        request: Request<v1::ProveConsistencyRequest>,
    ) -> Result<Response<v1::ProofResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            ProofResponse,
            |call| ConsistencyCall::parse(&call),
            prove_consistency
        )
    }

    async fn export_log(
        &self,
        request: Request<v1::ExportLogRequest>,
    ) -> Result<Response<Self::ExportLogStream>, Status> {
        let asking = authenticate(&request)?;
        let log = namespace(&request.into_inner().namespace).map_err(|error| invalid(&error))?;
        let stream = Gate::export_log(Arc::clone(&self.gate), asking, log);
        Ok(Response::new(Box::pin(stream)))
    }

    async fn chain(
        &self,
        request: Request<v1::ChainRequest>,
    ) -> Result<Response<v1::ChainResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            ChainResponse,
            |call| ChainCall::parse(&call),
            chain
        )
    }

    async fn disclose(
        &self,
        request: Request<v1::DiscloseRequest>,
    ) -> Result<Response<v1::DiscloseResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Read,
            DiscloseResponse,
            |call| DiscloseCall::parse(&call),
            disclose
        )
    }

    async fn erase(
        &self,
        request: Request<v1::EraseRequest>,
    ) -> Result<Response<v1::EraseResponse>, Status> {
        answer!(
            self,
            request,
            Lane::Settle,
            EraseResponse,
            EraseCall::parse,
            erase
        )
    }
}

/// Which statements are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The first leaf; none for the next one that is made.
    pub(crate) from: Option<u64>,
    /// Only these kinds; none means all.
    pub(crate) kinds: Vec<StatementKind>,
    /// Only those about these surfaces; none means all.
    pub(crate) surfaces: BTreeSet<Name>,
    /// Only decisions with this verdict.
    pub(crate) decision: Option<v1::Decision>,
    /// With a proof for each.
    pub(crate) with_receipts: bool,
}

/// Surfaces that one watch may name.
const SURFACES_MAX: usize = 256;

impl WatchCall {
    fn parse(call: v1::WatchRequest) -> Result<Self, Malformed> {
        let kinds = call.kinds.iter().map(|word| {
            word.parse::<StatementKind>().map_err(|()| {
                let known: Vec<&str> = StatementKind::ALL
                    .iter()
                    .map(|kind| kind.as_str())
                    .collect();
                Malformed::new(
                    "kinds",
                    format_args!("`{}` is none of {}", word.escape_debug(), known.join(", ")),
                )
            })
        });
        if call.surfaces.len() > SURFACES_MAX {
            let count = call.surfaces.len();
            return Err(Malformed::new(
                "surfaces",
                format_args!("names {count}, at most {SURFACES_MAX} are accepted"),
            ));
        }
        let surfaces = call.surfaces.into_iter().map(Name::new);
        let decision = match v1::Decision::try_from(call.decision) {
            Ok(v1::Decision::Unspecified) => None,
            Ok(given @ (v1::Decision::Permit | v1::Decision::Deny)) => Some(given),
            Ok(v1::Decision::Silence) | Err(_) => {
                let problem = "name DECISION_PERMIT or DECISION_DENY, or leave it out";
                return Err(Malformed::new("decision", problem));
            }
        };
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            from: call.from_leaf,
            kinds: kinds.collect::<Result<_, _>>()?,
            surfaces: surfaces
                .collect::<Result<_, _>>()
                .map_err(|error| Malformed::new("surfaces", error))?,
            decision,
            with_receipts: call.with_receipts,
        })
    }
}

/// A decision by its place or by its permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DecisionName {
    /// Where its statement stands.
    Leaf {
        /// The namespace.
        namespace: Name,
        /// The leaf.
        leaf: u64,
    },
    /// The permit that it granted.
    Permit(Named),
}

impl DecisionName {
    fn parse(call: v1::ExplainRequest) -> Result<Self, Malformed> {
        match call.subject {
            Some(Subject::LeafIndex(leaf)) => Ok(Self::Leaf {
                namespace: namespace(&call.namespace)?,
                leaf,
            }),
            Some(Subject::PermitId(permit)) => {
                Named::parse(&call.namespace, &permit).map(Self::Permit)
            }
            None => Err(Malformed::new(
                "subject",
                "name a permit or a leaf of the log",
            )),
        }
    }

    /// The namespace.
    pub(crate) fn namespace(&self) -> &Name {
        match self {
            Self::Leaf { namespace, .. } => namespace,
            Self::Permit(named) => &named.namespace,
        }
    }
}

/// A page of decisions to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecisionsCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// Not those made before.
    pub(crate) since: ClusterTime,
    /// Where the page begins; 0 for the first.
    pub(crate) from: u64,
    /// Decisions of a page.
    pub(crate) page_size: usize,
}

impl DecisionsCall {
    fn parse(call: &v1::ListDecisionsRequest) -> Result<Self, Malformed> {
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            since: ClusterTime::new(call.since_ms)
                .map_err(|error| Malformed::new("since_ms", error))?,
            from: call.from_leaf,
            page_size: page_size(call.page_size)?,
        })
    }
}
