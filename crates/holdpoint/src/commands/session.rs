//! `holdpoint session close`: refuses what is still to come in a session.

use clap::{Args, Subcommand};
use holdpoint_receipt::{Digest, Salt, SessionId};

use crate::gate::{GateArgs, block_on, call_failed};
use crate::output::{Answer, Failure, optional};
use crate::progress::showing;

/// Close a session
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    Close(CloseArgs),
}

/// Refuse every further step of a session, at authorize and at redeem
///
/// For whoever first named the session, and for operators. It cannot be opened again. Permits that
/// were redeemed are completed as ever.
#[derive(Debug, Args)]
pub(crate) struct CloseArgs {
    /// The session
    #[arg(value_name = "ID", value_parser = parse_session)]
    session: SessionId,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

fn parse_session(text: &str) -> Result<SessionId, String> {
    SessionId::new(text).map_err(|error| format!("`{text}` is no session: {error}"))
}

/// Closes it, and keeps the proof.
pub(crate) fn perform(command: &SessionCommand) -> Result<Answer, Failure> {
    let SessionCommand::Close(args) = command;
    let session = args.session.as_str();
    block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        if args.dry_run {
            return Ok(Answer::new("dry-run")
                .line(format!(
                    "session {session} would be closed if it belongs to {} or to nobody; nothing was \
                     changed",
                    reached.gate.caller()
                ))
                .member("session", session));
        }
        let call = reached.gate.close_session(session);
        let closed = showing("closing the session", call)
            .await
            .map_err(|error| call_failed(&error, &args.gate.again))?;
        let was = if closed.is_replay { "   (before)" } else { "" };
        let answer = Answer::new("session-close").line(format!("CLOSED  {session}{was}"));
        let hash = closed.receipt.hash().to_string();
        let name = format!("session-{}", hash.get(..16).unwrap_or(&hash));
        Ok(reached
            .shelf
            .kept(answer, &name, &closed.receipt)
            .member("session", session)
            .member("salt", optional(closed.salt.as_ref().map(hex)))
            .member("replay", closed.is_replay))
    })
}

/// A salt as scripts take it up.
fn hex(salt: &Salt) -> String {
    // A digest is written as the same 64 digits.
    Digest::from_bytes(*salt.as_bytes()).to_string()
}
