//! The load generator: starts three servers, asks them, and says what came of it (`benches/README.md`).
//!
//! Our gate is asked through the client crate's public interface, as a user would, and no answer counts
//! that did not verify. The same workers drive etcd and PostgreSQL. It never leaves a server behind, and
//! never compares what was not measured in the same run.
#![expect(
    clippy::print_stdout,
    reason = "the measurement is this program's data"
)]

mod args;
mod compare;
mod figures;
mod fixed;
mod kind;
mod latency;
mod machine;
mod overload;
mod report;
mod run;
mod schedule;
mod syncs;
mod system;
mod task;
mod usage;
mod workload;

use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::process::ExitCode;

use args::{Command, Compare, USAGE};

/// As callers' programs should allocate; the servers have their own.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why a measurement did not come to its end.
type Fault = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match args::parse(&words) {
        Ok(Command::Compare(options)) => compared(&options).await,
        Ok(Command::Overload {
            lasts,
            deadline,
            folder,
            out,
        }) => match overload::overload(&folder, lasts, deadline).await {
            Ok(text) => {
                print!("{text}");
                out.map_or(Ok(()), |file| append(&file, &text))
            }
            Err(error) => Err(error),
        },
        Err(error) => {
            eprint!("error: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn compared(options: &Compare) -> Result<(), Fault> {
    // Said before anything is measured, so that a long run is of the commit that it began with.
    let machine = machine::lines(&options.folder)?;
    let results = compare::compare(options).await?;
    let page = report::page(&machine, options, &results)?;
    print!("{page}");
    if let Some(file) = &options.out {
        fs::write(file, &page)?;
    }
    Ok(())
}

fn append(file: &std::path::Path, text: &str) -> Result<(), Fault> {
    let mut file = File::options().create(true).append(true).open(file)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
