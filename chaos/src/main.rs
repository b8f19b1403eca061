//! `chaos`: tries to get two permits out of the gate, and checks what clients saw.
//!
//! It never decides by itself whether a promise holds: the checkers of the library do, over histories
//! that anyone can read (`chaos/HISTORY.md`).

use std::process::ExitCode;

const USAGE: &str = "\
chaos COMMAND

";

/// The command line is not one that the program knows.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            eprint!("error: no command is given\n\n{USAGE}");
            ExitCode::from(EXIT_USAGE)
        }
        [other, ..] => {
            eprint!("error: `{other}` is no command\n\n{USAGE}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}
