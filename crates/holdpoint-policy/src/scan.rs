//! Reads Cedar text just far enough to cut it into statements and to bound its depth.
//!
//! The parser, the validator and the evaluator of Cedar recurse over an expression. What they would
//! do with a depth that the stack does not hold depends on the stack, and so on the machine. The
//! bound here comes before all of them and depends on the text only.

/// The deepest expression: brackets and chained operators on the longest way down.
///
/// The measure errs upwards: `a && b && c` counts its two operators although other readings of it
/// are flatter. Chosen so that loading and evaluating the deepest policy fits a stack of 2 MiB in a
/// build without optimisation (`tests/depth.rs`).
pub(crate) const DEPTH_MAX: usize = 100;

/// One statement of a policy file, up to and with its `;`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    pub(crate) text: &'a str,
    /// The line of the file where `text` starts.
    pub(crate) line: usize,
}

/// Why a text is not given to Cedar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// What matters of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Separator,
    End,
    /// Makes an expression one level deeper.
    Operator,
    Other,
}

/// Cuts a policy file into its statements and checks the depth of each.
pub(crate) fn policies(text: &str) -> Result<Vec<Statement<'_>>, Refused> {
    let mut statements = Vec::new();
    let mut start = None;
    let mut depth = Depth::default();
    let mut lexer = Lexer {
        text,
        at: 0,
        line: 1,
    };
    while let Some((token, at, line)) = lexer.next()? {
        let (begin, begin_line) = *start.get_or_insert((at, line));
        depth.take(token).map_err(|()| too_deep(line))?;
        if token == Token::End && depth.open.is_empty() {
            statements.extend(text.get(begin..lexer.at).map(|text| Statement {
                text,
                line: begin_line,
            }));
            start = None;
            depth = Depth::default();
        }
    }
    // What follows the last `;` is for Cedar to complain about.
    if let Some((begin, line)) = start {
        statements.extend(text.get(begin..).map(|text| Statement { text, line }));
    }
    Ok(statements)
}

/// Checks the depth of a schema. There `<` and `>` are brackets.
pub(crate) fn schema(text: &str) -> Result<(), Refused> {
    let mut lexer = Lexer {
        text,
        at: 0,
        line: 1,
    };
    let mut depth = 0_usize;
    while let Some((token, at, line)) = lexer.next()? {
        let angle = text.as_bytes().get(at);
        match token {
            Token::Open => depth = depth.saturating_add(1),
            Token::Close => depth = depth.saturating_sub(1),
            Token::Operator if angle == Some(&b'<') => depth = depth.saturating_add(1),
            Token::Operator if angle == Some(&b'>') => depth = depth.saturating_sub(1),
            Token::Operator | Token::Separator | Token::End | Token::Other => {}
        }
        if depth > DEPTH_MAX {
            return Err(too_deep(line));
        }
    }
    Ok(())
}

fn too_deep(line: usize) -> Refused {
    let message = format!(
        "nested or chained deeper than {DEPTH_MAX} levels: split the expression into several policies"
    );
    Refused { line, message }
}

/// The depth of the expression read so far.
#[derive(Default)]
struct Depth {
    open: Vec<Level>,
    here: Level,
}

/// What is known about one pair of brackets.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Operators since the last separator.
    operators: usize,
    /// The deepest bracket since the last separator.
    inner: usize,
    /// The deepest part before the last separator.
    before: usize,
}

impl Level {
    fn depth(self) -> usize {
        self.before.max(self.inner.saturating_add(self.operators))
    }
}

impl Depth {
    fn take(&mut self, token: Token) -> Result<(), ()> {
        match token {
            Token::Open => {
                self.open.push(self.here);
                self.here = Level::default();
            }
            Token::Close => {
                let closed = self.here.depth().saturating_add(1);
                self.here = self.open.pop().unwrap_or_default();
                self.here.inner = self.here.inner.max(closed);
            }
            Token::Separator => {
                self.here = Level {
                    before: self.here.depth(),
                    ..Level::default()
                };
            }
            Token::Operator => self.here.operators = self.here.operators.saturating_add(1),
            Token::End | Token::Other => {}
        }
        let fits = self.open.len() <= DEPTH_MAX && self.here.depth() <= DEPTH_MAX;
        if fits { Ok(()) } else { Err(()) }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Lexer<'_> {
    /// The next token with the byte and the line where it starts.
    fn next(&mut self) -> Result<Option<(Token, usize, usize)>, Refused> {
        self.skip_blank();
        let (at, line) = (self.at, self.line);
        let bytes = self.text.as_bytes();
        let Some(first) = bytes.get(at) else {
            return Ok(None);
        };
        let second = bytes.get(at.saturating_add(1));
        let (token, length) = match first {
            b'"' => (Token::Other, self.string_length()?),
            b'(' | b'[' | b'{' => (Token::Open, 1),
            b')' | b']' | b'}' => (Token::Close, 1),
            b',' => (Token::Separator, 1),
            b';' => (Token::End, 1),
            b'&' | b'|' | b'=' | b'!' | b'<' | b'>' if is_pair(*first, second) => {
                (Token::Operator, 2)
            }
            b'!' | b'<' | b'>' | b'+' | b'-' | b'*' | b'.' => (Token::Operator, 1),
            byte if byte.is_ascii_alphanumeric() || *byte == b'_' => self.word(),
            _ => (Token::Other, 1),
        };
        self.at = at.saturating_add(length);
        Ok(Some((token, at, line)))
    }

    fn skip_blank(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if *byte == b'\n' {
                self.line = self.line.saturating_add(1);
            } else if *byte == b'/' && bytes.get(self.at.saturating_add(1)) == Some(&b'/') {
                let rest = bytes.get(self.at..).unwrap_or_default();
                let length = rest
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(rest.len());
                self.at = self.at.saturating_add(length);
                continue;
            } else if !byte.is_ascii_whitespace() {
                return;
            }
            self.at = self.at.saturating_add(1);
        }
    }

    fn string_length(&mut self) -> Result<usize, Refused> {
        let start = self.line;
        let mut escaped = false;
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        for (index, byte) in rest.iter().enumerate().skip(1) {
            match byte {
                b'\n' => self.line = self.line.saturating_add(1),
                b'"' if !escaped => return Ok(index.saturating_add(1)),
                _ => {}
            }
            escaped = *byte == b'\\' && !escaped;
        }
        Err(Refused {
            line: start,
            message: "the string is not closed".to_owned(),
        })
    }

    fn word(&self) -> (Token, usize) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let token = match rest.get(..length) {
            Some("in" | "has" | "like" | "is" | "if" | "then" | "else" | "when" | "unless") => {
                Token::Operator
            }
            _ => Token::Other,
        };
        (token, length)
    }
}

fn is_pair(first: u8, second: Option<&u8>) -> bool {
    matches!(
        (first, second),
        (b'&', Some(b'&')) | (b'|', Some(b'|')) | (b'=' | b'!' | b'<' | b'>', Some(b'='))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_keep_their_annotations_and_their_line() {
        let text = "// one; two\n@id(\"a;b\")\npermit (principal, action, resource);\n\n\n\
                    forbid (principal, action, resource) when { {a: \"}\\\";\"}.a == \"\" };\nrest";
        let statements = policies(text).unwrap();
        let lines: Vec<usize> = statements.iter().map(|statement| statement.line).collect();
        assert_eq!(lines, [2, 6, 7]);
        assert!(statements[0].text.starts_with("@id") && statements[0].text.ends_with(';'));
        assert_eq!(statements[2].text, "rest");
    }

    #[test]
    fn lists_are_wide_and_not_deep() {
        let wide = format!(
            "permit (principal, action, resource) when {{ [{}1] }};",
            "1, ".repeat(5_000)
        );
        assert_eq!(policies(&wide).unwrap().len(), 1);
    }

    #[test]
    fn brackets_and_chains_both_count() {
        let brackets = |depth: usize| format!("{}1{};", "(".repeat(depth), ")".repeat(depth));
        let chain = |depth: usize| format!("1{};", " && 1".repeat(depth));
        for make in [&brackets as &dyn Fn(usize) -> String, &chain] {
            assert!(policies(&make(DEPTH_MAX)).is_ok());
            let refused = policies(&make(DEPTH_MAX + 1)).unwrap_err();
            assert_eq!(refused, too_deep(1));
        }
        let both = format!("{}{};", "(1 && ".repeat(60), ")".repeat(60));
        assert!(policies(&both).is_err());
    }

    #[test]
    fn string_that_does_not_end_is_refused_at_its_line() {
        assert_eq!(policies("permit\n\"abc").unwrap_err().line, 2);
    }
}
