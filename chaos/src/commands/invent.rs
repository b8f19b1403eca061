//! `chaos invent`: writes the history of a gate that keeps every promise, or of one with a planted bug.

use std::fs::File;
use std::io::{self, BufWriter};
use std::process::ExitCode;

use chaos::history::History;
use chaos::planted;
use chaos::reference::{Dice, Plan, invent};

use super::{number, said};

/// Runs the command.
///
/// # Errors
///
/// A word that does not fit, a bug that has no place in the history, or a file that cannot be written.
pub(crate) fn run(words: &[&str]) -> Result<ExitCode, String> {
    let mut plan = Plan::default();
    let (mut bug, mut out): (Option<&str>, Option<&str>) = (None, None);
    let mut rest = words;
    while let [name, value, after @ ..] = rest {
        match *name {
            "--seed" => plan.seed = number(name, value)?,
            "--operations" => plan.operations = number(name, value)?,
            "--keys" => plan.keys = number(name, value)?,
            "--clients" => plan.clients = number(name, value)?,
            "--lost-permille" => plan.lost_permille = number(name, value)?,
            "--plant" => bug = Some(value),
            "--out" => out = Some(value),
            other => return Err(format!("`{other}` is no option of `invent`")),
        }
        rest = after;
    }
    if let [alone, ..] = rest {
        return Err(format!("`{alone}` has no value"));
    }
    if bug == Some("list") {
        for bug in planted::ALL {
            println!("{:32}  {}", bug.name, bug.found_by);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut history = invent(&plan);
    if let Some(name) = bug {
        plant(&mut history, name, plan.seed)?;
    }
    let written = match out {
        Some(file) => {
            let created = File::create(file).map_err(|error| format!("`{file}`: {error}"))?;
            history.write(BufWriter::new(created))
        }
        None => history.write(BufWriter::new(io::stdout().lock())),
    };
    written.map_err(|error| said(&error))?;
    Ok(ExitCode::SUCCESS)
}

fn plant(history: &mut History, name: &str, seed: u64) -> Result<(), String> {
    let bug = planted::ALL.iter().find(|bug| bug.name == name);
    let bug = bug.ok_or_else(|| format!("`{name}` is no bug: `--plant list` names them"))?;
    if (bug.plant)(history, &mut Dice::new(seed)) {
        history.header.reproduce = format!("{} --plant {name}", history.header.reproduce);
        return Ok(());
    }
    Err(format!(
        "the history has no place for `{name}`: take another seed, or more operations"
    ))
}
