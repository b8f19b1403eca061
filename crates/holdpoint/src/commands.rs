//! One command a file: what it takes, and what it does with it.

pub(crate) mod approvals;
pub(crate) mod authorize;
pub(crate) mod cluster;
pub(crate) mod complete;
pub(crate) mod dev;
pub(crate) mod erase;
pub(crate) mod freeze;
pub(crate) mod get;
pub(crate) mod help;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod permits;
pub(crate) mod policy;
pub(crate) mod receipt;
pub(crate) mod redeem;
pub(crate) mod resolve;
pub(crate) mod retention;
pub(crate) mod revoke;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod session;
pub(crate) mod status;
pub(crate) mod trust;
pub(crate) mod watch;
pub(crate) mod why;
pub(crate) mod witness;
