//! Key templates: `workspace/{params.workspace}`.
//!
//! A rendered key names a bounded operation, so two requests for different operations must never
//! render to one key. Values are percent-encoded to `A-Z a-z 0-9 - . _ ~` and `%`, and the text
//! between two placeholders must hold a character outside of that: so each key can be read back in
//! one way only.

use holdpoint_receipt::{BoundKey, Json, Request};

use crate::schema::{Record, Type};
use crate::suggest::did_you_mean;

/// The longest template.
pub(crate) const TEMPLATE_BYTES_MAX: usize = 256;

/// A template that was checked against the parameters of its surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Caller,
    Action,
    Param(Vec<String>),
}

/// Which parameters a template may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params<'a> {
    pub(crate) type_name: &'a str,
    pub(crate) record: &'a Record,
}

impl Template {
    /// Reads a template and checks its placeholders. The error says what is wrong with it.
    pub(crate) fn parse(source: &str, params: Params<'_>) -> Result<Self, String> {
        if source.is_empty() || source.len() > TEMPLATE_BYTES_MAX {
            return Err(format!(
                "must have between 1 and {TEMPLATE_BYTES_MAX} bytes"
            ));
        }
        let mut parts = Vec::new();
        let mut rest = source;
        while !rest.is_empty() {
            let (literal, placeholder) = rest
                .split_once('{')
                .map_or((rest, None), |(literal, after)| (literal, Some(after)));
            check_literal(literal)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let Some(after) = placeholder else { break };
            let (name, after) = after.split_once('}').ok_or("has a `{` without its `}`")?;
            parts.push(part(name, params)?);
            rest = after;
        }
        check_separators(&parts)?;
        Ok(Self {
            source: source.to_owned(),
            parts,
        })
    }

    /// The template as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether the template is one placeholder and nothing else.
    pub(crate) fn is_one_value(&self) -> bool {
        matches!(
            self.parts.as_slice(),
            [Part::Caller | Part::Action | Part::Param(_)]
        )
    }

    /// The key for `request`. `None` if a value is missing or no scalar.
    pub(crate) fn render(&self, request: &Request) -> Option<String> {
        let mut out = String::new();
        for part in &self.parts {
            if let Part::Literal(literal) = part {
                out.push_str(literal);
            } else {
                encode(&value(part, request)?, &mut out);
            }
        }
        Some(out)
    }

    /// The key for `request`, if it fits the limit of SPEC section 8.
    pub(crate) fn render_key(&self, request: &Request) -> Option<BoundKey> {
        BoundKey::new(self.render(request)?).ok()
    }

    /// The one value of a template that [`Template::is_one_value`], as it is.
    pub(crate) fn render_raw(&self, request: &Request) -> Option<String> {
        self.parts.first().and_then(|part| value(part, request))
    }
}

fn part(name: &str, params: Params<'_>) -> Result<Part, String> {
    if name == "caller" {
        return Ok(Part::Caller);
    }
    if name == "action" {
        return Ok(Part::Action);
    }
    let Some(path) = name.strip_prefix("params.") else {
        return Err(format!(
            "uses `{{{name}}}`: placeholders are `{{params.…}}`, `{{caller}}` and `{{action}}`"
        ));
    };
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    check_path(name, &path, params)?;
    Ok(Part::Param(path))
}

/// Checks that the path leads to a required scalar with one spelling for each value.
fn check_path(name: &str, path: &[String], params: Params<'_>) -> Result<(), String> {
    let mut record = params.record;
    let mut owner = params.type_name.to_owned();
    for (index, step) in path.iter().enumerate() {
        let Some(attribute) = record.get(step) else {
            let hint = did_you_mean(step, record.keys().map(String::as_str));
            return Err(format!(
                "uses `{{{name}}}`, which {owner} does not have{hint}"
            ));
        };
        if !attribute.required {
            return Err(format!(
                "uses `{{{name}}}`, which may be missing: make `{step}` required"
            ));
        }
        let is_last = index.saturating_add(1) == path.len();
        match (&attribute.ty, is_last) {
            (Type::Record(inner), false) => {
                record = inner;
                owner = format!("`{step}`");
            }
            (Type::String | Type::Long | Type::Bool | Type::Entity(_), true) => return Ok(()),
            (other, true) => {
                let shown = other.show();
                return Err(format!(
                    "uses `{{{name}}}` of type {shown}: a key is made of String, Long, Bool and entities"
                ));
            }
            (_, false) => return Err(format!("uses `{{{name}}}`, but `{step}` is not a record")),
        }
    }
    Err(format!("uses `{{{name}}}`, which names no parameter"))
}

fn check_literal(literal: &str) -> Result<(), String> {
    let refused = literal
        .chars()
        .find(|c| !c.is_ascii_graphic() || matches!(c, '%' | '"' | '\\' | '}'));
    match refused {
        None => Ok(()),
        Some(character) => Err(format!(
            "has {character:?}: outside of placeholders use printable ASCII without space, `%`, `\"`, \
             `\\` and `}}`"
        )),
    }
}

/// Between two placeholders there must be a character that no encoded value has.
fn check_separators(parts: &[Part]) -> Result<(), String> {
    let mut separated = true;
    for part in parts {
        match part {
            Part::Literal(literal) => separated |= literal.bytes().any(|byte| !is_unreserved(byte)),
            Part::Caller | Part::Action | Part::Param(_) if separated => separated = false,
            Part::Caller | Part::Action | Part::Param(_) => {
                return Err(
                    "has two placeholders without a separator such as `/` between them: \
                            different values could render to one key"
                        .to_owned(),
                );
            }
        }
    }
    Ok(())
}

fn value(part: &Part, request: &Request) -> Option<String> {
    match part {
        Part::Literal(literal) => Some(literal.clone()),
        Part::Caller => Some(request.caller.as_str().to_owned()),
        Part::Action => Some(request.action.as_str().to_owned()),
        Part::Param(path) => {
            let (first, rest) = path.split_first()?;
            let first = request.params.get(first)?;
            let found = rest
                .iter()
                .try_fold(first, |json, step| json.as_object()?.get(step))?;
            match found {
                Json::Str(text) => Some(text.clone()),
                Json::Int(number) => Some(number.to_string()),
                Json::Bool(flag) => Some(flag.to_string()),
                Json::Null | Json::Array(_) | Json::Object(_) => None,
            }
        }
    }
}

fn encode(value: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 0x0f] {
                out.extend(HEX.get(usize::from(digit)).copied().map(char::from));
            }
        }
    }
}

/// The unreserved characters of RFC 3986.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests;
