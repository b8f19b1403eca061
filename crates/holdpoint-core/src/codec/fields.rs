//! Encodings of numbers, texts, lists and the words of `holdpoint-receipt`.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use holdpoint_receipt::{
    Actor, BoundKey, Caller, ClusterId, ClusterTime, Digest, Fence, IdempotencyKey, Name, NodeId,
    PermitId, PolicyVersion, Reason, RedemptionId, Salt, SessionId, StepId,
};

use super::Wire;
use crate::limits::LIST_ITEMS_MAX;
use crate::position::GroupId;

pub(super) fn unknown_tag(what: &'static str, found: u8) -> DecodeError {
    DecodeError::OtherString(format!("{what} has no variant {found}"))
}

fn unfit(error: impl std::fmt::Display) -> DecodeError {
    DecodeError::OtherString(error.to_string())
}

/// What bincode encodes by itself.
macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn put<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
                bincode::Encode::encode(self, out)
            }

            fn take<D: Decoder<Context = ()>>(input: &mut D) -> Result<Self, DecodeError> {
                bincode::Decode::decode(input)
            }
        }
    )*};
}

plain!(u8, u16, u32, u64, bool, String, [u8; 16], [u8; 32]);

/// What stands for a value of another type.
macro_rules! through {
    ($($type:ty: $via:ty, $write:expr, $read:expr;)*) => {$(
        impl Wire for $type {
            fn put<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
                let write: fn(&$type) -> $via = $write;
                write(self).put(out)
            }

            fn take<D: Decoder<Context = ()>>(input: &mut D) -> Result<Self, DecodeError> {
                let read: fn($via) -> Result<$type, DecodeError> = $read;
                read(Wire::take(input)?)
            }
        }
    )*};
}

through! {
    GroupId: u32, |group| group.0, |number| Ok(Self(number));
    Digest: [u8; 32], |digest| *digest.as_bytes(), |bytes| Ok(Self::from_bytes(bytes));
    Salt: [u8; 32], |salt| *salt.as_bytes(), |bytes| Ok(Self::from_bytes(bytes));
    ClusterId: [u8; 16], |id| *id.as_bytes(), |bytes| Ok(Self::from_bytes(bytes));
    PermitId: [u8; 16], |id| *id.as_bytes(), |bytes| Ok(Self::from_bytes(bytes));
    Fence: u64, |fence| fence.get(), |number| Self::new(number).map_err(unfit);
    PolicyVersion: u64, |version| version.get(), |number| Self::new(number).map_err(unfit);
    ClusterTime: u64, |time| time.get(), |number| Self::new(number).map_err(unfit);
    NodeId: u64, |node| node.get(), |number| Self::new(number).map_err(unfit);
    Reason: u16, |reason| reason.code(), |code| Self::from_code(code)
        .ok_or_else(|| unfit(format!("there is no reason {code}")));
}

/// Texts with a type of their own.
macro_rules! texts {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn put<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
                bincode::Encode::encode(self.as_str(), out)
            }

            fn take<D: Decoder<Context = ()>>(input: &mut D) -> Result<Self, DecodeError> {
                Self::new(String::take(input)?).map_err(unfit)
            }
        }
    )*};
}

texts!(
    Name,
    Caller,
    Actor,
    IdempotencyKey,
    BoundKey,
    RedemptionId,
    SessionId,
    StepId
);

/// Bytes of any length, told from lists so that they are copied as a whole.
impl Wire for Vec<u8> {
    fn put<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
        bincode::Encode::encode(self, out)
    }

    fn take<D: Decoder<Context = ()>>(input: &mut D) -> Result<Self, DecodeError> {
        bincode::Decode::decode(input)
    }
}

/// A list's items. A trait of its own, because bytes are not encoded as a list.
pub(super) trait Item: Wire {}

macro_rules! items {
    ($($type:ty),* $(,)?) => {$( impl Item for $type {} )*};
}

items!(
    String,
    PermitId,
    NodeId,
    Name,
    Digest,
    (NodeId, ClusterTime),
    Option<crate::record::PermitState>,
    crate::command::Command,
    crate::command::BoundClaim,
    crate::outline::SurfaceOutline,
    crate::record::Contradiction,
    crate::outline::BoundOutline,
    crate::outline::Executor,
    crate::record::RefusedBound,
    crate::record::StatementRef,
    crate::command::ApprovalFact,
    crate::command::ApprovalName,
    crate::command::MissingApproval,
    crate::command::Ticket,
    crate::record::SignerRecord,
    (Name, crate::outcome::Statement),
);

fn too_many(count: usize) -> String {
    format!("{count} items, at most {LIST_ITEMS_MAX} are accepted")
}

impl<T: Item> Wire for Vec<T> {
    fn put<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
        // What nobody can read must not be written: it could be committed before anybody tries.
        if self.len() > LIST_ITEMS_MAX {
            return Err(EncodeError::OtherString(too_many(self.len())));
        }
        // usize has at most 64 bits on every target that exists, so this loses nothing.
        (self.len() as u64).put(out)?;
        self.iter().try_for_each(|item| item.put(out))
    }

    fn take<D: Decoder<Context = ()>>(input: &mut D) -> Result<Self, DecodeError> {
        let count = usize::try_from(u64::take(input)?).unwrap_or(usize::MAX);
        if count > LIST_ITEMS_MAX {
            return Err(unfit(too_many(count)));
        }
        // Grown item by item: a length that lies costs no memory.
        let mut items = Self::new();
        for _ in 0..count {
            items.push(T::take(input)?);
        }
        Ok(items)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
        match self {
            None => 0_u8.put(out),
            Some(value) => {
                1_u8.put(out)?;
                value.put(out)
            }
        }
    }

    fn take<D: Decoder<Context = ()>>(input: &mut D) -> Result<Self, DecodeError> {
        match u8::take(input)? {
            0 => Ok(None),
            1 => T::take(input).map(Some),
            found => Err(unknown_tag("Option", found)),
        }
    }
}

impl<T: Wire> Wire for Box<T> {
    fn put<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
        T::put(self, out)
    }

    fn take<D: Decoder<Context = ()>>(input: &mut D) -> Result<Self, DecodeError> {
        T::take(input).map(Self::new)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
        self.0.put(out)?;
        self.1.put(out)
    }

    fn take<D: Decoder<Context = ()>>(input: &mut D) -> Result<Self, DecodeError> {
        Ok((A::take(input)?, B::take(input)?))
    }
}
