//! Reads of permits, operations and receipts.

use holdpoint_core::outcome::PermitView;
use holdpoint_policy::BoundKind;
use holdpoint_proto::convert::{self, Named};
use holdpoint_proto::v1;
use holdpoint_proto::v1::get_receipt_request::Subject;
use holdpoint_receipt::{BoundKey, Name, Reason};
use tonic::{Request, Response, Status};

use super::{Service, invalid, unfit};
use crate::testkit::refused::Refused;
use crate::testkit::script::Call;
use crate::testkit::world::World;

/// Permits of a list at most. A testbed has one page.
const LISTED_MAX: usize = 1_000;

impl Service {
    pub(super) async fn permit(
        &self,
        request: Request<v1::GetPermitRequest>,
    ) -> Result<Response<v1::GetPermitResponse>, Status> {
        let read = |world: &mut World, _, message: v1::GetPermitRequest| {
            let named = Named::parse(&message.namespace, &message.permit_id);
            Ok(found(world, &named.map_err(|error| invalid(&error))?))
        };
        self.bed.serve(Some(Call::Read), request, read).await
    }

    pub(super) async fn operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::GetOperationResponse>, Status> {
        let read = |world: &mut World, _, message: v1::GetOperationRequest| {
            let name = |field, text: &str| Name::new(text).map_err(|error| unfit(field, error));
            let surface = name("surface", &message.surface)?;
            let bound = name("bound", &message.bound)?;
            let key = BoundKey::new(message.key).map_err(|error| unfit("key", error))?;
            Ok(held(world, &surface, &bound, &key))
        };
        self.bed.serve(Some(Call::Read), request, read).await
    }

    pub(super) async fn receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::GetReceiptResponse>, Status> {
        let read = |world: &mut World, _, message: v1::GetReceiptRequest| {
            let leaf = match message.subject {
                Some(Subject::LeafIndex(leaf)) => Ok(Some(leaf)),
                Some(Subject::PermitId(permit)) => {
                    let named = Named::parse(&message.namespace, &permit);
                    newest(world, &named.map_err(|error| invalid(&error))?)
                }
                None => return Err(unfit("subject", "name a permit or a leaf of the log")),
            };
            let answer = leaf.and_then(|leaf| {
                let leaf = leaf.ok_or_else(|| Refused::never(Reason::NotFound))?;
                Ok(v1::GetReceiptResponse {
                    receipt: Some(world.receipt_of(leaf)?),
                    refusal: None,
                })
            });
            Ok(answer)
        };
        self.bed.serve(Some(Call::Read), request, read).await
    }

    pub(super) async fn permits(
        &self,
        request: Request<v1::ListPermitsRequest>,
    ) -> Result<Response<v1::ListPermitsResponse>, Status> {
        let read = |world: &mut World, _, message: v1::ListPermitsRequest| {
            let surface = match message.surface.as_str() {
                "" => None,
                text => Some(Name::new(text).map_err(|error| unfit("surface", error))?),
            };
            let listed = match (message.filter(), &surface) {
                (v1::PermitFilter::InDoubt, _) => in_doubt(world, surface.as_ref()),
                (v1::PermitFilter::Live, Some(surface)) => live(world, surface),
                (v1::PermitFilter::Live | v1::PermitFilter::Unspecified, _) => {
                    return Err(unfit("filter", "name a filter, with LIVE a surface too"));
                }
            };
            Ok(listed)
        };
        self.bed.serve(None, request, read).await
    }
}

fn found(world: &World, named: &Named) -> Result<v1::GetPermitResponse, Refused> {
    world.require(&named.namespace)?;
    let log = world.log()?;
    let view = log.permit(&named.permit)?;
    let view = view.ok_or_else(|| Refused::never(Reason::UnknownPermit))?;
    let leaf = view.record.statements.first().map(|first| first.leaf);
    let disclosed = leaf.map(|leaf| log.disclosure(leaf)).transpose()?.flatten();
    let request = disclosed.and_then(|disclosed| disclosed.request);
    Ok(v1::GetPermitResponse {
        cluster_time_ms: view.as_of.get(),
        permit: Some(convert::permit(&view)),
        refusal: None,
        request_canonical: request.unwrap_or_default(),
        // Nobody erases anything here.
        erasure: None,
    })
}

/// The newest statement of a permit.
fn newest(world: &World, named: &Named) -> Result<Option<u64>, Refused> {
    world.require(&named.namespace)?;
    let permit = world.log()?.permit(&named.permit)?;
    Ok(permit.and_then(|permit| Some(permit.record.statements.last()?.leaf)))
}

fn held(
    world: &World,
    surface: &Name,
    bound: &Name,
    key: &BoundKey,
) -> Result<v1::GetOperationResponse, Refused> {
    let log = world.log()?;
    let operation = log.operation(surface, bound, key)?;
    let now = log.now().get();
    let length = window_in_force(world, surface, bound)?;
    let usages = log.usages(surface, bound, key)?;
    let used = usages.into_iter().find_map(|(window, used)| {
        let is_current = window.is_none_or(|window| {
            Some(window.length_ms) == length && window.start_ms <= now && now < window.end().get()
        });
        is_current.then_some(used)
    });
    let waiting = log.waiting_for(surface, bound, key)?;
    Ok(v1::GetOperationResponse {
        holder: operation.holder.as_ref().map(convert::permit),
        committed: operation.committed.as_ref().map(convert::permit),
        cluster_time_ms: now,
        refusal: None,
        live_amount: used.map_or(0, |used| used.live),
        committed_amount: used.map_or(0, |used| used.committed),
        waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
    })
}

/// The window of a budget of the policy in force.
fn window_in_force(world: &World, surface: &Name, bound: &Name) -> Result<Option<u64>, Refused> {
    let surfaces = world.active()?.map(|(_, policy)| policy.outline());
    let mut surfaces = surfaces.unwrap_or_default().into_iter();
    let known = surfaces.find(|known| known.surface == *surface);
    let known = known.and_then(|it| it.bounds.into_iter().find(|known| known.name == *bound));
    Ok(match known.map(|known| known.kind) {
        Some(BoundKind::Budget { window_ms, .. }) => Some(window_ms),
        Some(_) | None => None,
    })
}

fn in_doubt(world: &World, surface: Option<&Name>) -> Result<v1::ListPermitsResponse, Refused> {
    let rows = world.log()?.doubts(None, LISTED_MAX)?;
    let permits = rows.into_iter().map(|(_, permit)| permit);
    let permits = permits.filter(|permit| {
        permit.in_doubt && surface.is_none_or(|surface| permit.record.surface == *surface)
    });
    listed(world, permits)
}

fn live(world: &World, surface: &Name) -> Result<v1::ListPermitsResponse, Refused> {
    let rows = world.log()?.holding_on(surface, None, LISTED_MAX)?;
    listed(world, rows.into_iter())
}

fn listed(
    world: &World,
    permits: impl Iterator<Item = PermitView>,
) -> Result<v1::ListPermitsResponse, Refused> {
    Ok(v1::ListPermitsResponse {
        permits: permits.map(|permit| convert::permit(&permit)).collect(),
        next_page: Vec::new(),
        cluster_time_ms: world.log()?.now().get(),
        refusal: None,
    })
}
