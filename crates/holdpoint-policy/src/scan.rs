//! Reads Cedar text just far enough to cut it into statements and to bound its depth.
//!
//! The parser, the validator and the evaluator of Cedar recurse over an expression. What they would
//! do with a depth that the stack does not hold depends on the stack, and so on the machine. The
//! bound here comes before all of them and depends on the text only.

/// The deepest expression: brackets, and operators in each other's operands.
///
/// `a && b && c` has depth 2, as in Cedar's own tree. Chosen so that loading and evaluating the
/// deepest policy fits three quarters of a stack of 2 MiB in a build without optimisation
/// (`tests/depth.rs`).
pub(crate) const DEPTH_MAX: usize = 24;

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
    /// An operator of the layer, which makes an expression so many levels deeper.
    Operator(usize, usize),
    Other,
}

/// What binds tighter comes first.
const MEMBER: usize = 0;
const PRODUCT: usize = 1;
const SUM: usize = 2;
const RELATION: usize = 3;
const AND: usize = 4;
const OR: usize = 5;
const IF: usize = 6;
const LAYERS: usize = 7;

/// Cuts a policy file into its statements and checks the depth of each.
pub(crate) fn policies(text: &str) -> Result<Vec<Statement<'_>>, Refused> {
    let mut statements = Vec::new();
    let mut start = None;
    let mut depth = Depth::default();
    let mut lexer = Lexer {
        text,
        at: 0,
        line: 1,
        after_has: false,
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
        after_has: false,
    };
    let mut depth = 0_usize;
    while let Some((token, at, line)) = lexer.next()? {
        let angle = text.as_bytes().get(at);
        match token {
            Token::Open => depth = depth.saturating_add(1),
            Token::Close => depth = depth.saturating_sub(1),
            Token::Operator(..) if angle == Some(&b'<') => depth = depth.saturating_add(1),
            Token::Operator(..) if angle == Some(&b'>') => depth = depth.saturating_sub(1),
            Token::Operator(..) | Token::Separator | Token::End | Token::Other => {}
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

/// What is known about one pair of brackets, since its last separator.
#[derive(Clone, Copy, Default)]
struct Level {
    layers: [Layer; LAYERS],
    /// The deepest bracket in the operand at hand.
    inner: usize,
    /// The deepest part before the last separator.
    before: usize,
}

/// A chain of operators of one binding strength.
#[derive(Clone, Copy, Default)]
struct Layer {
    /// The levels that its operators add.
    levels: usize,
    /// Its deepest operand so far, without the one at hand.
    deepest: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.before.max(self.depth_below(LAYERS))
    }

    /// The depth of the operand at hand of layer `layer`.
    fn depth_below(&self, layer: usize) -> usize {
        let below = self.layers.iter().take(layer);
        below.fold(self.inner, |depth, layer| {
            layer.levels.saturating_add(layer.deepest.max(depth))
        })
    }

    /// Ends the operand at hand of `layer`: all that binds tighter starts anew.
    fn operator(&mut self, layer: usize, levels: usize) {
        if layer == MEMBER {
            // Before or after its only operand, which goes on.
            self.layers[MEMBER].levels = self.layers[MEMBER].levels.saturating_add(levels);
            return;
        }
        let operand = self.depth_below(layer);
        for (index, chain) in self.layers.iter_mut().enumerate() {
            if index < layer {
                *chain = Layer::default();
            } else if index == layer {
                chain.deepest = chain.deepest.max(operand);
                chain.levels = chain.levels.saturating_add(levels);
            }
        }
        self.inner = 0;
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
                let before = self.here.depth();
                self.here = Level {
                    before,
                    ..Level::default()
                };
            }
            Token::Operator(layer, levels) => self.here.operator(layer, levels),
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
    /// Between `has` and the end of its path: Cedar writes `a has b.c` as `a has b && a.b has c`.
    after_has: bool,
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
            b'&' if second == Some(&b'&') => (Token::Operator(AND, 1), 2),
            b'|' if second == Some(&b'|') => (Token::Operator(OR, 1), 2),
            // Cedar writes `a > b` as `!(a <= b)`, so a relation may be two levels.
            b'=' | b'!' | b'<' | b'>' if second == Some(&b'=') => (Token::Operator(RELATION, 2), 2),
            b'<' | b'>' => (Token::Operator(RELATION, 2), 1),
            b'+' | b'-' => (Token::Operator(SUM, 1), 1),
            b'*' => (Token::Operator(PRODUCT, 1), 1),
            b'.' if self.after_has => (Token::Operator(MEMBER, 2), 1),
            b'.' | b'!' => (Token::Operator(MEMBER, 1), 1),
            byte if byte.is_ascii_alphanumeric() || *byte == b'_' => self.word(),
            _ => (Token::Other, 1),
        };
        self.at = at.saturating_add(length);
        self.after_has = match token {
            Token::Operator(RELATION, _) => bytes.get(at..self.at) == Some(b"has"),
            Token::Operator(MEMBER, _) | Token::Other => self.after_has,
            Token::Operator(..) | Token::Open | Token::Close | Token::Separator | Token::End => {
                false
            }
        };
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
            Some("in" | "has" | "like" | "is") => Token::Operator(RELATION, 2),
            // Cedar joins the clauses of a policy with `&&`.
            Some("when" | "unless") => Token::Operator(AND, 1),
            Some("if") => Token::Operator(IF, 1),
            Some("then" | "else") => Token::Operator(IF, 0),
            _ => Token::Other,
        };
        (token, length)
    }
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

    /// The depth of one expression.
    fn depth(text: &str) -> usize {
        let mut depth = Depth::default();
        let mut lexer = Lexer {
            text,
            at: 0,
            line: 1,
            after_has: false,
        };
        while let Some((token, _, _)) = lexer.next().unwrap() {
            depth.take(token).unwrap();
        }
        depth.here.depth()
    }

    #[test]
    fn depth_follows_the_tree_and_not_the_length() {
        for (text, expected) in [
            ("true", 0),
            ("(true)", 1),
            ("a.b.c", 2),
            ("a && b && c", 2),
            ("a.b.c == 1", 4),
            ("a == 1 && b == 2 && c == 3", 4),
            ("a == 1 || b == 2 && c == 3", 4),
            ("a + b * c < d", 4),
            ("!!a", 2),
            ("a has b.c.d", 6),
            ("if a then b else if c then d else e", 2),
            ("[1, (2), [[3]]]", 3),
            ("{a: 1, b: {c: 1 + 1}}", 3),
            ("(a && b) && (c || d) && e", 4),
            ("f(g(h(1)))", 3),
        ] {
            assert_eq!(depth(text), expected, "{text}");
        }
    }

    #[test]
    fn brackets_and_chains_have_one_limit() {
        let brackets = |depth: usize| format!("{}1{};", "(".repeat(depth), ")".repeat(depth));
        let chain = |depth: usize| format!("1{};", " && 1".repeat(depth));
        for make in [&brackets as &dyn Fn(usize) -> String, &chain] {
            assert!(policies(&make(DEPTH_MAX)).is_ok());
            assert_eq!(policies(&make(DEPTH_MAX + 1)), Err(too_deep(1)));
        }
        let both = format!("{}{};", "(1 && ".repeat(13), ")".repeat(13));
        assert!(policies(&both).is_err());
    }

    #[test]
    fn string_that_does_not_end_is_refused_at_its_line() {
        assert_eq!(policies("permit\n\"abc").unwrap_err().line, 2);
    }
}
