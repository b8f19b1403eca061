//! `holdpoint trust`: keys of a cluster under the signatures of roots that are kept offline.
//!
//! ```text
//! new-root (each root, offline) ─▶ roots file ─▶ init (keys of the cluster) ─▶ sign (each root, offline)
//!                                                                             ─▶ verify (everybody)
//! ```
//!
//! Only `init` asks a gate, and only where it is given no file of keys. A node never has a root key.

mod init;
mod new_root;
mod show;
mod sign;
mod verify;

use clap::Subcommand;
use holdpoint_receipt::trust::TrustBundle;

use crate::output::{Answer, Failure};

/// Make, sign and verify trust bundles: key sets under offline roots
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    NewRoot(new_root::NewRootArgs),
    Init(init::InitArgs),
    Sign(sign::SignArgs),
    Show(show::ShowArgs),
    Verify(verify::VerifyArgs),
}

/// Does it.
pub(crate) fn perform(command: &TrustCommand) -> Result<Answer, Failure> {
    match command {
        TrustCommand::NewRoot(args) => new_root::perform(args),
        TrustCommand::Init(args) => init::perform(args),
        TrustCommand::Sign(args) => sign::perform(args),
        TrustCommand::Show(args) => show::perform(args),
        TrustCommand::Verify(args) => verify::perform(args),
    }
}

/// How many of its own roots are said to have signed, and how many must.
fn signed(bundle: &TrustBundle) -> (usize, u32) {
    let content = bundle.content();
    let roots = content.roots.iter();
    let count = roots.filter(|root| bundle.is_signed_by(root)).count();
    (count, content.threshold)
}

/// The members that every answer about a bundle has.
fn members(answer: Answer, bundle: &TrustBundle) -> Answer {
    let content = bundle.content();
    let (signed_count, threshold) = signed(bundle);
    answer
        .member("authority", content.authority.to_string())
        .member("version", content.version.to_string())
        .member("expires_at_ms", content.expires_at_ms.to_string())
        .member("digest", bundle.digest().to_string())
        .member("signed", signed_count)
        .member("threshold", threshold)
}
