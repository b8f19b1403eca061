//! What both databases share: options, memory, and how an error of the database becomes ours.

use std::path::{Path, PathBuf};

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, LogLevel, Options};

use crate::error::{DiskError, OpenError};
use crate::fault::Fault;

/// Threads for flushes and compactions of one database.
const BACKGROUND_JOBS: i32 = 2;
/// Bits for each key in a filter: one look-up of a hundred goes to the rows for nothing.
pub(crate) const FILTER_BITS: f64 = 10.0;
/// Writes gathered in memory before they go to a file.
pub(crate) const WRITE_BUFFER_BYTES: usize = 16 << 20;
/// The database's own diary: at most this many files of this size.
const DIARY_FILES_MAX: usize = 4;
const DIARY_FILE_BYTES_MAX: usize = 1 << 20;

/// Options that both databases have in common.
pub(crate) fn options(create: bool) -> Options {
    let mut options = Options::default();
    options.create_if_missing(create);
    options.create_missing_column_families(create);
    options.set_paranoid_checks(true);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(DIARY_FILES_MAX);
    options.set_max_log_file_size(DIARY_FILE_BYTES_MAX);
    options.set_stats_dump_period_sec(0);
    options
}

/// How sorted files are laid out and cached. Each column family needs it again.
pub(crate) fn table_options(cache: &Cache) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_format_version(5);
    table
}

/// A fault met while `doing` something with the database in `folder`.
pub(crate) fn fault(doing: &'static str, error: &rocksdb::Error) -> Fault {
    let cause = error.to_string();
    Fault {
        doing,
        file: file_named_in(&cause),
        cause,
    }
}

/// A refusal of the database to open `folder`.
pub(crate) fn refusal(folder: &Path, error: rocksdb::Error) -> OpenError {
    let path = file_named_in(error.as_ref()).unwrap_or_else(|| folder.to_owned());
    if error.kind() == rocksdb::ErrorKind::Corruption {
        return OpenError::DamagedFile {
            file: path,
            problem: error.into_string(),
        };
    }
    let source = std::io::Error::other(error);
    OpenError::Fault(DiskError {
        doing: "open the database",
        path,
        source,
    })
}

/// The file that an error text of the database names.
fn file_named_in(text: &str) -> Option<PathBuf> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '(' | ')'))
        .map(|word| word.trim_end_matches([':', ',', ';', '.']))
        .find(|word| {
            let name = word.rsplit('/').next().unwrap_or_default();
            word.starts_with('/')
                && (name.starts_with("MANIFEST-")
                    || name == "CURRENT"
                    || [".sst", ".log"].iter().any(|end| name.ends_with(end)))
        })
        .map(PathBuf::from)
}

/// Failed flushes and compactions since the database was opened.
///
/// The database retries some of them by itself, and a write that failed with the first may be a hole
/// under a later one that succeeds; so one is enough to stop.
pub(crate) fn background_fault(doing: &'static str, db: &rocksdb::DB) -> Option<Fault> {
    match db.property_int_value("rocksdb.background-errors") {
        Ok(None | Some(0)) => None,
        Ok(Some(count)) => Some(Fault {
            doing,
            file: None,
            cause: format!("{count} background writes of the database failed (see its LOG file)"),
        }),
        Err(error) => Some(fault(doing, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_an_error_text_is_found() {
        let text = "Corruption: block checksum mismatch: stored = 1, computed = 2  in \
                    /d/state-1/000012.sst offset 0 size 100";
        assert_eq!(file_named_in(text), Some("/d/state-1/000012.sst".into()));
        assert_eq!(
            file_named_in("IO error: While open a file: /d/log/000004.log: No such file"),
            Some("/d/log/000004.log".into())
        );
        assert_eq!(file_named_in("Corruption: no meta-nextfile entry"), None);
    }
}
