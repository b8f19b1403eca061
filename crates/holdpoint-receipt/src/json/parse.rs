//! The strict reader.

use std::collections::BTreeMap;

use super::{INT_MAX, Json, Limits};

/// Why a text was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON at byte {offset}: {problem}")]
pub struct JsonError {
    /// Where the problem was noticed, in bytes from the start of the text.
    pub offset: usize,
    /// What it is.
    pub problem: JsonProblem,
}

/// What makes a text unacceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// The text is longer than the limit.
    #[error("the text has {bytes} bytes, at most {bytes_max} are accepted")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Arrays and objects are nested deeper than the limit.
    #[error("nested deeper than {depth_max} levels")]
    TooDeep {
        /// The limit.
        depth_max: usize,
    },
    /// The bytes are not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The text ends inside a value.
    #[error("the text ends inside a value")]
    UnexpectedEnd,
    /// Something else stands where this was expected.
    #[error("expected {expected}")]
    Expected {
        /// What could have stood here.
        expected: &'static str,
    },
    /// One object names a member twice.
    #[error("the key `{key}` appears twice in one object")]
    DuplicateKey {
        /// The key, with its escapes resolved.
        key: String,
    },
    /// A number with a fraction or an exponent.
    #[error(
        "a number with `.` or an exponent; only integers are accepted, write others as strings"
    )]
    Float,
    /// `-0`, which some readers take for a float.
    #[error("`-0` is not an integer; write `0`")]
    NegativeZero,
    /// A number that starts with a needless zero.
    #[error("a number must not start with `0`")]
    LeadingZero,
    /// An integer that not every reader keeps exact.
    #[error("the integer is beyond ±9007199254740991 (2^53-1); write it as a string")]
    IntegerTooLarge,
    /// Half of a surrogate pair.
    #[error("`\\u` escape of half a surrogate pair")]
    LoneSurrogate,
    /// An escape that JSON does not have.
    #[error("unknown escape in a string")]
    UnknownEscape,
    /// A control character that must be escaped.
    #[error("a control character in a string must be escaped")]
    ControlCharacter,
    /// Something follows the value.
    #[error("something follows the value")]
    TrailingData,
}

/// Reads exactly one value, with white space around it at most.
///
/// # Errors
///
/// [`JsonError`] names the first problem. Nothing is repaired.
pub fn parse(text: &[u8], limits: Limits) -> Result<Json, JsonError> {
    if text.len() > limits.bytes_max {
        let problem = JsonProblem::TooLong {
            bytes: text.len(),
            bytes_max: limits.bytes_max,
        };
        return Err(JsonError {
            offset: limits.bytes_max,
            problem,
        });
    }
    let text = std::str::from_utf8(text).map_err(|error| JsonError {
        offset: error.valid_up_to(),
        problem: JsonProblem::NotUtf8,
    })?;
    let mut parser = Parser {
        text,
        offset: 0,
        depth_max: limits.depth_max,
    };
    parser.skip_space();
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.peek().is_some() {
        return Err(parser.error(JsonProblem::TrailingData));
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    // INVARIANT: at most text.len(), and on a character boundary wherever a slice starts or ends.
    offset: usize,
    depth_max: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    fn advance(&mut self) {
        self.offset = self.offset.saturating_add(1);
    }

    /// Takes `byte` if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.advance();
        }
        is_next
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.advance();
        }
    }

    fn error(&self, problem: JsonProblem) -> JsonError {
        JsonError {
            offset: self.offset,
            problem,
        }
    }

    /// That something else, or nothing, stands here.
    fn expected(&self, expected: &'static str) -> JsonError {
        match self.peek() {
            None => self.error(JsonProblem::UnexpectedEnd),
            Some(_) => self.error(JsonProblem::Expected { expected }),
        }
    }

    /// `depth` counts the arrays and objects around this value; the limit bounds the recursion.
    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        match self.peek() {
            Some(b'{') => self.object(self.deeper(depth)?),
            Some(b'[') => self.array(self.deeper(depth)?),
            Some(b'"') => self.string().map(Json::Str),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Json::Bool(true)),
            Some(b'f') => self.literal("false", Json::Bool(false)),
            Some(b'n') => self.literal("null", Json::Null),
            _ => Err(self.expected("a value")),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, JsonError> {
        let deeper = depth.saturating_add(1);
        if deeper > self.depth_max {
            return Err(self.error(JsonProblem::TooDeep {
                depth_max: self.depth_max,
            }));
        }
        Ok(deeper)
    }

    fn literal(&mut self, word: &'static str, value: Json) -> Result<Json, JsonError> {
        let rest = self.text.get(self.offset..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.offset = self.offset.saturating_add(word.len());
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.advance();
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.advance();
        let mut members = BTreeMap::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in double quotes"));
            }
            let offset = self.offset;
            let key = self.string()?;
            if members.contains_key(&key) {
                return Err(JsonError {
                    offset,
                    problem: JsonProblem::DuplicateKey { key },
                });
            }
            self.skip_space();
            if !self.take(b':') {
                return Err(self.expected("`:`"));
            }
            self.skip_space();
            let value = self.value(depth)?;
            members.insert(key, value);
            self.skip_space();
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.offset;
        let negative = self.take(b'-');
        let mut magnitude: i64 = 0;
        let mut digit_count = 0_u32;
        let mut starts_with_zero = false;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            starts_with_zero |= digit_count == 0 && digit == b'0';
            // Saturation keeps a long number too large, which the comparison below refuses.
            magnitude = magnitude
                .saturating_mul(10)
                .saturating_add(i64::from(digit.wrapping_sub(b'0')));
            digit_count = digit_count.saturating_add(1);
            self.advance();
        }
        let refused = |problem| {
            Err(JsonError {
                offset: start,
                problem,
            })
        };
        if digit_count == 0 {
            return Err(self.expected("a digit"));
        }
        if starts_with_zero && digit_count > 1 {
            return refused(JsonProblem::LeadingZero);
        }
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return refused(JsonProblem::Float);
        }
        if negative && magnitude == 0 {
            return refused(JsonProblem::NegativeZero);
        }
        if magnitude > INT_MAX {
            return refused(JsonProblem::IntegerTooLarge);
        }
        Ok(Json::Int(if negative {
            magnitude.wrapping_neg()
        } else {
            magnitude
        }))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.advance();
        let mut out = String::new();
        loop {
            out.push_str(self.plain_run());
            match self.peek() {
                Some(b'"') => {
                    self.advance();
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return Err(self.error(JsonProblem::ControlCharacter)),
                None => return Err(self.error(JsonProblem::UnexpectedEnd)),
            }
        }
    }

    /// Takes the characters up to the next quote, backslash or control character.
    ///
    /// Those three are ASCII, so the run ends on a character boundary.
    fn plain_run(&mut self) -> &'a str {
        let start = self.offset;
        while let Some(byte) = self.peek() {
            if byte == b'"' || byte == b'\\' || byte < b' ' {
                break;
            }
            self.advance();
        }
        self.text.get(start..self.offset).unwrap_or_default()
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.offset;
        self.advance();
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            Some(_) => {
                return Err(JsonError {
                    offset: start,
                    problem: JsonProblem::UnknownEscape,
                });
            }
            None => return Err(self.error(JsonProblem::UnexpectedEnd)),
        };
        self.advance();
        Ok(character)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, JsonError> {
        let lone = JsonError {
            offset: start,
            problem: JsonProblem::LoneSurrogate,
        };
        let first = self.four_digits()?;
        let second = match first {
            0xd800..=0xdbff => {
                if !(self.take(b'\\') && self.peek() == Some(b'u')) {
                    return Err(lone);
                }
                Some(self.four_digits()?)
            }
            _ => None,
        };
        let mut decoded = char::decode_utf16([first].into_iter().chain(second));
        match (decoded.next(), decoded.next()) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(lone),
        }
    }

    /// Reads `uXXXX`; the backslash is taken already.
    fn four_digits(&mut self) -> Result<u16, JsonError> {
        self.advance();
        let mut value: u16 = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let digit = digit.and_then(|digit| u16::try_from(digit).ok());
            let Some(digit) = digit else {
                return Err(self.expected("four hexadecimal digits"));
            };
            value = value.wrapping_shl(4) | digit;
            self.advance();
        }
        Ok(value)
    }
}
