//! Writes a history, a line for each operation as soon as it is answered.
//!
//! Never writes what the reader would refuse: a run whose history cannot be checked shows nothing.

use std::io::{self, Write};

use serde::Serialize;

use super::{Event, Header, Mark, Misfit};

/// Why a line was not written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The event cannot be.
    #[error("the event is none: {0}")]
    Misfit(#[from] Misfit),
    /// The line could not be written, so the history is not whole.
    #[error("the history could not be written")]
    Io(#[from] io::Error),
}

/// A history that is being written.
#[derive(Debug)]
pub struct Recorder<W: Write> {
    out: W,
}

impl<W: Write> Recorder<W> {
    /// Begins a history with its header.
    ///
    /// # Errors
    ///
    /// The header could not be written.
    pub fn begin(out: W, header: &Header) -> Result<Self, RecordError> {
        let mut recorder = Self { out };
        recorder.line(header)?;
        Ok(recorder)
    }

    /// Writes an operation with its answer.
    ///
    /// # Errors
    ///
    /// [`RecordError::Misfit`] if it cannot be; then nothing was written.
    pub fn event(&mut self, event: &Event) -> Result<(), RecordError> {
        event.check()?;
        self.line(event)
    }

    /// Writes what was done to the cluster.
    ///
    /// # Errors
    ///
    /// It could not be written.
    pub fn mark(&mut self, mark: &Mark) -> Result<(), RecordError> {
        self.line(mark)
    }

    /// Ends the history, with every line on its way to the disk.
    ///
    /// # Errors
    ///
    /// What is buffered could not be written.
    pub fn finish(mut self) -> Result<W, RecordError> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), RecordError> {
        // One write for each line, so that a recorder that is killed leaves whole lines.
        let mut bytes = serde_json::to_vec(value).map_err(io::Error::from)?;
        bytes.push(b'\n');
        Ok(self.out.write_all(&bytes)?)
    }
}
