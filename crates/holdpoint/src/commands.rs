//! One command a file: what it takes, and what it does with it.

pub(crate) mod authorize;
pub(crate) mod complete;
pub(crate) mod dev;
pub(crate) mod get;
pub(crate) mod help;
pub(crate) mod keys;
pub(crate) mod policy;
pub(crate) mod receipt;
pub(crate) mod redeem;
pub(crate) mod revoke;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod status;
