//! Random bytes of the system: salts, incarnations, identities, key seeds.
//!
//! Nothing is ever drawn from a generator of our own.

use holdpoint_receipt::Salt;

/// The system has no randomness to give.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gives no random bytes: {0}")]
pub(crate) struct NoRandomness(getrandom::Error);

/// Draws `N` bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Draws bytes where they are, so that no copy of a secret is left behind.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(NoRandomness)
}

/// Draws the salt of one command.
pub(crate) fn salt() -> Result<Salt, NoRandomness> {
    bytes().map(Salt::from_bytes)
}
