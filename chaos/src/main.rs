//! `chaos`: tries to get two permits out of the gate, and checks what clients saw.
//!
//! It never decides by itself whether a promise holds: the checkers of the library do, over histories
//! that anyone can read (`chaos/HISTORY.md`).
#![expect(clippy::print_stdout, reason = "what was found is this program's data")]

mod commands;

use std::process::ExitCode;

const USAGE: &str = "\
chaos check FILE.jsonl [--output table|json]
chaos invent [--seed 1] [--operations 2000] [--keys 20] [--clients 8] [--lost-permille 60]
             [--plant BUG] [--out FILE.jsonl]

  check   reads a history (`-` for standard input) and asks every checker about it
  invent  writes the history of a gate that keeps every promise, or of one with a planted bug;
          `--plant list` names the bugs and the checkers that find them

exit code: 0 every promise holds, 1 one is broken, 2 wrong usage or unreadable history, 3 unknown
";

/// The command line is not one that the program knows, or its input is none.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["check", rest @ ..] => commands::check::run(rest),
        ["invent", rest @ ..] => commands::invent::run(rest),
        ["help" | "--help" | "-h", ..] => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        [other, ..] => Err(format!("`{other}` is no command\n\n{USAGE}")),
        [] => Err(format!("no command is given\n\n{USAGE}")),
    };
    done.unwrap_or_else(|why| {
        eprintln!("error: {why}");
        ExitCode::from(EXIT_USAGE)
    })
}
