//! Single stories, by what they are about.

mod approvals;
mod attempts;
mod bounds;
mod cluster;
mod disputes;
mod doubt;
mod drains;
mod erasure;
mod keys;
mod offers;
mod offline;
mod once;
mod policies;
mod queues;
mod redeeming;
mod retention;
mod sessions;
mod sums;
mod time;
mod waiting;
