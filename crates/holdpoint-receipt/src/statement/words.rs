//! The words that members of statements have for values.
//!
//! A word is never given a second meaning and never taken back.

use std::fmt;
use std::str::FromStr;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in a statement.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or(())
            }
        }
    };
}

words! {
    /// What a statement is about.
    Kind {
        /// A PERMIT or a DENY.
        Decision "decision",
        /// A permit was redeemed.
        Redeemed "redeemed",
        /// A redeemed permit has an outcome.
        Completed "completed",
        /// A second outcome contradicts the first.
        Conflict "conflict",
        /// A permit was revoked.
        Revoked "revoked",
        /// A retry under a later policy version replaced a permit.
        Superseded "superseded",
        /// A permit in doubt gave up its bounds.
        Released "released",
        /// A policy version came into force.
        Policy "policy",
        /// A set of signing keys came into force.
        Keys "keys",
        /// A principal approved what a quorum binds.
        Approved "approved",
        /// An approval was taken back before a permit used it.
        ApprovalRevoked "approval_revoked",
        /// A session was closed.
        SessionClosed "session_closed",
        /// Grants were stopped, or go on.
        Frozen "frozen",
        /// A change of policy began to drain permits, or no longer does.
        Drain "drain",
        /// What a permit or a denial was asked for was erased.
        Erased "erased",
    }
}

words! {
    /// How a redeemed permit ended.
    Outcome {
        /// The effect happened.
        Committed "committed",
        /// The effect did not happen.
        Aborted "aborted",
    }
}

words! {
    /// How a change of policy meets the permits that are in its way.
    DrainMode {
        /// It waits until they have ended.
        Drain "drain",
        /// It revokes those that are not redeemed, and waits for the others.
        Revoke "revoke",
        /// It was given up.
        Cancelled "cancelled",
    }
}

words! {
    /// Why another set of signing keys came into force.
    KeysChange {
        /// The first set of the log.
        Founded "founded",
        /// A node made its keys known, or other keys.
        Announced "announced",
        /// The voters of the cluster changed.
        Membership "membership",
        /// A node signs with fresh keys from now on.
        Rotated "rotated",
        /// A node signs no more.
        Retired "retired",
        /// A node that had been retired signs again.
        Restored "restored",
        /// Keys were marked as compromised.
        Revoked "revoked",
        /// Another number of signers is required.
        Required "required",
    }
}
