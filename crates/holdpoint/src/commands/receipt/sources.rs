//! Where receipts come from: files, the files of a folder, the lines of a file.
//!
//! One receipt is in memory at a time, however many there are.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use holdpoint_receipt::receipt::RECEIPT_BYTES_MAX;

use super::read_receipt;
use crate::exit::Exit;
use crate::inputs::unreadable;
use crate::output::Failure;

/// Whether it is more than one receipt by its kind, even where it holds only one.
pub(super) fn is_bundle(path: &Path) -> bool {
    path.is_dir() || has_ending(path, "jsonl")
}

/// That there is something to be read.
pub(super) fn check(path: &Path) -> Result<(), Failure> {
    if path == Path::new("-") {
        return Ok(());
    }
    fs::metadata(path)
        .map(|_| ())
        .map_err(|error| unreadable(path, &error))
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

/// Gives every receipt of `path` with the name of its place to `take`; says how many there were.
pub(super) fn each(
    path: &Path,
    take: &mut impl FnMut(String, &[u8]) -> Result<(), Failure>,
) -> Result<usize, Failure> {
    if path.is_dir() {
        let mut count = 0_usize;
        for file in files_of(path)? {
            count = count.saturating_add(each(&file, take)?);
        }
        return Ok(count);
    }
    if has_ending(path, "jsonl") {
        return lines_of(path, take);
    }
    take(path.display().to_string(), &read_receipt(path)?)?;
    Ok(1)
}

/// The files of a folder that end as receipts do, by their names. Folders in it are not entered.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error| unreadable(folder, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_meant = has_ending(&path, "json") || has_ending(&path, "jsonl");
        if is_meant && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        let message = format!(
            "`{}` has no receipts: no file in it ends in `.json` or `.jsonl`",
            folder.display()
        );
        return Err(Failure::says(Exit::Failure, message));
    }
    files.sort();
    Ok(files)
}

/// The receipts of a file that has one on each line.
fn lines_of(
    path: &Path,
    take: &mut impl FnMut(String, &[u8]) -> Result<(), Failure>,
) -> Result<usize, Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut reader = BufReader::new(file);
    // One byte beyond the limit is read, so that a line that is too long is said to be no receipt.
    let limit = u64::try_from(RECEIPT_BYTES_MAX).unwrap_or(u64::MAX);
    let limit = limit.saturating_add(1);
    let mut count = 0_usize;
    loop {
        let mut line = Vec::new();
        let read = reader.by_ref().take(limit).read_until(b'\n', &mut line);
        if read.map_err(|error| unreadable(path, &error))? == 0 {
            break;
        }
        if !line.ends_with(b"\n") && line.len() > RECEIPT_BYTES_MAX {
            let mut rest = Vec::new();
            skip_line(&mut reader, &mut rest).map_err(|error| unreadable(path, &error))?;
        }
        count = count.saturating_add(1);
        take(format!("{}:{count}", path.display()), &line)?;
    }
    if count == 0 {
        let message = format!("`{}` has no receipts: it is empty", path.display());
        return Err(Failure::says(Exit::Failure, message));
    }
    Ok(count)
}

/// Reads to the end of the line, a bounded part of it at a time.
fn skip_line(reader: &mut impl BufRead, part: &mut Vec<u8>) -> std::io::Result<()> {
    loop {
        part.clear();
        let limit = u64::try_from(RECEIPT_BYTES_MAX).unwrap_or(u64::MAX);
        let read = reader.by_ref().take(limit).read_until(b'\n', part)?;
        if read == 0 || part.ends_with(b"\n") {
            return Ok(());
        }
    }
}
