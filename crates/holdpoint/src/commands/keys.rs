//! `holdpoint keys`: who signs the heads of the log, published and changed.

mod change;
mod export;
mod list;
mod reencrypt;

use clap::Subcommand;

use crate::output::{Answer, Failure};

/// Publish, list and change the keys that verify receipts
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    Export(export::ExportArgs),
    Jwks(export::JwksArgs),
    List(list::ListArgs),
    Rotate(change::RotateArgs),
    Retire(change::RetireArgs),
    Revoke(change::RevokeArgs),
    Require(change::RequireArgs),
    Reencrypt(reencrypt::ReencryptArgs),
}

/// Does it.
pub(crate) fn perform(command: &KeysCommand) -> Result<Answer, Failure> {
    match command {
        KeysCommand::Export(args) => export::export(args),
        KeysCommand::Jwks(args) => export::jwks(args),
        KeysCommand::List(args) => list::perform(args),
        KeysCommand::Rotate(args) => change::rotate(args),
        KeysCommand::Retire(args) => change::retire(args),
        KeysCommand::Revoke(args) => change::revoke(args),
        KeysCommand::Require(args) => change::require(args),
        KeysCommand::Reencrypt(args) => reencrypt::perform(args),
    }
}
