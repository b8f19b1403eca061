//! Options that a printed command repeats, so that it works where it is pasted.
//!
//! Never repeats what came from the environment or a file: that holds for the next command as well.

use std::fmt::{self, Display, Write as _};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// What says which gate is asked, and by whom.
const OPTIONS: [&str; 4] = ["endpoint", "namespace", "caller", "keys"];

/// The options of the gate that were typed, each with a space before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Again {
    typed: String,
    /// Whether the file of the keys is named by the environment.
    pub(crate) keys_from_environment: bool,
}

impl Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

impl FromArgMatches for Again {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut typed = String::new();
        for option in OPTIONS {
            if matches.value_source(option) != Some(ValueSource::CommandLine) {
                continue;
            }
            for value in matches.get_raw(option).into_iter().flatten() {
                let _ = write!(typed, " --{option} {}", quoted(&value.to_string_lossy()));
            }
        }
        Ok(Self {
            typed,
            keys_from_environment: matches.value_source("keys") == Some(ValueSource::EnvVariable),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// It looks at the options of others and has none itself.
impl Args for Again {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

/// A word as a POSIX shell takes it for itself.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@=+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::GateArgs;

    #[test]
    fn only_what_was_typed_is_repeated() {
        let command = GateArgs::augment_args(Command::new("x"));
        let words = [
            "x",
            "--endpoint",
            "a:1,b:2",
            "--caller",
            "my ci",
            "--deadline",
            "1s",
        ];
        let matches = command.try_get_matches_from(words).unwrap();
        let gate = GateArgs::from_arg_matches(&matches).unwrap();
        assert_eq!(
            gate.again.to_string(),
            " --endpoint a:1 --endpoint b:2 --caller 'my ci'"
        );
        assert_eq!(gate.endpoint.len(), 2);
    }

    #[test]
    fn word_is_quoted_only_where_a_shell_would_change_it() {
        assert_eq!(quoted("plan=@dir/plan.tfplan"), "plan=@dir/plan.tfplan");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
