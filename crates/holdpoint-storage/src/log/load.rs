//! Opens the database of the log and reads what it holds.
//!
//! It never repairs anything: what is not whole is refused.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use holdpoint_core::GroupId;
use rocksdb::{Cache, DB, DBRecoveryMode, IteratorMode, Options};

use super::Purged;
use super::key::LogKey;
use super::window::Window;
use crate::error::OpenError;
use crate::rocks;

/// Size of the database's own log files above which it writes them out and starts anew.
const WAL_BYTES_MAX: u64 = 64 << 20;

/// Blocks kept in memory.
const BLOCK_CACHE_BYTES: usize = 64 << 20;

/// How the database is opened.
pub(super) fn database_options(create: bool) -> Options {
    let mut options = rocks::options(create);
    // A torn last record is the normal mark of a crash; anything else stops the node. The default
    // drops everything after a damaged record without a word.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    let mut table = rocks::table_options(&Cache::new_lru_cache(BLOCK_CACHE_BYTES));
    // Held beside the cache for as long as their file is open: the log is purged, so they stay few.
    table.set_cache_index_and_filter_blocks(false);
    table.set_bloom_filter(rocks::FILTER_BITS, false);
    options.set_block_based_table_factory(&table);
    options
}

/// Reads what the log holds, every key of it, so that a hole or a damaged block shows now.
pub(super) fn load(db: &DB, folder: &Path) -> Result<BTreeMap<GroupId, Window>, OpenError> {
    let mut groups: BTreeMap<GroupId, Window> = BTreeMap::new();
    for row in db.iterator(IteratorMode::Start) {
        let (key, value) = row.map_err(|error| rocks::refusal(folder, error))?;
        let damaged = |problem: &str| OpenError::DamagedFile {
            file: folder.to_owned(),
            problem: problem.to_owned(),
        };
        let (group, key) =
            LogKey::decode(&key).ok_or_else(|| damaged("it holds a record of an unknown kind"))?;
        let window = groups.entry(group).or_default();
        match key {
            LogKey::Vote => window.vote = Some(Bytes::from(value)),
            LogKey::Committed => window.committed = Some(Bytes::from(value)),
            LogKey::Local(name) => {
                window.locals.insert(name, Bytes::from(value));
            }
            LogKey::Purged => {
                let (index, bytes) = value
                    .split_first_chunk::<8>()
                    .ok_or_else(|| damaged("the record of the last purged entry is short"))?;
                let index = u64::from_be_bytes(*index);
                let bytes = Bytes::copy_from_slice(bytes);
                window.bounds.purged = Some(Purged { index, bytes });
            }
            LogKey::Entry(found) => {
                // Kinds sort so that the purged record comes before the entries.
                if let Some(expected) = window.bounds.next().filter(|next| *next != found) {
                    return Err(OpenError::LogHole {
                        group: group.0,
                        expected,
                        found,
                    });
                }
                let first = window.bounds.held.map_or(found, |(first, _)| first);
                window.bounds.held = Some((first, found));
            }
        }
    }
    Ok(groups)
}
