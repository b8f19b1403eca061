//! Bytes of everything that is stored or sent between nodes. The one module that names `bincode`.
//!
//! ```text
//! version (1 byte) | fields in their order
//! ```
//!
//! Whole numbers are bincode's variable-length integers, little endian; texts and byte strings have
//! their length in front, fixed arrays have none; an option is one byte, an enum one byte of ours.
//! Decoding refuses another version, bytes left over, lengths beyond the limits, and every value
//! that its type does not hold. Nothing here knows what a field means.
//!
//! Domain types implement no serialisation trait, so no library's derive decides our bytes: the
//! tables in `codec/` do, and golden bytes in the tests hold them.

mod commands;
mod fields;
mod outcomes;
pub mod records;

#[cfg(test)]
mod tests;

use bincode::de::Decoder;
use bincode::enc::write::SizeWriter;
use bincode::enc::{Encoder, EncoderImpl};
use bincode::error::{DecodeError, EncodeError};

use crate::command::{Command, Evaluation};
use crate::entry::Entry;
use crate::limits::{DECODE_BYTES_MAX, ENTRY_BYTES_MAX, ENTRY_COMMANDS_MAX};
use crate::outcome::Outcome;

/// The version in front of everything.
pub const VERSION: u8 = 1;

/// Why bytes are not what they should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// There are no bytes.
    #[error("no bytes where an encoded value should be")]
    Empty,
    /// The bytes are of another version.
    #[error("encoded in version {found}, this build reads version {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// The bytes do not decode.
    #[error("the bytes do not decode")]
    Malformed(#[source] DecodeError),
    /// Bytes are left over.
    #[error("{count} bytes are left over after the value")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// The same value has a shorter encoding, and that is its one.
    #[error("encoded in {found} bytes, its one encoding has {expected}")]
    NotShortest {
        /// How many bytes it took.
        found: usize,
        /// How many it should have taken.
        expected: usize,
    },
    /// The value is beyond a limit.
    #[error("the entry has {found}, at most {max} are accepted")]
    TooLarge {
        /// How many bytes or commands.
        found: usize,
        /// The maximum.
        max: usize,
    },
    /// The value cannot be written.
    #[error("the value cannot be encoded")]
    Unencodable(#[source] EncodeError),
}

/// Something with one encoding.
pub(crate) trait Wire: Sized {
    fn put<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError>;
    fn take<D: Decoder<Context = ()>>(input: &mut D) -> Result<Self, DecodeError>;
}

/// Carries a value of ours through bincode's own traits.
struct Carried<T>(T);

impl<T: Wire> bincode::Encode for Carried<&T> {
    fn encode<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
        self.0.put(out)
    }
}

impl<T: Wire> bincode::Decode<()> for Carried<T> {
    fn decode<D: Decoder<Context = ()>>(input: &mut D) -> Result<Self, DecodeError> {
        T::take(input).map(Self)
    }
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<DECODE_BYTES_MAX>()
}

/// Encodes a value with its version in front.
pub(crate) fn encode<T: Wire>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::encode_to_vec((VERSION, Carried(value)), config()).map_err(CodecError::Unencodable)
}

/// Decodes a value and nothing else.
pub(crate) fn decode<T: Wire>(bytes: &[u8]) -> Result<T, CodecError> {
    let (version, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    if *version != VERSION {
        return Err(CodecError::Version { found: *version });
    }
    let (Carried(value), used) =
        bincode::decode_from_slice(body, config()).map_err(CodecError::Malformed)?;
    match body.len().saturating_sub(used) {
        0 => {}
        count => return Err(CodecError::Trailing { count }),
    }
    // A whole number also reads from more bytes than it needs; nothing else has two encodings. So an
    // encoding that is as long as ours is ours.
    let expected = length(&value)?;
    if used != expected {
        let found = used;
        return Err(CodecError::NotShortest { found, expected });
    }
    Ok(value)
}

/// How many bytes the value's encoding has, without the version.
fn length<T: Wire>(value: &T) -> Result<usize, CodecError> {
    let mut counter = EncoderImpl::new(SizeWriter::default(), config());
    value.put(&mut counter).map_err(CodecError::Unencodable)?;
    Ok(counter.into_writer().bytes_written)
}

/// Encodes the payload of a log entry.
///
/// # Errors
///
/// [`CodecError::TooLarge`] if it has more than [`ENTRY_COMMANDS_MAX`] commands or
/// [`ENTRY_BYTES_MAX`] bytes: propose fewer commands. [`CodecError::Unencodable`] if a list in it is
/// longer than every reader accepts.
pub fn encode_entry(entry: &Entry) -> Result<Vec<u8>, CodecError> {
    at_most(entry.commands.len(), ENTRY_COMMANDS_MAX)?;
    let bytes = encode(entry)?;
    at_most(bytes.len(), ENTRY_BYTES_MAX)?;
    Ok(bytes)
}

/// Decodes the payload of a log entry.
///
/// # Errors
///
/// The bytes are not what [`encode_entry`] of this version writes. A committed entry that does not
/// decode is damage, or of a build that this one must not follow: the node stops.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, CodecError> {
    at_most(bytes.len(), ENTRY_BYTES_MAX)?;
    let entry: Entry = decode(bytes)?;
    at_most(entry.commands.len(), ENTRY_COMMANDS_MAX)?;
    Ok(entry)
}

fn at_most(found: usize, max: usize) -> Result<(), CodecError> {
    if found > max {
        return Err(CodecError::TooLarge { found, max });
    }
    Ok(())
}

/// Encodes one command, to count its bytes or to forward it to the leader.
///
/// # Errors
///
/// As [`encode_entry`].
pub fn encode_command(command: &Command) -> Result<Vec<u8>, CodecError> {
    let bytes = encode(command)?;
    at_most(bytes.len(), ENTRY_BYTES_MAX)?;
    Ok(bytes)
}

/// Decodes one command.
///
/// # Errors
///
/// The bytes are not what [`encode_command`] writes.
pub fn decode_command(bytes: &[u8]) -> Result<Command, CodecError> {
    at_most(bytes.len(), ENTRY_BYTES_MAX)?;
    decode(bytes)
}

/// Encodes an outcome, to send it back to the node that forwarded the command.
///
/// # Errors
///
/// Never for an outcome that [`crate::judge()`] made.
pub fn encode_outcome(outcome: &Outcome) -> Result<Vec<u8>, CodecError> {
    encode(outcome)
}

/// Decodes an outcome.
///
/// # Errors
///
/// The bytes are not what [`encode_outcome`] writes.
pub fn decode_outcome(bytes: &[u8]) -> Result<Outcome, CodecError> {
    decode(bytes)
}

/// Encodes an evaluation, as it is kept beside a statement and hashed into it.
///
/// # Errors
///
/// Never for an evaluation that was decoded.
pub fn encode_evaluation(evaluation: &Evaluation) -> Result<Vec<u8>, CodecError> {
    encode(evaluation)
}

/// Decodes an evaluation that was kept.
///
/// # Errors
///
/// The bytes are not what [`encode_evaluation`] writes.
pub fn decode_evaluation(bytes: &[u8]) -> Result<Evaluation, CodecError> {
    decode(bytes)
}

macro_rules! structs {
    ($($name:ident { $($field:ident),* $(,)? })*) => {$(
        impl crate::codec::Wire for $name {
            fn put<E: bincode::enc::Encoder>(
                &self,
                out: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                let Self { $($field),* } = self;
                $(crate::codec::Wire::put($field, out)?;)*
                Ok(())
            }

            fn take<D: bincode::de::Decoder<Context = ()>>(
                input: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                Ok(Self { $($field: crate::codec::Wire::take(input)?),* })
            }
        }
    )*};
}

macro_rules! enums {
    ($($name:ident {
        $($tag:literal => $variant:ident $(($inner:ident))? $({ $($field:ident),* $(,)? })?,)*
    })*) => {$(
        impl crate::codec::Wire for $name {
            fn put<E: bincode::enc::Encoder>(
                &self,
                out: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                match self {
                    $(Self::$variant $(($inner))? $({ $($field),* })? => {
                        crate::codec::Wire::put(&($tag as u8), out)?;
                        $(crate::codec::Wire::put($inner, out)?;)?
                        $($(crate::codec::Wire::put($field, out)?;)*)?
                    })*
                }
                Ok(())
            }

            fn take<D: bincode::de::Decoder<Context = ()>>(
                input: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                let tag: u8 = crate::codec::Wire::take(input)?;
                match tag {
                    $($tag => {
                        $(let $inner = crate::codec::Wire::take(input)?;)?
                        $($(let $field = crate::codec::Wire::take(input)?;)*)?
                        Ok(Self::$variant $(($inner))? $({ $($field),* })?)
                    })*
                    found => Err(crate::codec::fields::unknown_tag(stringify!($name), found)),
                }
            }
        }
    )*};
}

pub(crate) use enums;
pub(crate) use structs;
