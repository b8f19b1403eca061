//! Checks every record of a database's log and manifest files before the database reads them.
//!
//! The database's own recovery tells a torn tail from damage only by the record that it trips over.
//! It takes a flipped length near the end of a file for a torn tail and drops, in silence, every
//! record behind it; a flipped type byte can make it loop. So the files are read here first, and
//! only a last record that is really cut short passes.
//!
//! ```text
//! file   = blocks of 32,768 bytes, the last one shorter
//! block  = records, then fewer than 7 zero bytes if no header fits any more
//! record = masked CRC-32C of type and data (4, little endian) | length of data (2, little endian)
//!        | type (1) | data
//! ```
//!
//! It never changes a file, and it does not know what the records mean.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::crc32c::{crc32c, mask};
use crate::error::{DiskError, OpenError};

const BLOCK_BYTES: usize = 32_768;
const HEADER_BYTES: usize = 7;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;
/// Records about the file itself, each complete: compression, timestamp sizes, predecessor.
const ABOUT_THE_FILE: [u8; 3] = [9, 10, 130];

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a complete record, or it is empty.
    Whole,
    /// In the middle of a record, at this offset: the mark of a crash during a write.
    Torn(u64),
}

/// The first record that nobody wrote like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) offset: u64,
    pub(crate) problem: &'static str,
}

/// Checks the manifest and all log files of the database in `folder`.
///
/// Only the newest log file that holds anything may end in a torn record.
pub(crate) fn check_database(folder: &Path) -> Result<(), OpenError> {
    let current = folder.join("CURRENT");
    let name = fs::read_to_string(&current).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::Missing {
            path: current.clone(),
        },
        _ => OpenError::Fault(DiskError::at("read", &current)(error)),
    })?;
    let name = name.strip_suffix('\n').filter(|name| {
        name.strip_prefix("MANIFEST-").is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
        })
    });
    let Some(name) = name else {
        return Err(OpenError::DamagedFile {
            file: current,
            problem: "it does not name a manifest".to_owned(),
        });
    };
    let manifest = folder.join(name);
    if !manifest.is_file() {
        return Err(OpenError::Missing { path: manifest });
    }
    check_file(&manifest)?;
    let mut torn = None;
    for (_, file) in log_files(folder)? {
        let length = fs::metadata(&file)
            .map_err(DiskError::at("read", &file))?
            .len();
        if let (Some((earlier, offset)), true) = (&torn, length > 0) {
            return Err(OpenError::DamagedRecord {
                file: PathBuf::clone(earlier),
                offset: *offset,
                problem: "a record is cut short, and a later log file holds records",
            });
        }
        if let Ending::Torn(offset) = check_file(&file)? {
            tracing::warn!(file = %file.display(), offset, "dropping a record that a crash cut short");
            torn = Some((file, offset));
        }
    }
    Ok(())
}

/// The write-ahead log files in `folder` with their numbers, oldest first.
pub(crate) fn log_files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, DiskError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(DiskError::at("list", folder))? {
        let path = entry.map_err(DiskError::at("list", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "log")
            && let Some(number) = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse().ok())
        {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

fn check_file(path: &Path) -> Result<Ending, OpenError> {
    let file = File::open(path).map_err(DiskError::at("read", path))?;
    match check_records(file).map_err(DiskError::at("read", path))? {
        Ok(ending) => Ok(ending),
        Err(Damage { offset, problem }) => Err(OpenError::DamagedRecord {
            file: path.to_owned(),
            offset,
            problem,
        }),
    }
}

/// Checks the records that `source` gives.
pub(crate) fn check_records(mut source: impl Read) -> io::Result<Result<Ending, Damage>> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let mut base = 0_u64;
    // The offset of the first part of a record whose last part has not come yet.
    let mut open_since = None;
    loop {
        block.clear();
        source
            .by_ref()
            .take(BLOCK_BYTES as u64)
            .read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(Ok(open_since.map_or(Ending::Whole, Ending::Torn)));
        }
        match check_block(&block, base, &mut open_since) {
            Ok(Ending::Whole) => {}
            other => return Ok(other),
        }
        base += block.len() as u64;
    }
}

fn check_block(block: &[u8], base: u64, open_since: &mut Option<u64>) -> Result<Ending, Damage> {
    let is_last = block.len() < BLOCK_BYTES;
    let mut rest = block;
    loop {
        let offset = base + (block.len() - rest.len()) as u64;
        let damage = |problem| Damage { offset, problem };
        if rest.is_empty() {
            return Ok(Ending::Whole);
        }
        let room = BLOCK_BYTES - (block.len() - rest.len());
        if room < HEADER_BYTES {
            let padding = rest.iter().all(|byte| *byte == 0);
            return padding
                .then_some(Ending::Whole)
                .ok_or(damage("the padding is not zero"));
        }
        match Record::read(rest) {
            Some(record) if HEADER_BYTES + record.length > room => {
                return Err(damage("the length of a record reaches past its block"));
            }
            Some(record) => {
                if let Some(data) = record.data {
                    if !record.checksum_holds(data) {
                        return Err(damage("the checksum of a record does not hold"));
                    }
                    follow(record.kind, offset, open_since).map_err(damage)?;
                    rest = rest.get(HEADER_BYTES + record.length..).unwrap_or_default();
                    continue;
                }
                if is_complete_after_all(record, rest) {
                    return Err(damage(
                        "the length of a record is not the one that was written",
                    ));
                }
            }
            None => {}
        }
        debug_assert!(is_last, "a full block has room for every record in it");
        return Ok(Ending::Torn(open_since.unwrap_or(offset)));
    }
}

/// A record that seems cut short is damaged if its checksum holds for all that is left, or if a
/// good record starts inside it: then the length is wrong, not the tail missing.
fn is_complete_after_all(record: Record<'_>, rest: &[u8]) -> bool {
    let all = rest.get(HEADER_BYTES..).unwrap_or_default();
    record.checksum_holds(all)
        || (1..rest.len()).any(|start| {
            rest.get(start..)
                .and_then(Record::read)
                .is_some_and(|inner| {
                    inner.kind_is_known()
                        && inner
                            .data
                            .is_some_and(|data| !data.is_empty() && inner.checksum_holds(data))
                })
        })
}

/// Whether a record of this kind may come here.
fn follow(kind: u8, offset: u64, open_since: &mut Option<u64>) -> Result<(), &'static str> {
    match (kind, open_since.is_some()) {
        (LAST, true) => *open_since = None,
        (FIRST, false) => *open_since = Some(offset),
        (MIDDLE, true) | (FULL, false) => {}
        (kind, false) if ABOUT_THE_FILE.contains(&kind) => {}
        (FULL | FIRST | MIDDLE | LAST, _) => return Err("a part of a record is missing"),
        _ => return Err("the type of a record is unknown"),
    }
    Ok(())
}

/// A header, and its data if all of it is there.
#[derive(Clone, Copy)]
struct Record<'a> {
    checksum: u32,
    length: usize,
    kind: u8,
    data: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// `None` if not even the header is there.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let ([c0, c1, c2, c3, l0, l1, kind], data) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let length = usize::from(u16::from_le_bytes([*l0, *l1]));
        let checksum = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
        Some(Self {
            checksum,
            length,
            kind: *kind,
            data: data.get(..length),
        })
    }

    fn kind_is_known(self) -> bool {
        matches!(self.kind, FULL..=LAST) || ABOUT_THE_FILE.contains(&self.kind)
    }

    fn checksum_holds(self, data: &[u8]) -> bool {
        mask(crc32c(&[&[self.kind], data])) == self.checksum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes records as the database does.
    fn write(records: &[Vec<u8>]) -> Vec<u8> {
        let mut file = Vec::new();
        for record in records {
            let mut rest = record.as_slice();
            let mut is_first = true;
            loop {
                let room = BLOCK_BYTES - file.len() % BLOCK_BYTES;
                if room < HEADER_BYTES {
                    file.resize(file.len() + room, 0);
                    continue;
                }
                let (part, after) = rest.split_at(rest.len().min(room - HEADER_BYTES));
                let kind = match (is_first, after.is_empty()) {
                    (true, true) => FULL,
                    (true, false) => FIRST,
                    (false, false) => MIDDLE,
                    (false, true) => LAST,
                };
                file.extend(mask(crc32c(&[&[kind], part])).to_le_bytes());
                file.extend(u16::try_from(part.len()).unwrap().to_le_bytes());
                file.push(kind);
                file.extend(part);
                (rest, is_first) = (after, false);
                if rest.is_empty() {
                    break;
                }
            }
        }
        file
    }

    fn check(file: &[u8]) -> Result<Ending, Damage> {
        check_records(file).unwrap()
    }

    fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let small = prop::collection::vec(any::<u8>(), 1..300);
        let large = (30_000..70_000_usize).prop_map(|length| vec![7; length]);
        prop::collection::vec(prop_oneof![4 => small, 1 => large], 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

        #[test]
        fn what_was_written_is_whole_and_any_prefix_of_it_is_torn_or_whole(
            records in records(), cut in any::<prop::sample::Index>()
        ) {
            let file = write(&records);
            prop_assert_eq!(check(&file), Ok(Ending::Whole));
            let length = cut.index(file.len() + 1);
            prop_assert!(check(&file[..length]).is_ok(), "cut at {}", length);
        }

        #[test]
        fn a_flipped_bit_anywhere_is_damage(
            records in records(), place in any::<prop::sample::Index>(), bit in 0..8_u32
        ) {
            let mut file = write(&records);
            let place = place.index(file.len());
            file[place] ^= 1 << bit;
            prop_assert!(check(&file).is_err(), "bit {} of byte {}", bit, place);
        }
    }

    #[test]
    fn every_flipped_bit_of_a_small_file_is_damage() {
        let file = write(&[vec![1; 20], vec![2; 3], vec![3; 40]]);
        for place in 0..file.len() * 8 {
            let mut file = file.clone();
            file[place / 8] ^= 1 << (place % 8);
            assert!(check(&file).is_err(), "bit {place}");
        }
    }
}
