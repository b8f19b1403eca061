//! `chaos check`: reads a history and asks every checker about it.

use std::fs::File;
use std::io::{self, BufReader};
use std::process::ExitCode;

use chaos::history::{History, read};
use chaos::report::{Overall, json, overall, table};
use chaos::{checkers, history};

use super::said;

/// A promise is broken.
const EXIT_BROKEN: u8 = 1;
/// Nothing is broken, but of some promise nothing can be said.
const EXIT_UNKNOWN: u8 = 3;

/// Runs the command.
///
/// # Errors
///
/// A word that does not fit, or the first line of the history that does not.
pub(crate) fn run(words: &[&str]) -> Result<ExitCode, String> {
    let (file, is_json) = match words {
        [file] | [file, "--output", "table"] | ["--output", "table", file] => (*file, false),
        [file, "--output", "json"] | ["--output", "json", file] => (*file, true),
        [_, "--output", other] | ["--output", other, _] => {
            return Err(format!("`--output` takes `table` or `json`, not `{other}`"));
        }
        [] => return Err("`check` takes a history: give its file, or `-`".to_owned()),
        _ => return Err("`check` takes one history, and `--output table` or `json`".to_owned()),
    };
    let history = read_from(file).map_err(|why| format!("`{file}`: {why}"))?;
    let findings = checkers::check_all(&history);
    if is_json {
        println!("{}", json(&findings));
    } else {
        println!("{} operations\n", history.events.len());
        print!("{}", table(&findings));
    }
    Ok(match overall(&findings) {
        Overall::Holds => ExitCode::SUCCESS,
        Overall::Broken => ExitCode::from(EXIT_BROKEN),
        Overall::Unknown => ExitCode::from(EXIT_UNKNOWN),
    })
}

fn read_from(file: &str) -> Result<History, String> {
    let history: Result<History, history::ReadError> = if file == "-" {
        read(io::stdin().lock())
    } else {
        let file = File::open(file).map_err(|error| error.to_string())?;
        read(BufReader::new(file))
    };
    history.map_err(|error| said(&error))
}
