//! The shell blocks of a page of the documentation.

use std::mem;

/// A block of shell lines in a page.
///
/// A comment before it says what is special about it, in parts with commas between them:
/// `<!-- test: exits 120, says BOUND_HELD -->`.
#[derive(Debug)]
pub struct Block {
    /// The line of the page that it starts at.
    pub line: usize,
    /// What the comment says; empty if there is none.
    pub note: String,
    /// Its lines.
    pub lines: Vec<String>,
}

impl Block {
    /// The exit code that it ends with: 0 unless the note says `exits N`.
    ///
    /// # Panics
    ///
    /// If what it says is no number.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a page that cannot be read cannot be run"
    )]
    pub fn exits(&self) -> i32 {
        let mut said = self.note.split(", ");
        let code = said.find_map(|part| part.strip_prefix("exits "));
        code.map_or(0, |code| code.parse().expect("an exit code is a number"))
    }

    /// What it prints among other things.
    pub fn says(&self) -> impl Iterator<Item = &str> {
        self.note
            .split(", ")
            .filter_map(|part| part.strip_prefix("says "))
    }
}

/// The blocks of `page`, in their order.
#[must_use]
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut note = String::new();
    let mut open: Option<Block> = None;
    for (line, text) in (1..).zip(page.lines()) {
        if let Some(mut block) = open.take() {
            if text.trim_start() == "```" {
                blocks.push(block);
            } else {
                block.lines.push(text.to_owned());
                open = Some(block);
            }
        } else if text.trim_start() == "```sh" {
            let (note, lines) = (mem::take(&mut note), Vec::new());
            open = Some(Block { line, note, lines });
        } else if let Some(found) = text.strip_prefix("<!-- test: ") {
            found.trim_end_matches(" -->").clone_into(&mut note);
        }
    }
    blocks
}
