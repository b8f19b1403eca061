//! The lines of an exported log, written and read side by side.

use super::{LINE_BYTES_MAX, LOG_SCHEMA, LogError};
use crate::digest::Digest;
use crate::json::{Json, Limits, Members, Misfit, parse};
use crate::note::Note;

const LIMITS: Limits = Limits {
    bytes_max: LINE_BYTES_MAX,
    depth_max: 1,
};

/// What a line says.
pub(super) enum Line {
    /// A leaf, and its statement if it is still stored.
    Leaf {
        leaf_hash: Digest,
        statement: Option<String>,
    },
    /// The head, which closes the log.
    Head(Note),
}

/// The line of the next leaf, with its newline: its hash, and its canonical statement if that is
/// still stored.
#[must_use]
pub fn leaf_line(leaf_hash: &Digest, statement: Option<&str>) -> String {
    let mut members = vec![("leaf_hash", Json::str(leaf_hash.to_base64()))];
    members.extend(statement.map(|text| ("statement", Json::str(text))));
    line_of(members)
}

/// The last line, with its newline.
#[must_use]
pub fn head_line(checkpoint: &Note) -> String {
    line_of(vec![
        ("checkpoint", Json::str(checkpoint.to_string())),
        ("schema", Json::str(LOG_SCHEMA)),
    ])
}

fn line_of(members: Vec<(&str, Json)>) -> String {
    let mut line = Json::object(members).to_canonical();
    line.push('\n');
    line
}

/// Reads the line where leaf `leaf` or the head must stand, without its newline, in its one encoding.
pub(super) fn read(line: &[u8], leaf: u64) -> Result<Line, LogError> {
    let malformed = |problem: String| LogError::Line { leaf, problem };
    let misfit = |Misfit(member)| malformed(format!("`{member}` is missing or malformed"));
    let value = parse(line, LIMITS).map_err(|error| malformed(error.to_string()))?;
    if !value.is_written(line) {
        return Err(malformed(
            "it is not in its one encoding (RFC 8785)".to_owned(),
        ));
    }
    let has = |member: &str| {
        value
            .as_object()
            .is_some_and(|line| line.contains_key(member))
    };
    let (is_head, has_statement) = (has("checkpoint"), has("statement"));
    let mut members = Members::of(value, "the line").map_err(misfit)?;
    let read = if is_head {
        if members.text("schema").map_err(misfit)? != LOG_SCHEMA {
            return Err(LogError::UnknownSchema);
        }
        Line::Head(members.parsed("checkpoint").map_err(misfit)?)
    } else {
        let leaf_hash = Digest::from_base64(&members.text("leaf_hash").map_err(misfit)?);
        let leaf_hash = leaf_hash.ok_or_else(|| misfit(Misfit("leaf_hash".to_owned())))?;
        let statement = has_statement.then(|| members.text("statement"));
        Line::Leaf {
            leaf_hash,
            statement: statement.transpose().map_err(misfit)?,
        }
    };
    members.finish().map_err(misfit)?;
    Ok(read)
}
