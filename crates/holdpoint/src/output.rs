//! What a command says when it ends: data on stdout, talk on stderr.
//!
//! Never prints anything but the one object to stdout with `--output json`, and never colours
//! anything, so there is nothing for `NO_COLOR` to switch off.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::exit::Exit;

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// One JSON object on stdout; whole numbers of 64 bits are strings.
    Json,
}

/// A finished command.
#[derive(Debug)]
pub(crate) struct Answer {
    exit: Exit,
    schema: &'static str,
    members: Map<String, Value>,
    data: String,
    talk: String,
    is_silent: bool,
}

impl Answer {
    /// A success that says nothing yet. `schema` is the command with dashes, such as `policy-check`.
    pub(crate) fn new(schema: &'static str) -> Self {
        Self {
            exit: Exit::Success,
            schema,
            members: Map::new(),
            data: String::new(),
            talk: String::new(),
            is_silent: false,
        }
    }

    /// The end of a stream that has said everything itself.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self {
            exit,
            is_silent: true,
            ..Self::new("stream")
        }
    }

    /// Ends with another code.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds a member to the JSON object.
    pub(crate) fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a line of data for people.
    pub(crate) fn line(mut self, line: impl Display) -> Self {
        self.data.push_str(&line.to_string());
        self.data.push('\n');
        self
    }

    /// Adds a line of talk, such as what to do next.
    pub(crate) fn talk(mut self, line: impl Display) -> Self {
        self.talk.push_str(&line.to_string());
        self.talk.push('\n');
        self
    }

    /// Adds a line of talk where there is data that it is about.
    pub(crate) fn talk_if_data(self, line: impl Display) -> Self {
        if self.data.is_empty() {
            self
        } else {
            self.talk(line)
        }
    }

    /// The object, as `--output json` prints it.
    pub(crate) fn object(&self) -> Value {
        let mut members = self.members.clone();
        members.insert("schema".to_owned(), schema(self.schema));
        Value::Object(members)
    }

    /// Prints it and says how to end.
    pub(crate) fn print(self, format: Format) -> Exit {
        if self.is_silent {
            return self.exit;
        }
        let printed = match format {
            Format::Human => print(&self.data),
            Format::Json => print(&format!("{}\n", self.object())),
        };
        if format == Format::Human {
            talk(&self.talk);
        }
        // Whatever else the code says counts more than that it could not be printed.
        match (printed, self.exit) {
            (Err(Unprinted), Exit::Success) => Exit::Failure,
            (_, exit) => exit,
        }
    }
}

/// A command that did not do what it was asked for, with the causes that the error names.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    next: Option<String>,
}

impl Failure {
    /// Takes the error with its causes.
    pub(crate) fn new(exit: Exit, error: &dyn Error) -> Self {
        Self {
            exit,
            message: with_causes(error),
            next: None,
        }
    }

    /// Says it in words.
    pub(crate) fn says(exit: Exit, message: impl Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            next: None,
        }
    }

    /// A wrong command line that only looking at the values together shows.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::says(Exit::Usage, message)
    }

    /// Adds what to do next, where there is something.
    pub(crate) fn next(mut self, next: Option<String>) -> Self {
        self.next = next.or(self.next);
        self
    }

    /// Adds where a value comes from that nobody typed.
    pub(crate) fn of_variable(self, name: &str) -> Self {
        let message = format!("{} (from {name})", self.message);
        Self { message, ..self }
    }

    /// How the process ends.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// What is wrong, with its causes.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The same failure where it means another exit code.
    pub(crate) fn or_exit(mut self, exit: Exit) -> Self {
        if self.exit == Exit::Failure {
            self.exit = exit;
        }
        self
    }

    /// Prints it once and says how to end.
    pub(crate) fn print(self, format: Format) -> Exit {
        self.tell();
        match format {
            Format::Human => self.exit,
            Format::Json => self.print_object(),
        }
    }

    /// Says it on stderr.
    pub(crate) fn tell(&self) {
        tell(format!("error: {}", self.message));
        if let Some(next) = &self.next {
            tell(format!("next: {next}"));
        }
    }

    /// Prints only the object of `--output json`, and says how to end.
    pub(crate) fn print_object(&self) -> Exit {
        let object = serde_json::json!({
            "schema": schema("error"),
            "error": self.message,
            "next": self.next,
            "exit_code": self.exit.code(),
        });
        let _ = print(&format!("{object}\n"));
        self.exit
    }
}

/// One failure for "why": everything that ends a command with exit code 1.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Exit::Failure, &error)
    }
}

/// The error and what caused it, each said once.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// Says something to the person at the terminal while the command goes on.
pub(crate) fn tell(line: impl Display) {
    talk(&format!("{line}\n"));
}

/// Where stderr cannot be written there is nobody to tell that.
fn talk(text: &str) {
    let _ = write(io::stderr(), text);
}

/// Data that did not come out. It was said on stderr.
struct Unprinted;

fn print(text: &str) -> Result<(), Unprinted> {
    match write(io::stdout(), text) {
        Err(error) if unwritable(&error) => Err(Unprinted),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether data is lost, which is said then. A reader that went away, such as `head`, has all it wants.
pub(crate) fn unwritable(error: &io::Error) -> bool {
    let is_lost = error.kind() != io::ErrorKind::BrokenPipe;
    if is_lost {
        tell(format!("error: cannot write to stdout: {error}"));
    }
    is_lost
}

fn write(mut to: impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}

fn schema(command: &str) -> Value {
    Value::String(format!("holdpoint.{command}/1"))
}

/// Prints a line of a stream at once. False if nobody reads any more.
///
/// # Errors
///
/// Data would be lost.
pub(crate) fn stream(line: impl Display) -> Result<bool, Failure> {
    match write(io::stdout(), &format!("{line}\n")) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::says(
            Exit::Failure,
            format!("cannot write to stdout: {error}"),
        )),
    }
}

/// A 64-bit number as JSON carries it without loss.
pub(crate) fn number(value: u64) -> Value {
    Value::String(value.to_string())
}

/// A text, or null where there is none.
pub(crate) fn optional(value: Option<impl Display>) -> Value {
    value.map_or(Value::Null, |value| Value::String(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `x`")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("no such file")]
    struct Inner;

    #[test]
    fn error_is_told_with_its_causes_each_once() {
        assert_eq!(with_causes(&Outer(Inner)), "cannot read `x`: no such file");
        let failure = Failure::from(Outer(Inner));
        assert_eq!(failure.message(), "cannot read `x`: no such file");
        assert_eq!(failure.exit(), Exit::Failure);
    }

    #[test]
    fn object_names_its_schema_and_carries_large_numbers_as_text() {
        let answer = Answer::new("status").member("term", number(u64::MAX));
        let object = answer.object();
        assert_eq!(object["schema"], "holdpoint.status/1");
        assert_eq!(object["term"], "18446744073709551615");
    }
}
