//! Lists of permits, a page at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_receipt::Name;

use crate::call::wire_ms;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::gate::{CallError, Gate};
use crate::info::PermitInfo;
use crate::steps::refused;

/// Permits that are asked for at a time.
const PAGE_SIZE: u32 = 200;

/// Which permits are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PermitFilter {
    /// Those in doubt, the longest in doubt first.
    InDoubt,
    /// Those of this surface that are live or hold bounds, the oldest first.
    Live(Name),
}

/// A list of permits that is read as it is used. Not proved.
///
/// Each page is a linearizable read of its own: a permit that changes meanwhile can be missing or
/// stand as it was.
#[derive(Debug)]
pub struct Permits<'a> {
    gate: &'a Gate,
    filter: PermitFilter,
    read: VecDeque<PermitInfo>,
    /// What asks for the next page; empty before the first.
    page: Vec<u8>,
    is_last: bool,
}

impl Gate {
    /// Lists permits.
    #[must_use]
    pub const fn permits(&self, filter: PermitFilter) -> Permits<'_> {
        Permits {
            gate: self,
            filter,
            read: VecDeque::new(),
            page: Vec::new(),
            is_last: false,
        }
    }

    /// Lists the permits in doubt: redeemed, past the time of their outcome, and without one.
    #[must_use]
    pub const fn permits_in_doubt(&self) -> Permits<'_> {
        self.permits(PermitFilter::InDoubt)
    }
}

impl Permits<'_> {
    /// The next permit; none at the end of the list.
    ///
    /// # Errors
    ///
    /// As for every read; asking again goes on where it failed.
    ///
    /// # Cancellation
    ///
    /// Harmless: the same page is asked for again.
    pub async fn next(&mut self) -> Result<Option<PermitInfo>, CallError> {
        while self.read.is_empty() && !self.is_last {
            let (permits, next) = self.fetch().await?;
            self.read.extend(permits);
            self.is_last = next.is_empty();
            self.page = next;
        }
        Ok(self.read.pop_front())
    }

    async fn fetch(&self) -> Result<(Vec<PermitInfo>, Vec<u8>), CallError> {
        let gate = self.gate;
        let (filter, surface) = match &self.filter {
            PermitFilter::InDoubt => (v1::PermitFilter::InDoubt, String::new()),
            PermitFilter::Live(surface) => (v1::PermitFilter::Live, surface.to_string()),
        };
        let ask = |connection: Arc<Connection>, budget| {
            let message = v1::ListPermitsRequest {
                namespace: gate.namespace().to_string(),
                filter: filter.into(),
                surface: surface.clone(),
                page: self.page.clone(),
                page_size: PAGE_SIZE,
                deadline_ms: wire_ms(budget),
            };
            async move {
                let answer = connection
                    .gate()
                    .list_permits(connection.request(message))
                    .await?;
                let v1::ListPermitsResponse {
                    permits,
                    next_page,
                    refusal,
                    ..
                } = answer.into_inner();
                refused(refusal)?;
                let permits: Result<Vec<_>, _> =
                    permits.into_iter().map(PermitInfo::from_wire).collect();
                Ok((permits.map_err(Failure::disbelieve)?, next_page))
            }
        };
        Ok(gate.nodes().call(gate.deadline(), ask).await?.answer)
    }
}
