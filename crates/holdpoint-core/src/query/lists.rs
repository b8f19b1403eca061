//! Reads of what a namespace lists: approvals, what waits for them, sessions, queues, permits by page.

use holdpoint_receipt::{
    BoundKey, Caller, ClusterTime, Digest, Fence, IdempotencyKey, Name, PermitId, SessionId,
};

use super::{NamespaceQuery, decode, list, number_at, read, rows, unreadable};
use crate::command::{ApprovalName, AttemptName};
use crate::fault::ApplyError;
use crate::key::{Kind, StateKey};
use crate::limits::PAGE_MAX;
use crate::outcome::PermitView;
use crate::record::{ApprovalRecord, PendingRecord, SessionRecord, WaiterRecord};
use crate::view::View;

/// From when on a permit is in doubt, and its fence: its place in the list of those.
pub type DoubtPlace = (ClusterTime, Fence);

impl<V: View> NamespaceQuery<'_, V> {
    /// Permits in doubt after `after`, those that have been so the longest first, each with its place;
    /// at most `limit`, and no more than a page.
    ///
    /// # Errors
    ///
    /// The state cannot be read, or is damaged. The same for every read below.
    pub fn doubts(
        &self,
        after: Option<DoubtPlace>,
        limit: usize,
    ) -> Result<Vec<(DoubtPlace, PermitView)>, ApplyError<V::Error>> {
        let prefix = self.keys.prefix(Kind::Doubt);
        let after = after.map(|(since, fence)| self.keys.due(Kind::Doubt, since, fence));
        let mut found = Vec::new();
        for (key, row) in rows(self.view, &prefix, after.as_ref(), limit.min(PAGE_MAX))? {
            let since = ClusterTime::new(number_at(&key, prefix.len())?);
            let since = since.map_err(|_beyond| unreadable(&key))?;
            // The rows are in the order of their times: those that follow are not in doubt yet.
            if since > self.now() {
                break;
            }
            let permit = self.must_permit(&decode::<PermitId, V::Error>(&key, &row)?)?;
            found.push(((since, permit.fence()), permit));
        }
        Ok(found)
    }

    /// How many permits are in doubt; at most a page is counted.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::doubts`].
    pub fn doubt_count(&self) -> Result<usize, ApplyError<V::Error>> {
        let prefix = self.keys.prefix(Kind::Doubt);
        let mut count: usize = 0;
        for (key, _) in rows(self.view, &prefix, None, PAGE_MAX)? {
            if number_at::<V::Error>(&key, prefix.len())? > self.now().get() {
                break;
            }
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    /// Permits of a surface after `after` that are live or hold bounds, in the order of their fences;
    /// at most `limit`, and no more than a page.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::doubts`].
    pub fn holding_on(
        &self,
        surface: &Name,
        after: Option<Fence>,
        limit: usize,
    ) -> Result<Vec<PermitView>, ApplyError<V::Error>> {
        let after = after.map(|fence| self.keys.live(surface, fence));
        let prefix = self.keys.live_on(surface);
        let rows = rows(self.view, &prefix, after.as_ref(), limit.min(PAGE_MAX))?;
        let permits = rows
            .iter()
            .map(|(key, row)| self.must_permit(&decode(key, row)?));
        permits.collect()
    }

    /// Approvals of one subject for one quorum, in the order of the approvers; at most a page.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::doubts`].
    pub fn approvals_of(
        &self,
        quorum: &Name,
        subject: &Digest,
    ) -> Result<Vec<(ApprovalName, ApprovalRecord)>, ApplyError<V::Error>> {
        let prefix = self.keys.approvals_of(quorum, subject);
        list(self.view, &prefix, None, |key, row| {
            let approver = texts_at(key, prefix.len())?.pop();
            let approver = approver.and_then(|text| Caller::new(text).ok());
            let name = ApprovalName {
                quorum: quorum.clone(),
                subject: *subject,
                approver: approver.ok_or_else(|| unreadable(key))?,
            };
            Ok((name, decode(key, row)?))
        })
    }

    /// One approval.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::doubts`].
    pub fn approval(
        &self,
        name: &ApprovalName,
    ) -> Result<Option<ApprovalRecord>, ApplyError<V::Error>> {
        let key = self
            .keys
            .approval(&name.quorum, &name.subject, &name.approver);
        read(self.view, &key)
    }

    /// A request that is listed for approval.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::doubts`].
    pub fn pending(&self, request: &Digest) -> Result<Option<PendingRecord>, ApplyError<V::Error>> {
        let record = read::<PendingRecord, V>(self.view, &self.keys.pending(request))?;
        Ok(record.filter(|record| self.now() < record.listed_until))
    }

    /// Requests that are listed for approval after `after`, in the order of their digests; at most
    /// `limit`, and no more than a page.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::doubts`].
    pub fn pendings(
        &self,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, PendingRecord)>, ApplyError<V::Error>> {
        let prefix = self.keys.prefix(Kind::Pending);
        let after = after.map(|request| self.keys.pending(request));
        let rows = rows(self.view, &prefix, after.as_ref(), limit.min(PAGE_MAX))?;
        rows.iter()
            .map(|(key, row)| Ok((digest_at(key, prefix.len())?, decode(key, row)?)))
            .collect()
    }

    /// The listed requests that an approval of `subject` would help; at most a page.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::doubts`].
    pub fn pending_of(&self, subject: &Digest) -> Result<Vec<Digest>, ApplyError<V::Error>> {
        let prefix = self.keys.pending_of(subject);
        list(self.view, &prefix, None, |key, _| {
            digest_at(key, prefix.len())
        })
    }

    /// A session.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::doubts`].
    pub fn session(
        &self,
        session: &SessionId,
    ) -> Result<Option<SessionRecord>, ApplyError<V::Error>> {
        read(self.view, &self.keys.session(session))
    }

    /// An attempt that waits for bounds.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::doubts`].
    pub fn waiter(
        &self,
        attempt: &AttemptName,
    ) -> Result<Option<WaiterRecord>, ApplyError<V::Error>> {
        let key = self.keys.waiter(&attempt.caller, &attempt.idempotency_key);
        read(self.view, &key)
    }

    /// Attempts that wait for bounds after `after`, in the order of their names; at most a page.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::doubts`].
    pub fn waiters(
        &self,
        after: Option<&AttemptName>,
    ) -> Result<Vec<(AttemptName, WaiterRecord)>, ApplyError<V::Error>> {
        let prefix = self.keys.prefix(Kind::Waiter);
        let after = after.map(|name| self.keys.waiter(&name.caller, &name.idempotency_key));
        list(self.view, &prefix, after.as_ref(), |key, row| {
            let [caller, idempotency_key] = texts_at(key, prefix.len())?
                .try_into()
                .map_err(|_other| unreadable(key))?;
            let name = AttemptName {
                caller: Caller::new(caller).map_err(|_unfit| unreadable(key))?,
                idempotency_key: IdempotencyKey::new(idempotency_key)
                    .map_err(|_unfit| unreadable(key))?,
            };
            Ok((name, decode(key, row)?))
        })
    }

    /// How many attempts wait for a bounded operation; at most a page is counted.
    ///
    /// # Errors
    ///
    /// See [`NamespaceQuery::doubts`].
    pub fn waiting_for(
        &self,
        surface: &Name,
        bound: &Name,
        key: &BoundKey,
    ) -> Result<usize, ApplyError<V::Error>> {
        let prefix = self.keys.queue_of(surface, bound, key);
        Ok(rows(self.view, &prefix, None, PAGE_MAX)?.len())
    }
}

/// The digest that stands in `key` from `offset` to its end.
fn digest_at<E>(key: &StateKey, offset: usize) -> Result<Digest, ApplyError<E>> {
    let bytes = key.as_bytes().get(offset..);
    let digest = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    digest
        .map(Digest::from_bytes)
        .ok_or_else(|| unreadable(key))
}

/// The texts that stand in `key` from `offset` to its end, each with a zero byte behind it.
fn texts_at<E>(key: &StateKey, offset: usize) -> Result<Vec<String>, ApplyError<E>> {
    let bytes = key.as_bytes().get(offset..);
    let bytes = bytes.and_then(|bytes| bytes.strip_suffix(&[0]));
    let texts = bytes
        .ok_or_else(|| unreadable(key))?
        .split(|byte| *byte == 0);
    texts
        .map(|text| {
            let text = std::str::from_utf8(text).map_err(|_other| unreadable(key))?;
            Ok(text.to_owned())
        })
        .collect()
}
