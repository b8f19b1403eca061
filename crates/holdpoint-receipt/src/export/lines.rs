//! The lines of an exported log, written and read side by side.

use super::{LINE_BYTES_MAX, LOG_SCHEMA};
use crate::digest::Digest;
use crate::json::{Json, Limits, Members, parse};
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

/// Reads a line without its newline, in its one encoding.
pub(super) fn read(line: &[u8]) -> Result<Line, String> {
    let value = parse(line, LIMITS).map_err(|error| error.to_string())?;
    if value.to_canonical().as_bytes() != line {
        return Err("it is not in its one encoding (RFC 8785)".to_owned());
    }
    let misfit = |misfit: crate::json::Misfit| format!("`{}` is missing or malformed", misfit.0);
    let is_head = value
        .as_object()
        .is_some_and(|line| line.contains_key("checkpoint"));
    let has_statement = value
        .as_object()
        .is_some_and(|line| line.contains_key("statement"));
    let mut members = Members::of(value, "the line").map_err(misfit)?;
    let read = if is_head {
        if members.text("schema").map_err(misfit)? != LOG_SCHEMA {
            return Err(format!(
                "`schema` is not `{LOG_SCHEMA}`; a newer program may know it"
            ));
        }
        Line::Head(members.parsed("checkpoint").map_err(misfit)?)
    } else {
        let leaf_hash = Digest::from_base64(&members.text("leaf_hash").map_err(misfit)?);
        let statement = has_statement.then(|| members.text("statement"));
        Line::Leaf {
            leaf_hash: leaf_hash.ok_or("`leaf_hash` is not 32 bytes in base64")?,
            statement: statement.transpose().map_err(misfit)?,
        }
    };
    members.finish().map_err(misfit)?;
    Ok(read)
}
