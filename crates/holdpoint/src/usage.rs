//! What is said where no command begins: a wrong command line, help, the version.
//!
//! Never reads a command line as a command; clap has done that, and this only prints what came of it.

use std::ffi::OsString;
use std::io;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command as Clap, Error};

use crate::args;
use crate::exit::Exit;
use crate::output::{Answer, Failure, Format, tell, unwritable};

/// Prints what clap says of these words, and says how to end.
pub(crate) fn print(error: &Error, words: &[OsString]) -> Exit {
    let format = format_of(words);
    if error.use_stderr() {
        return refuse(error, words, format);
    }
    let text = error.render().to_string();
    match (format, error.kind()) {
        (Format::Human, _) => match error.print() {
            Err(fault) if unwritable(&fault) => Exit::Failure,
            Ok(()) | Err(_) => Exit::Success,
        },
        (Format::Json, ErrorKind::DisplayVersion) => Answer::new("version")
            .member("version", env!("CARGO_PKG_VERSION"))
            .print(format),
        (Format::Json, _) => Answer::new("help").member("help", text).print(format),
    }
}

fn refuse(error: &Error, words: &[OsString], format: Format) -> Exit {
    // A reader of stderr that went away leaves nobody to tell.
    let _: io::Result<()> = error.print();
    let mut failure = Failure::usage(message(error));
    if let Some(variable) = variable(error, words) {
        tell(format!(
            "note: the value is that of {variable} in the environment"
        ));
        failure = failure.of_variable(&variable);
    }
    if format == Format::Json {
        let _ = failure.print_object();
    }
    Exit::Usage
}

/// The first paragraph of what clap says, on one line.
fn message(error: &Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a command is missing; `holdpoint --help` lists them".to_owned();
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
    lines.join(" ")
}

/// The words that are this program's own, and not those of a command that `run` starts.
fn own(words: &[OsString]) -> impl Iterator<Item = &OsString> {
    words.iter().take_while(|word| *word != "--")
}

/// The format that the words ask for, as far as words that make no command can ask.
fn format_of(words: &[OsString]) -> Format {
    let follows = own(words)
        .zip(own(words).skip(1))
        .any(|(option, value)| option == "--output" && value == "json");
    if follows || own(words).any(|word| word == "--output=json") {
        Format::Json
    } else {
        Format::Human
    }
}

/// The environment variable that the refused value comes from; none if it was typed.
fn variable(error: &Error, words: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let option = argument.split_whitespace().next()?;
    let typed = own(words).any(|word| {
        let word = word.to_string_lossy();
        word.split('=').next() == Some(option)
    });
    if typed {
        return None;
    }
    variable_of(&args::tree(), option.strip_prefix("--")?)
}

fn variable_of(command: &Clap, long: &str) -> Option<String> {
    let here = command
        .get_arguments()
        .find(|argument| argument.get_long() == Some(long))
        .and_then(|argument| argument.get_env());
    match here {
        Some(variable) => Some(variable.to_string_lossy().into_owned()),
        None => command
            .get_subcommands()
            .find_map(|sub| variable_of(sub, long)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_guarded_command_do_not_choose_the_format() {
        let format = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            format_of(&words)
        };
        assert_eq!(format("holdpoint x --output json"), Format::Json);
        assert_eq!(format("holdpoint --output=json x"), Format::Json);
        assert_eq!(format("holdpoint x --output human"), Format::Human);
        assert_eq!(format("holdpoint run -- tool --output json"), Format::Human);
    }

    #[test]
    fn variable_of_an_option_is_found_below_any_command() {
        let tree = args::tree();
        assert_eq!(
            variable_of(&tree, "endpoint").as_deref(),
            Some("HOLDPOINT_ENDPOINTS")
        );
        assert_eq!(variable_of(&tree, "surface"), None);
    }
}
