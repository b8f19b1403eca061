//! `holdpoint policy`: bundles, checked offline and put in force.

mod cluster;
mod offline;

use clap::Subcommand;

use crate::output::{Answer, Failure};

/// Check, test, store and activate policy bundles
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    Check(offline::BundleArgs),
    Test(offline::TestArgs),
    Put(cluster::PutArgs),
    Activate(cluster::ActivateArgs),
    List(cluster::ListArgs),
    Get(cluster::GetArgs),
}

/// Does it.
pub(crate) fn perform(command: &PolicyCommand) -> Result<Answer, Failure> {
    match command {
        PolicyCommand::Check(args) => offline::check(args),
        PolicyCommand::Test(args) => offline::test(args),
        PolicyCommand::Put(args) => cluster::put(args),
        PolicyCommand::Activate(args) => cluster::activate(args),
        PolicyCommand::List(args) => cluster::list(args),
        PolicyCommand::Get(args) => cluster::get(args),
    }
}
