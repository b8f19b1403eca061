//! `holdpoint help`: help on a command, and on what has no command of its own.

use clap::Args;
use serde_json::{Value, json};

use crate::args;
use crate::examples::EXAMPLES;
use crate::exit::TABLE;
use crate::output::{Answer, Failure};

/// Help on a command, on `exit-codes`, or all `examples`
#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// A command, `exit-codes` or `examples`
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
}

/// Finds the topic.
pub(crate) fn perform(args: &HelpArgs) -> Result<Answer, Failure> {
    let topic: Vec<&str> = args.topic.iter().map(String::as_str).collect();
    match topic.as_slice() {
        ["exit-codes"] => Ok(exit_codes()),
        ["examples"] => Ok(examples()),
        path => command(path),
    }
}

fn exit_codes() -> Answer {
    let rows: Value = TABLE
        .iter()
        .map(|row| json!({ "code": row.code, "name": row.name, "meaning": row.meaning }))
        .collect();
    let answer = Answer::new("exit-codes").member("codes", rows);
    let answer = TABLE.iter().fold(answer, |answer, row| {
        answer.line(format!("{:<6} {:<26} {}", row.code, row.name, row.meaning))
    });
    answer
        .line("")
        .line("The command that `run` starts may use these numbers too: `--result FILE` tells them apart.")
}

fn examples() -> Answer {
    let all: Value = EXAMPLES
        .iter()
        .map(|(command, lines)| json!({ "command": command, "lines": lines }))
        .collect();
    let lines = EXAMPLES.iter().flat_map(|(_, lines)| *lines);
    lines.fold(
        Answer::new("examples").member("examples", all),
        Answer::line,
    )
}

fn command(path: &[&str]) -> Result<Answer, Failure> {
    let mut tree = args::tree();
    let mut command = &mut tree;
    for word in path {
        command = command.find_subcommand_mut(word).ok_or_else(|| {
            Failure::usage(format!(
                "there is no help on `{}`: give a command, `exit-codes` or `examples`",
                path.join(" ")
            ))
        })?;
    }
    let text = command.render_long_help().to_string();
    Ok(Answer::new("help")
        .member("help", text.as_str())
        .line(text.trim_end()))
}
