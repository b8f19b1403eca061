//! The messages of etcd's version 3 protocol that are asked for here, by the field numbers of its
//! published definition. What is not used is left out: a reader of the wire skips it.

use prost::{Enumeration, Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Header {
    #[prost(uint64, tag = "2")]
    pub(super) member_id: u64,
    #[prost(int64, tag = "3")]
    pub(super) revision: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub(super) mod_revision: i64,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) value: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(super) enum SortOrder {
    None = 0,
    Ascend = 1,
    Descend = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(super) enum SortTarget {
    Key = 0,
    CreateRevision = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Range {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    end: Vec<u8>,
    #[prost(int64, tag = "3")]
    limit: i64,
    #[prost(enumeration = "SortOrder", tag = "5")]
    sort_order: i32,
    #[prost(enumeration = "SortTarget", tag = "6")]
    sort_target: i32,
    #[prost(int64, tag = "13")]
    max_create_revision: i64,
}

impl Range {
    /// One key.
    pub(super) fn of(key: Vec<u8>) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }

    /// The key under `prefix` that was created first.
    pub(super) fn oldest_under(prefix: &[u8]) -> Self {
        Self::first_under(prefix, SortOrder::Ascend)
    }

    /// The key under `prefix` that was created last before `revision`.
    pub(super) fn newest_under_before(prefix: &[u8], revision: i64) -> Self {
        Self {
            max_create_revision: revision.saturating_sub(1),
            ..Self::first_under(prefix, SortOrder::Descend)
        }
    }

    fn first_under(prefix: &[u8], order: SortOrder) -> Self {
        Self {
            key: prefix.to_vec(),
            end: end_of(prefix),
            limit: 1,
            sort_order: order.into(),
            sort_target: SortTarget::CreateRevision.into(),
            max_create_revision: 0,
        }
    }
}

/// The first key behind all that begin with `prefix`, which ends in a byte below 255.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeAnswer {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<Header>,
    #[prost(message, repeated, tag = "2")]
    pub(super) kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Put {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Delete {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RequestOp {
    #[prost(oneof = "Request", tags = "1, 2, 3")]
    request: Option<Request>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Request {
    #[prost(message, tag = "1")]
    Range(Range),
    #[prost(message, tag = "2")]
    Put(Put),
    #[prost(message, tag = "3")]
    Delete(Delete),
}

impl RequestOp {
    pub(super) fn put(key: Vec<u8>, value: Vec<u8>) -> Self {
        let request = Some(Request::Put(Put { key, value }));
        Self { request }
    }

    pub(super) fn range(range: Range) -> Self {
        let request = Some(Request::Range(range));
        Self { request }
    }

    pub(super) fn delete(key: Vec<u8>) -> Self {
        let request = Some(Request::Delete(Delete { key }));
        Self { request }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResponseOp {
    #[prost(message, optional, tag = "1")]
    range: Option<RangeAnswer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(super) enum CompareTarget {
    Version = 0,
    CreateRevision = 1,
    ModRevision = 2,
}

/// A comparison for equality, which is the result 0 that is not sent.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Compare {
    #[prost(enumeration = "CompareTarget", tag = "2")]
    target: i32,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(oneof = "Compared", tags = "5, 6")]
    compared: Option<Compared>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
enum Compared {
    #[prost(int64, tag = "5")]
    CreateRevision(i64),
    #[prost(int64, tag = "6")]
    ModRevision(i64),
}

impl Compare {
    /// The key was created at `revision`; 0: it is absent.
    pub(super) fn created_at(key: Vec<u8>, revision: i64) -> Self {
        Self {
            target: CompareTarget::CreateRevision.into(),
            key,
            compared: Some(Compared::CreateRevision(revision)),
        }
    }

    /// The key was last written at `revision`.
    pub(super) fn written_at(key: Vec<u8>, revision: i64) -> Self {
        Self {
            target: CompareTarget::ModRevision.into(),
            key,
            compared: Some(Compared::ModRevision(revision)),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Txn {
    #[prost(message, repeated, tag = "1")]
    pub(super) compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    pub(super) success: Vec<RequestOp>,
    #[prost(message, repeated, tag = "3")]
    pub(super) failure: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TxnAnswer {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(bool, tag = "2")]
    pub(super) succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    responses: Vec<ResponseOp>,
}

impl TxnAnswer {
    /// The revision of the store after it.
    pub(super) fn revision(&self) -> i64 {
        self.header.as_ref().map_or(0, |header| header.revision)
    }

    /// The first key that its last operation read.
    pub(super) fn found(&self) -> Option<&KeyValue> {
        self.responses.last()?.range.as_ref()?.kvs.first()
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StatusQuestion {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<Header>,
    #[prost(uint64, tag = "4")]
    pub(super) leader: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(super) enum WatchFilter {
    NoPut = 0,
    NoDelete = 1,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchCreate {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(enumeration = "WatchFilter", repeated, tag = "5")]
    pub(super) filters: Vec<i32>,
    #[prost(int64, tag = "7")]
    pub(super) watch_id: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchCancel {
    #[prost(int64, tag = "1")]
    pub(super) watch_id: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchQuestion {
    #[prost(message, optional, tag = "1")]
    pub(super) create: Option<WatchCreate>,
    #[prost(message, optional, tag = "2")]
    pub(super) cancel: Option<WatchCancel>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    #[prost(message, optional, tag = "2")]
    pub(super) kv: Option<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchAnswer {
    #[prost(int64, tag = "2")]
    pub(super) watch_id: i64,
    #[prost(bool, tag = "3")]
    pub(super) created: bool,
    #[prost(bool, tag = "4")]
    pub(super) canceled: bool,
    #[prost(message, repeated, tag = "11")]
    pub(super) events: Vec<Event>,
}
