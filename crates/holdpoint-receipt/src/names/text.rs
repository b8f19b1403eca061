//! Texts with a maximum and an alphabet.

use std::fmt;
use std::str::FromStr;

/// Why a text is not acceptable under its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("{what} is empty")]
    Empty {
        /// What the text should have been.
        what: &'static str,
    },
    /// The text is longer than its maximum.
    #[error("{what} has {bytes} bytes, at most {bytes_max} are accepted")]
    TooLong {
        /// What the text should have been.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The maximum.
        bytes_max: usize,
    },
    /// A character is outside the alphabet.
    #[error("{what} has {character:?} at byte {offset}; accepted are {alphabet}")]
    Character {
        /// What the text should have been.
        what: &'static str,
        /// The first character that does not fit.
        character: char,
        /// Where it stands.
        offset: usize,
        /// What would fit.
        alphabet: &'static str,
    },
}

struct Rule {
    what: &'static str,
    bytes_max: usize,
    alphabet: &'static str,
    accepts: fn(char) -> bool,
}

impl Rule {
    const fn name(what: &'static str) -> Self {
        Self {
            what,
            bytes_max: Name::BYTES_MAX,
            alphabet: "`a` to `z`, `0` to `9`, `.`, `_` and `-`",
            accepts: |c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-'),
        }
    }

    const fn printable(what: &'static str, bytes_max: usize) -> Self {
        let alphabet = "printable ASCII characters";
        Self {
            what,
            bytes_max,
            alphabet,
            accepts: |c| matches!(c, ' '..='~'),
        }
    }

    fn check(&self, text: &str) -> Result<(), NameError> {
        let what = self.what;
        if text.is_empty() {
            return Err(NameError::Empty { what });
        }
        if text.len() > self.bytes_max {
            let (bytes, bytes_max) = (text.len(), self.bytes_max);
            return Err(NameError::TooLong {
                what,
                bytes,
                bytes_max,
            });
        }
        match text
            .char_indices()
            .find(|(_, character)| !(self.accepts)(*character))
        {
            None => Ok(()),
            Some((offset, character)) => Err(NameError::Character {
                what,
                character,
                offset,
                alphabet: self.alphabet,
            }),
        }
    }
}

macro_rules! text_types {
    ($($(#[$doc:meta])* $name:ident, $bytes_max:literal, $rule:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The longest text, in bytes.
            pub const BYTES_MAX: usize = $bytes_max;

            /// Takes a text that fits.
            ///
            /// # Errors
            ///
            /// [`NameError`] says what does not fit, and where.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                const RULE: Rule = $rule;
                let text = text.into();
                RULE.check(&text)?;
                Ok(Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
    )*};
}

text_types! {
    /// A namespace, surface, action or bound: `[a-z0-9._-]{1,64}`.
    Name, 64, Rule::name("the name");
    /// The authenticated principal that asks, such as `loopback:dev`.
    Caller, 256, Rule::printable("the caller", Caller::BYTES_MAX);
    /// On whose behalf the caller says it acts. Evidence, never authority.
    Actor, 256, Rule::printable("the actor", Actor::BYTES_MAX);
    /// Names an attempt of one caller.
    IdempotencyKey, 128, Rule::printable("the idempotency key", IdempotencyKey::BYTES_MAX);
    /// The rendered key of a bounded operation, such as `workspace/prod-eu`.
    BoundKey, 512, Rule::printable("the bound key", BoundKey::BYTES_MAX);
    /// Names one executor process's redemption of a permit.
    RedemptionId, 128, Rule::printable("the redemption id", RedemptionId::BYTES_MAX);
    /// Names the chain of steps that a request belongs to.
    SessionId, 128, Rule::printable("the session", SessionId::BYTES_MAX);
    /// Names a request's place in its session.
    StepId, 128, Rule::printable("the step", StepId::BYTES_MAX);
}
