//! Identifiers of 16 bytes.

use std::fmt;
use std::str::FromStr;

use crate::digest::{parse_hex, write_hex};

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a cluster id.
    #[error("not a cluster id: give exactly 32 lower-case hexadecimal digits")]
    Cluster,
    /// Not a permit id.
    #[error("not a permit id: give `pmt_` and 26 characters out of `a` to `z` and `2` to `7`")]
    Permit,
}

/// One cluster history: the authority that receipts name. Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId([u8; 16]);

impl ClusterId {
    /// Takes the 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for ClusterId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text).map(Self).ok_or(IdError::Cluster)
    }
}

/// A permit. Shown as `pmt_` and 26 characters of lower-case base32 (RFC 4648) without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermitId([u8; 16]);

const PREFIX: &str = "pmt_";
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// 128 bits are 25 characters of 5 bits and one of 3 bits, which stand at its top.
const FULL_CHARACTERS: u32 = 25;

impl PermitId {
    /// Takes the 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The character for the low five bits of `value`.
fn character(value: u128) -> char {
    let place = usize::try_from(value & 31).unwrap_or_default();
    char::from(ALPHABET.get(place).copied().unwrap_or_default())
}

impl fmt::Display for PermitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        let mut text = String::from(PREFIX);
        for place in 1..=FULL_CHARACTERS {
            text.push(character(
                value >> 128_u32.saturating_sub(place.saturating_mul(5)),
            ));
        }
        text.push(character(value << 2));
        f.pad(&text)
    }
}

impl fmt::Debug for PermitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PermitId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix(PREFIX).ok_or(IdError::Permit)?.as_bytes();
        let (last, full) = digits.split_last().ok_or(IdError::Permit)?;
        if full.len() != FULL_CHARACTERS as usize {
            return Err(IdError::Permit);
        }
        let mut value: u128 = 0;
        for digit in full {
            value = value << 5 | base32_digit(*digit)?;
        }
        let last = base32_digit(*last)?;
        // The two spare bits have one value, so that an id has one text.
        if last & 3 != 0 {
            return Err(IdError::Permit);
        }
        Ok(Self((value << 3 | last >> 2).to_be_bytes()))
    }
}

fn base32_digit(byte: u8) -> Result<u128, IdError> {
    let place = ALPHABET
        .iter()
        .position(|known| *known == byte)
        .ok_or(IdError::Permit)?;
    Ok(place as u128)
}
