//! Single stories, by what they are about.

mod approvals;
mod attempts;
mod bounds;
mod cluster;
mod drains;
mod policies;
mod queues;
mod redeeming;
mod sessions;
mod time;
mod waiting;
