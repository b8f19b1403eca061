//! Names that nobody else draws, and the spread of pauses.

use std::fmt::Write as _;

/// The operating system gave no randomness.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the operating system gave no randomness: {0}")]
pub struct RandomnessError(String);

impl RandomnessError {
    /// What was drawn is not acceptable as the name that it should be.
    pub(crate) fn unfit(error: &impl ToString) -> Self {
        Self(error.to_string())
    }
}

/// 128 random bits as 32 hexadecimal digits: an idempotency key or a redemption id.
pub(crate) fn draw_name() -> Result<String, RandomnessError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| RandomnessError(error.to_string()))?;
    Ok(bytes
        .iter()
        .fold(String::with_capacity(32), |mut name, byte| {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
            name
        }))
}

/// Any number, to spread pauses. Without randomness they are merely not spread.
pub(crate) fn draw_jitter() -> u32 {
    getrandom::u32().unwrap_or_default()
}
