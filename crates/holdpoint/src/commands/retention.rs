//! `holdpoint retention`: how long what has ended is kept.

use std::time::Duration;

use clap::{Args, Subcommand};
use holdpoint_client::{Retention, RetentionReading};
use serde_json::Value;

use crate::gate::{GateArgs, block_on, call_failed, read_failed};
use crate::output::{Answer, Failure, number};
use crate::progress::showing;
use crate::times::{parse_duration, show_duration};

/// Say how long permits, requests, statements and sessions are kept after their end
#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    Get(GetArgs),
    Set(SetArgs),
}

/// Show how long what has ended is kept
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    gate: GateArgs,
}

/// Change how long what has ended is kept; what is not named stays as it is
///
/// A time is a duration such as `90d`, or `forever`. One that is shorter than correctness needs is
/// refused, and the refusal says the least.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Permits, from their end
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    permits: Option<Kept>,
    /// Requests and evaluations, from the decision; statements and receipts stay provable
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    disclosures: Option<Kept>,
    /// Statements, from when they were made
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    statements: Option<Kept>,
    /// Sessions, from their last use
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    sessions: Option<Kept>,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gate: GateArgs,
}

/// A time, or for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept(Option<Duration>);

fn parse_time(text: &str) -> Result<Kept, String> {
    if text == "forever" {
        return Ok(Kept(None));
    }
    parse_duration(text)
        .map(|time| Kept(Some(time)))
        .map_err(|error| format!("{error}, or `forever`"))
}

/// Does it.
pub(crate) fn perform(command: &RetentionCommand) -> Result<Answer, Failure> {
    match command {
        RetentionCommand::Get(args) => get(args),
        RetentionCommand::Set(args) => set(args),
    }
}

fn get(args: &GetArgs) -> Result<Answer, Failure> {
    let reading = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        showing("reading it", reached.gate.retention())
            .await
            .map_err(|error| read_failed(&error))
    })?;
    let RetentionReading {
        retention,
        first_leaf,
        first_disclosure,
    } = reading;
    Ok(shown(Answer::new("retention-get"), retention)
        .line(format!(
            "kept by now: statements from leaf {first_leaf}, requests from leaf {first_disclosure}"
        ))
        .member("first_leaf", number(first_leaf))
        .member("first_disclosure", number(first_disclosure)))
}

fn set(args: &SetArgs) -> Result<Answer, Failure> {
    if [
        args.permits,
        args.disclosures,
        args.statements,
        args.sessions,
    ]
    .iter()
    .all(Option::is_none)
    {
        return Err(Failure::usage(
            "nothing is changed: give at least one of --permits, --disclosures, --statements, \
             --sessions",
        ));
    }
    block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let now = showing("reading it", reached.gate.retention())
            .await
            .map_err(|error| read_failed(&error))?
            .retention;
        let or = |given: Option<Kept>, now| given.map_or(now, |Kept(time)| time);
        let wanted = Retention {
            permits: or(args.permits, now.permits),
            disclosures: or(args.disclosures, now.disclosures),
            statements: or(args.statements, now.statements),
            sessions: or(args.sessions, now.sessions),
        };
        if args.dry_run {
            let answer = shown(Answer::new("retention-set"), wanted);
            return Ok(answer
                .line("it would be so if it is not too short; nothing was changed")
                .member("would_change", now != wanted));
        }
        let call = reached.gate.set_retention(wanted);
        let is_replay = showing("changing it", call)
            .await
            .map_err(|error| call_failed(&error, &args.gate.again))?;
        Ok(shown(Answer::new("retention-set"), wanted).member("replay", is_replay))
    })
}

fn shown(answer: Answer, retention: Retention) -> Answer {
    let rows = [
        ("permits", "from their end", retention.permits),
        ("disclosures", "from the decision", retention.disclosures),
        (
            "statements",
            "from when they were made",
            retention.statements,
        ),
        ("sessions", "from their last use", retention.sessions),
    ];
    rows.into_iter().fold(answer, |answer, (name, from, time)| {
        let ms = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let line = match ms {
            Some(ms) => format!("{name:<12} {} {from}", show_duration(ms)),
            None => format!("{name:<12} forever"),
        };
        let member = format!("{name}_ms");
        answer
            .line(line)
            .member(&member, ms.map_or(Value::Null, number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_a_duration_or_for_ever() {
        assert_eq!(parse_time("forever"), Ok(Kept(None)));
        let day = Duration::from_hours(24);
        assert_eq!(parse_time("1d"), Ok(Kept(Some(day))));
        assert!(parse_time("never").unwrap_err().ends_with("or `forever`"));
    }
}
