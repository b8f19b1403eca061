//! What `run` says of itself in a file: `--result FILE`.
//!
//! The exit code can be the command's own, so a program that must know reads this.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use holdpoint_receipt::{Fence, PermitId};

use super::child::How;
use crate::exit::Exit;
use crate::output::{Answer, Failure, number, optional};

/// The last step that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Command, files and configuration; nothing was asked.
    Prepare,
    /// Asking for a permit.
    Authorize,
    /// Redeeming it.
    Redeem,
    /// The command.
    Run,
    /// Reporting the outcome.
    Complete,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Authorize => "authorize",
            Self::Redeem => "redeem",
            Self::Run => "run",
            Self::Complete => "complete",
        }
    }
}

/// How far it came.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) stage: Stage,
    pub(crate) decision: Option<&'static str>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) decided: Option<&'static str>,
    pub(crate) key: Option<String>,
    pub(crate) permit: Option<(PermitId, Fence)>,
    pub(crate) child: Option<How>,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) receipt: Option<PathBuf>,
}

impl Report {
    /// Nothing was done yet.
    pub(crate) const fn new() -> Self {
        Self {
            stage: Stage::Prepare,
            decision: None,
            reason: None,
            decided: None,
            key: None,
            permit: None,
            child: None,
            outcome: None,
            receipt: None,
        }
    }

    /// The object for `--result` and `--output json`.
    pub(crate) fn answer(&self, exit: Exit, error: Option<&str>) -> Answer {
        let (code, signal) = match self.child {
            None => (None, None),
            Some(How::Code(code)) => (Some(code), None),
            Some(How::Signal(signal)) => (None, Some(signal)),
        };
        Answer::new("run")
            .exit(exit)
            .member("stage", self.stage.as_str())
            .member("decision", self.decision)
            .member("reason", self.reason)
            .member("decided", self.decided)
            .member("key", self.key.clone())
            .member("permit", optional(self.permit.map(|(id, _)| id)))
            .member("fence", self.permit.map(|(_, fence)| number(fence.get())))
            .member("child_exit", code)
            .member("child_signal", signal)
            .member("outcome", self.outcome)
            .member(
                "receipt",
                optional(self.receipt.as_ref().map(|path| path.display())),
            )
            .member("exit_code", exit.code())
            .member("error", error)
    }
}

/// The file for the result. It is opened before anything is asked, so that a wrong path costs nothing.
#[derive(Debug)]
pub(crate) struct ResultFile<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> ResultFile<'a> {
    /// Creates the file, or empties the one that is there.
    pub(crate) fn create(path: &'a Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| unwritable(path, &error))?;
        Ok(Self { path, file })
    }

    /// Writes the object.
    pub(crate) fn write(mut self, answer: &Answer) -> Result<(), Failure> {
        let text = format!("{}\n", answer.object());
        let written = self
            .file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_all());
        written.map_err(|error| unwritable(self.path, &error))
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::says(
        Exit::OwnFault,
        format!("cannot write the result to `{}`: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_of_a_run_that_asked_nothing_says_so() {
        let object = Report::new()
            .answer(Exit::NotFound, Some("no such command"))
            .object();
        assert_eq!(object["schema"], "holdpoint.run/1");
        assert_eq!(object["stage"], "prepare");
        assert_eq!(object["exit_code"], 127);
        assert!(object["decision"].is_null() && object["child_exit"].is_null());
    }

    #[test]
    fn result_file_that_cannot_be_written_is_found_before_anything_else() {
        let error = ResultFile::create(Path::new("/nonexistent/result.json")).unwrap_err();
        assert_eq!(error.exit(), Exit::OwnFault);
    }
}
