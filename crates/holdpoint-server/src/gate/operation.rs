//! Who holds a bounded operation, how much of it is used, and who waits for it.

use holdpoint_core::View;
use holdpoint_core::outline::{BoundKind, Window};
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::UsageRecord;
use holdpoint_proto::{convert, v1};
use holdpoint_receipt::{BoundKey, Caller, Name, Reason};
use holdpoint_storage::StoreError;

use super::Gate;
use crate::admit::Admitted;
use crate::api::OperationCall;
use crate::evaluate::ReadFault;
use crate::refused::Refused;

/// Names that a sentence lists.
const LISTED_MAX: usize = 8;

impl Gate {
    /// Who has a bounded operation.
    pub(crate) async fn get_operation(
        &self,
        _caller: Caller,
        call: OperationCall,
        admitted: &Admitted,
    ) -> Result<v1::GetOperationResponse, Refused> {
        let OperationCall {
            namespace,
            surface,
            bound,
            key,
        } = call;
        let read = self.query(&namespace, admitted, move |log| {
            let operation = log.operation(&surface, &bound, &key)?;
            let (waiting, used) = (
                log.waiting_for(&surface, &bound, &key)?,
                used(log, &surface, &bound, &key)?,
            );
            let is_recorded = waiting > 0
                || used.is_some()
                || operation.holder.is_some()
                || operation.tombstone.is_some();
            let unknown = if is_recorded {
                None
            } else {
                unknown_bound(log, &surface, &bound)?
            };
            Ok((operation, log.now(), unknown, waiting, used))
        });
        let (operation, now, unknown, waiting, used) = read.await?;
        if let Some(sentence) = unknown {
            return Err(Refused::never(Reason::NotFound).saying(sentence));
        }
        Ok(v1::GetOperationResponse {
            holder: operation.holder.as_ref().map(convert::permit),
            committed: operation.committed.as_ref().map(convert::permit),
            cluster_time_ms: now.get(),
            waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
            live_amount: used.map_or(0, |used| used.live),
            committed_amount: used.map_or(0, |used| used.committed),
            refusal: None,
        })
    }
}

/// Says so if the policy in force has no such bound: nobody can hold it, so it is not free either.
fn unknown_bound<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    surface: &Name,
    bound: &Name,
) -> Result<Option<String>, ReadFault> {
    let Some(active) = log.record().active else {
        return Ok(Some(
            "No policy is in force, so nothing is bounded.".to_owned(),
        ));
    };
    let surfaces = log.surfaces(&active.digest)?;
    let Some(known) = surfaces.iter().find(|known| known.surface == *surface) else {
        let known = listed(surfaces.iter().map(|known| &known.surface));
        return Ok(Some(format!(
            "The policy in force has no surface `{surface}`; it has {known}."
        )));
    };
    let is_known = known.bounds.iter().any(|known| known.name == *bound);
    Ok((!is_known).then(|| {
        let known = listed(known.bounds.iter().map(|known| &known.name));
        format!("The surface `{surface}` has no bound `{bound}`; it has {known}.")
    }))
}

/// Names for people; a few, if they are many.
fn listed<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    let mut names = names.map(|name| format!("`{name}`"));
    let few: Vec<String> = names.by_ref().take(LISTED_MAX).collect();
    match (few.is_empty(), names.count()) {
        (true, _) => "none".to_owned(),
        (false, 0) => few.join(", "),
        (false, more) => format!("{} and {more} more", few.join(", ")),
    }
}

/// How much of a capacity is used, or of a budget in the window of now; none if nothing is. Where the
/// window has changed, of the one that the policy in force has.
fn used<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    surface: &Name,
    bound: &Name,
    key: &BoundKey,
) -> Result<Option<UsageRecord>, ReadFault> {
    let usages = log.usages(surface, bound, key)?;
    let now = log.now().get();
    let is_now = |window: &Option<Window>| {
        window.is_none_or(|window| window.start_ms <= now && now < window.end().get())
    };
    let mut current = usages.iter().filter(|(window, _)| is_now(window));
    let (Some(first), second) = (current.next(), current.next()) else {
        return Ok(None);
    };
    if second.is_none() {
        return Ok(Some(first.1));
    }
    let length = window_in_force(log, surface, bound)?;
    let found = usages
        .iter()
        .find(|(window, _)| is_now(window) && window.map(|window| window.length_ms) == length);
    Ok(Some(found.unwrap_or(first).1))
}

/// The window of a budget of the policy in force.
fn window_in_force<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    surface: &Name,
    bound: &Name,
) -> Result<Option<u64>, ReadFault> {
    let Some(active) = log.record().active else {
        return Ok(None);
    };
    let surfaces = log.surfaces(&active.digest)?;
    let known = surfaces.iter().find(|known| known.surface == *surface);
    let known = known.and_then(|known| known.bounds.iter().find(|known| known.name == *bound));
    Ok(match known.map(|known| known.kind) {
        Some(BoundKind::Budget { window_ms, .. }) => Some(window_ms),
        Some(_) | None => None,
    })
}
