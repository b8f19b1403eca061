//! `holdpoint policy`: bundles, checked offline, tried on what was decided, and put in force.

mod activate;
mod cluster;
mod diff;
mod history;
mod offline;
mod shadow;
mod simulate;

use clap::Subcommand;

use crate::output::{Answer, Failure};

/// Check, test, store and activate policy bundles
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    Check(offline::BundleArgs),
    Test(offline::TestArgs),
    Diff(diff::DiffArgs),
    Simulate(simulate::SimulateArgs),
    Put(cluster::PutArgs),
    Activate(activate::ActivateArgs),
    Rollback(activate::RollbackArgs),
    CancelDrain(activate::CancelDrainArgs),
    History(history::HistoryArgs),
    List(cluster::ListArgs),
    Get(cluster::GetArgs),
    Delete(cluster::DeleteArgs),
    #[command(subcommand)]
    Shadow(shadow::ShadowCommand),
}

/// Does it.
pub(crate) fn perform(command: &PolicyCommand) -> Result<Answer, Failure> {
    match command {
        PolicyCommand::Check(args) => offline::check(args),
        PolicyCommand::Test(args) => offline::test(args),
        PolicyCommand::Diff(args) => diff::perform(args),
        PolicyCommand::Simulate(args) => simulate::perform(args),
        PolicyCommand::Put(args) => cluster::put(args),
        PolicyCommand::Activate(args) => activate::perform(args),
        PolicyCommand::Rollback(args) => activate::rollback(args),
        PolicyCommand::CancelDrain(args) => activate::cancel_drain(args),
        PolicyCommand::History(args) => history::perform(args),
        PolicyCommand::List(args) => cluster::list(args),
        PolicyCommand::Get(args) => cluster::get(args),
        PolicyCommand::Delete(args) => cluster::delete(args),
        PolicyCommand::Shadow(command) => shadow::perform(command),
    }
}
