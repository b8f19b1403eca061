//! The writer of RFC 8785.

use std::fmt::Write as _;

use super::Json;

/// Appends the canonical form of `value`.
pub(super) fn write(out: &mut String, value: &Json) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Int(value) => {
            // Writing to a String does not fail.
            let _ = write!(out, "{value}");
        }
        Json::Str(text) => write_string(out, text),
        Json::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            // The map is in the order of code points. UTF-16 differs from it above U+FFFF.
            if !members.iter().all(|(key, _)| key.is_ascii()) {
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            }
            out.push('{');
            for (place, (key, value)) in members.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write(out, value);
            }
            out.push('}');
        }
    }
}

/// The canonical form of an object of these members, which are in their canonical order, each once.
pub(crate) fn canonical_object<K: AsRef<str>>(members: &[(K, Json)]) -> String {
    // A statement of a decision takes about as much.
    let mut out = String::with_capacity(1_536);
    out.push('{');
    for (place, (key, value)) in members.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_string(&mut out, key.as_ref());
        out.push(':');
        write(&mut out, value);
    }
    out.push('}');
    out
}

/// Appends a string in its shortest escape.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // What needs no escape is taken over in one piece.
    while let Some(at) = rest.bytes().position(needs_escape) {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = from.chars();
        if let Some(character) = characters.next() {
            write_escaped(out, character);
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

const fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn write_escaped(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        control => {
            let _ = write!(out, "\\u{:04x}", u32::from(control));
        }
    }
}
