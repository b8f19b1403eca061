//! What the exit code says: one enum, from which the table of `holdpoint help exit-codes` and of
//! `docs/reference/exit-codes.md` is made.
//!
//! Never gives one code two meanings. A command that `run` started may use these numbers too, which
//! is why `--result FILE` exists.

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The code, or how it is made.
    pub(crate) code: &'static str,
    /// A word for it.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) meaning: &'static str,
}

macro_rules! exits {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal $meaning:literal;)*) => {
        /// How this process ends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Exit {
            $(#[doc = $meaning] $variant,)*
            /// The command that `run` started ended with this code.
            Child(u8),
            /// That command, or `run` itself before anything was started, ended by this signal.
            Signal(u8),
        }

        impl Exit {
            /// The code for the operating system.
            pub(crate) const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Child(code) => code,
                    Self::Signal(number) => number.saturating_add(128),
                }
            }
        }

        /// The table, in the order of the codes.
        pub(crate) const TABLE: &[Row] = &[
            $(Row { code: stringify!($code), name: $name, meaning: $meaning },)*
            Row {
                code: "128+n",
                name: "signal",
                meaning: "`run`: the command died of signal n, or n came before it was started.",
            },
            Row {
                code: "other",
                name: "child",
                meaning: "`run`: the exit code of the command itself.",
            },
        ];
    };
}

exits! {
    Success = 0 "success" "It is done; for `authorize`, PERMIT.";
    Failure = 1 "failure" "It failed, or the gate refused it; the message says why.";
    Usage = 2 "usage" "The command line is wrong; nothing was asked.";
    Degraded = 10 "degraded or invalid" "`status`: decisions go on, but not every node takes part. `receipt verify`, `receipt chain`, `receipt open`, `log verify`, `why`: INVALID. `log consistency`, `receipt refresh`, `receipt disclose`: history was rewritten. `policy activate --wait`: it still drains.";
    NoQuorum = 11 "no quorum or unverifiable" "`status`: nothing can be decided. `receipt verify`, `receipt chain`, `receipt open`, `log verify`: UNVERIFIABLE with these keys. `trust verify`: UNVERIFIABLE.";
    Denied = 120 "DENY" "The gate decided against; nothing was run.";
    Silence = 121 "SILENCE" "There is no decision, or none that can be believed; nothing was run.";
    Unreachable = 122 "unreachable" "No node could be reached; nothing left this host, and nothing was run.";
    StalePermit = 123 "stale permit" "The permit could not be redeemed; nothing was run.";
    TimedOut = 124 "time-out" "`run`: the command was stopped because the time of `--timeout` passed.";
    OwnFault = 125 "own fault" "`run`: it could not be prepared; nothing was asked and nothing was run.";
    NotExecutable = 126 "not executable" "`run`: the command cannot be executed, which is found out before anybody is asked where a look at the file can tell; nothing was run.";
    NotFound = 127 "not found" "`run`: the command, or its interpreter, does not exist, which is found out before anybody is asked; nothing was run.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_table_rise_and_none_is_said_twice() {
        let numbers: Vec<u8> = TABLE
            .iter()
            .filter_map(|row| row.code.parse().ok())
            .collect();
        assert_eq!(numbers.len() + 2, TABLE.len());
        assert!(numbers.is_sorted_by(|left, right| left < right));
    }

    #[test]
    fn signal_is_told_as_a_shell_tells_it() {
        assert_eq!(Exit::Signal(15).code(), 143);
        assert_eq!(Exit::Child(7).code(), 7);
        assert_eq!(Exit::NotFound.code(), 127);
    }
}
