//! `holdpoint log export`: the whole log in one file.
//!
//! ```text
//! {"leaf_hash":"<base64>","statement":"<canonical statement>"}   one line a leaf, from leaf 0 on;
//! {"leaf_hash":"<base64>"}                                       where the statement was removed
//! {"checkpoint":"<signed note>","schema":"holdpoint.log/1"}      the last line: the head over all
//! ```

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use holdpoint_client::{LogHead, LogLeaf};
use holdpoint_receipt::export::{head_line, leaf_line};

use super::members;
use crate::exit::Exit;
use crate::gate::{GateArgs, Reached, block_on, read_failed};
use crate::output::{Answer, Failure, number};
use crate::progress::showing;

/// Fetch the whole log into a file: every leaf, every statement that is kept, and the head over them
///
/// What is written adds up to the head, which is verified. `holdpoint log verify` checks it again
/// without a cluster.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    gate: GateArgs,
}

/// What was written.
struct Written {
    head: LogHead,
    statement_count: u64,
}

pub(super) fn perform(args: &ExportArgs) -> Result<Answer, Failure> {
    let written = block_on(async {
        let reached = showing("connecting", args.gate.reach()).await?;
        let fresh = fresh(&args.out);
        let written = showing("fetching the log", write(&reached, &fresh)).await?;
        std::fs::rename(&fresh, &args.out).map_err(|error| unwritten(&args.out, &error))?;
        Ok(written)
    })?;
    let Written {
        head,
        statement_count,
    } = written;
    let line = format!(
        "log of {} leaves saved to {} ({statement_count} statements)",
        head.head.size,
        args.out.display()
    );
    Ok(members(Answer::new("log-export"), &head.head)
        .line(line)
        .member("statements", number(statement_count))
        .member("out", args.out.display().to_string()))
}

/// What is not whole never has the name of what is.
fn fresh(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    out.with_file_name(name)
}

async fn write(reached: &Reached, path: &Path) -> Result<Written, Failure> {
    let file = File::create(path).map_err(|error| unwritten(path, &error))?;
    let mut file = BufWriter::new(file);
    let mut put = |line: &str| {
        let written = file.write_all(line.as_bytes()).and_then(|()| file.flush());
        written.map_err(|error| unwritten(path, &error))
    };
    let mut export = reached.gate.export_log().await;
    let export = export.as_mut().map_err(|error| read_failed(error))?;
    let mut statement_count = 0_u64;
    while let Some(leaf) = export.next().await.map_err(|error| read_failed(&error))? {
        statement_count = statement_count.saturating_add(u64::from(leaf.statement.is_some()));
        put(&line(leaf)?)?;
    }
    let head = export
        .head()
        .cloned()
        .ok_or_else(|| Failure::says(Exit::Failure, "the log came without a head"))?;
    put(&head_line(&head.note))?;
    Ok(Written {
        head,
        statement_count,
    })
}

fn line(leaf: LogLeaf) -> Result<String, Failure> {
    let statement = leaf.statement.map(String::from_utf8).transpose()?;
    Ok(leaf_line(&leaf.leaf_hash, statement.as_deref()))
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot write `{}`: {error}", path.display());
    Failure::says(Exit::Failure, message)
}
