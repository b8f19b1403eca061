//! Numbers below 2^53.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// The largest number that a statement can carry, 2^53-1.
pub(crate) const NUMBER_MAX: u64 = (1 << 53) - 1;

/// Why a number is not acceptable under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be a whole number from {min} to 9007199254740991 (2^53-1)")]
pub struct NumberError {
    what: &'static str,
    min: u64,
}

/// `value`, if a statement can carry it.
pub(crate) const fn check_number(what: &'static str, value: u64) -> Result<u64, NumberError> {
    if value > NUMBER_MAX {
        Err(NumberError { what, min: 0 })
    } else {
        Ok(value)
    }
}

macro_rules! number_types {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The largest value.
            pub const MAX: Self = Self(NUMBER_MAX);

            /// Takes a number below 2^53.
            ///
            /// # Errors
            ///
            /// The number is 2^53 or more.
            pub const fn new(value: u64) -> Result<Self, NumberError> {
                match check_number($what, value) {
                    Ok(value) => Ok(Self(value)),
                    Err(error) => Err(error),
                }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = NumberError;

            fn from_str(text: &str) -> Result<Self, NumberError> {
                text.parse().ok().and_then(|value| Self::new(value).ok())
                    .ok_or(NumberError { what: $what, min: 0 })
            }
        }
    )*};
}

number_types! {
    /// Orders the permits of a namespace: `epoch << 40 | counter`.
    ///
    /// It rises strictly over all permits, so a downstream store can refuse a stale writer.
    Fence, "the fence";
    /// Counts the activations of a namespace, from 1. Version 0 means that none is active.
    PolicyVersion, "the policy version";
    /// Milliseconds since the Unix epoch, as the log says it. It never goes back.
    ClusterTime, "the cluster time";
    /// How many leaves a namespace's log of statements has.
    TreeSize, "the tree size";
}

/// A node of the cluster, from 1. Never used a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(NonZeroU64);

impl NodeId {
    /// Takes a number from 1 to 2^53-1.
    ///
    /// # Errors
    ///
    /// The number is 0, or 2^53 or more.
    pub fn new(value: u64) -> Result<Self, NumberError> {
        let refused = NumberError {
            what: "the node id",
            min: 1,
        };
        let value = NonZeroU64::new(value).ok_or(refused)?;
        if value.get() > NUMBER_MAX {
            Err(refused)
        } else {
            Ok(Self(value))
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl FromStr for NodeId {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        Self::new(text.parse().unwrap_or_default())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Fence {
    const COUNTER_BITS: u32 = 40;
    const COUNTER_MAX: u64 = (1 << Self::COUNTER_BITS) - 1;
    /// The largest epoch; 13 bits are left of 53.
    pub const EPOCH_MAX: u64 = NUMBER_MAX >> Self::COUNTER_BITS;

    /// The value before the first fence of `epoch`, which no permit carries; none if the epoch is
    /// beyond [`Self::EPOCH_MAX`].
    #[must_use]
    pub const fn before_first_of(epoch: u64) -> Option<Self> {
        if epoch > Self::EPOCH_MAX {
            None
        } else {
            Some(Self(epoch << Self::COUNTER_BITS))
        }
    }

    /// The next fence of the same epoch; none if the epoch has no more.
    ///
    /// The counter never overflows into the epoch: a restore may have taken the next one.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.counter() == Self::COUNTER_MAX {
            None
        } else {
            Some(Self(self.0.wrapping_add(1)))
        }
    }

    /// The epoch, which a restore raises.
    #[must_use]
    pub const fn epoch(self) -> u64 {
        self.0 >> Self::COUNTER_BITS
    }

    /// The place within the epoch, from 1.
    #[must_use]
    pub const fn counter(self) -> u64 {
        self.0 & Self::COUNTER_MAX
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl PolicyVersion {
    /// The version of the next activation; none if there are no more.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.0 == NUMBER_MAX {
            None
        } else {
            Some(Self(self.0.wrapping_add(1)))
        }
    }
}

impl fmt::Display for PolicyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl ClusterTime {
    /// `duration_ms` later; [`Self::MAX`] if that is beyond it.
    #[must_use]
    pub const fn saturating_add(self, duration_ms: u64) -> Self {
        let sum = self.0.saturating_add(duration_ms);
        if sum > NUMBER_MAX {
            Self::MAX
        } else {
            Self(sum)
        }
    }

    /// Milliseconds from `earlier` to this; 0 if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// RFC 3339 in UTC with milliseconds, such as `2026-11-22T14:12:05.231Z`.
impl fmt::Display for ClusterTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY_MS: u64 = 86_400_000;
        let (days, in_day) = (self.0 / DAY_MS, self.0 % DAY_MS);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
        let (second, milli) = (in_day / 1_000 % 60, in_day % 1_000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
        )
    }
}

/// The date in the Gregorian calendar, `days` after 1970-01-01.
///
/// Counts in eras of 400 years that begin on 1 March, so that a leap day is an era's or year's last.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "days is at most 2^53 / 86,400,000, so no sum reaches 2^32 and no difference is below 0"
)]
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}
