//! Which rows lie together on disk, and how.
//!
//! What a decision costs must not grow with the history behind it, and most rows of a state are
//! history. So rows are parted by how they are written, and every part is kept the way that suits
//! it:
//!
//! ```text
//! default      what is in force now         small, and stays so: often merged, all of it warm
//! statements   by leaf, only at the end     hardly ever merged; nobody asks for what is not there
//! disclosures  by leaf, only at the end     the same, apart from what stays longer
//! indexes      by time, by fence, by place merged few times; nobody asks for what is not there
//!              in a tree
//! history      by names that come in any    merged few times; filters say of a new name that it is
//!              order                        not there
//! applied      one row                      how far the log is applied
//! ```
//!
//! Indexes by time are read from their start, where rows go all the time. What is left of the deleted ones
//! stays long where merges are few, but a scan begins behind it ([`super::starts`]).
//!
//! All are flushed in one step. Nobody above knows of them: reads see one order of keys. It never
//! looks at a value.

use std::path::Path;

use holdpoint_core::{Kind, StateKey};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB,
    DBCompactionStyle, DBCompressionType, Options,
};

use super::starts;
use crate::error::OpenError;
use crate::rocks;

/// Writes gathered in memory before they go to files, all families together.
const WRITE_BUFFERS_BYTES: usize = 32 << 20;
/// Blocks in memory, all families together: rows, filters and indexes.
const BLOCK_CACHE_BYTES: usize = 64 << 20;
/// Levels of a family.
const LEVELS: usize = 7;
/// Flushed files that are merged at once where rows go all the time: a scan of what holds a capacity
/// steps over every row that has gone and is not merged away.
const FLUSHES_MERGED: i32 = 2;
/// Flushed files that are merged at once where rows go seldom.
const RUNS_MERGED: i32 = 8;
/// Flushed files that are merged at once where rows only come at the end. A look-up of a leaf meets only
/// those whose span has it: one, where there is one namespace.
const APPENDED_RUNS_MERGED: i32 = 24;
/// Writes wait when so many times as many files are there as are merged at once.
const RUNS_SLOWING: i32 = 3;
/// Writes stop at so many times as many.
const RUNS_STOPPING: i32 = 4;
/// What the filter of keys may take of a family's writes in memory.
const MEMORY_FILTER_RATIO: f64 = 0.02;

/// Rows that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Current,
    Statements,
    Disclosures,
    Indexes,
    History,
}

impl Family {
    pub(super) const ALL: [Self; 5] = [
        Self::Current,
        Self::Statements,
        Self::Disclosures,
        Self::Indexes,
        Self::History,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Current => "default",
            Self::Statements => "statements",
            Self::Disclosures => "disclosures",
            Self::Indexes => "indexes",
            Self::History => "history",
        }
    }

    /// Where the row of this key is.
    pub(super) fn of(key: &StateKey) -> Self {
        key.parts()
            .map_or(Self::Current, |parts| Self::of_kind(parts.kind))
    }

    /// Where all rows are whose key starts with `prefix`; `None` if the prefix ends before the kind.
    pub(super) fn of_prefix(prefix: &[u8]) -> Option<Self> {
        let prefix = StateKey::from_bytes(prefix.to_vec());
        prefix.parts().map(|parts| Self::of_kind(parts.kind))
    }

    fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Leaf => Self::Statements,
            Kind::Disclosure => Self::Disclosures,
            Kind::Subtree | Kind::Fence | Kind::Live => Self::Indexes,
            Kind::Attempt | Kind::Permit | Kind::Tombstone => Self::History,
            kind if starts::is_by_time(kind) => Self::Indexes,
            _ => Self::Current,
        }
    }

    fn options(self, base: &Options, cache: &Cache) -> Options {
        let mut options = base.clone();
        match self {
            Self::Current => {
                options.set_level_zero_file_num_compaction_trigger(FLUSHES_MERGED);
                options.set_memtable_prefix_bloom_ratio(MEMORY_FILTER_RATIO);
                options.set_memtable_whole_key_filtering(true);
            }
            Self::Statements | Self::Disclosures => in_runs(&mut options, APPENDED_RUNS_MERGED),
            Self::Indexes => in_runs(&mut options, RUNS_MERGED),
            Self::History => {
                in_runs(&mut options, RUNS_MERGED);
                options.set_memtable_prefix_bloom_ratio(MEMORY_FILTER_RATIO);
                options.set_memtable_whole_key_filtering(true);
            }
        }
        let is_asked_for_nothing = matches!(self, Self::Current | Self::History);
        options.set_block_based_table_factory(&table_options(cache, is_asked_for_nothing));
        options
    }
}

/// Merges `runs` of a like size: a row is written again as often as its family grows so many times, not
/// ten times for each level. Files handed down as they are would cost less still where rows only come at
/// the end, but then there would be one more with every flush, for ever.
///
/// The first level holds what was flushed, and is gone soon: to compress it pays nothing back.
fn in_runs(options: &mut Options, runs: i32) {
    let mut levels = [DBCompressionType::Lz4; LEVELS];
    if let Some(first) = levels.first_mut() {
        *first = DBCompressionType::None;
    }
    options.set_compression_per_level(&levels);
    options.set_level_zero_file_num_compaction_trigger(runs);
    options.set_level_zero_slowdown_writes_trigger(runs.saturating_mul(RUNS_SLOWING));
    options.set_level_zero_stop_writes_trigger(runs.saturating_mul(RUNS_STOPPING));
    options.set_compaction_style(DBCompactionStyle::Universal);
}

/// Filters and indexes are in pieces that the cache takes and gives up like rows, so that what is in
/// memory does not grow with what is on disk. In one piece, the filter of a large file would not fit
/// the cache and be read again at every look-up.
fn table_options(cache: &Cache, is_filtered: bool) -> BlockBasedOptions {
    let mut table = rocks::table_options(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_pin_top_level_index_and_filter(true);
    if is_filtered {
        table.set_bloom_filter(rocks::FILTER_BITS, false);
        table.set_partition_filters(true);
    }
    table
}

/// The column family of how far the log is applied.
const APPLIED: &str = "applied";

/// Opens the database in `folder`, or creates it.
pub(super) fn open(folder: &Path, create: bool) -> Result<DB, rocksdb::Error> {
    let (options, families) = described(create);
    DB::open_cf_descriptors(&options, folder, families)
}

/// Opens the database in `folder` to read it: nothing there changes.
pub(super) fn open_read_only(folder: &Path) -> Result<DB, rocksdb::Error> {
    let (options, families) = described(false);
    DB::open_cf_descriptors_read_only(&options, folder, families, false)
}

fn described(create: bool) -> (Options, Vec<ColumnFamilyDescriptor>) {
    let mut options = rocks::options(create);
    options.set_atomic_flush(true);
    options.set_write_buffer_size(WRITE_BUFFERS_BYTES);
    options.set_db_write_buffer_size(WRITE_BUFFERS_BYTES);
    let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
    let mut families: Vec<_> = Family::ALL
        .iter()
        .map(|family| ColumnFamilyDescriptor::new(family.name(), family.options(&options, &cache)))
        .collect();
    families.push(ColumnFamilyDescriptor::new(APPLIED, options.clone()));
    (options, families)
}

/// Refuses a database whose families are not these: another version of this program wrote it.
pub(super) fn check(folder: &Path) -> Result<(), OpenError> {
    let found =
        DB::list_cf(&Options::default(), folder).map_err(|error| rocks::refusal(folder, error))?;
    let mut expected = Family::ALL.map(Family::name).to_vec();
    expected.push(APPLIED);
    let refused = |problem: String| OpenError::DamagedFile {
        file: folder.to_owned(),
        problem,
    };
    if let Some(name) = expected
        .iter()
        .find(|name| !found.iter().any(|it| it == *name))
    {
        return Err(refused(format!(
            "it has no column family `{name}`; another version wrote it, or a part of it is lost"
        )));
    }
    if let Some(name) = found.iter().find(|name| !expected.contains(&name.as_str())) {
        return Err(refused(format!(
            "it has a column family `{name}`, which this version does not know"
        )));
    }
    Ok(())
}

/// The families of an open database.
pub(super) struct Families<'a> {
    current: &'a ColumnFamily,
    statements: &'a ColumnFamily,
    disclosures: &'a ColumnFamily,
    indexes: &'a ColumnFamily,
    history: &'a ColumnFamily,
    pub(super) applied: &'a ColumnFamily,
}

impl<'a> Families<'a> {
    /// `None` if one is gone.
    pub(super) fn of(db: &'a DB) -> Option<Self> {
        let family = |family: Family| db.cf_handle(family.name());
        Some(Self {
            current: family(Family::Current)?,
            statements: family(Family::Statements)?,
            disclosures: family(Family::Disclosures)?,
            indexes: family(Family::Indexes)?,
            history: family(Family::History)?,
            applied: db.cf_handle(APPLIED)?,
        })
    }

    pub(super) fn get(&self, family: Family) -> &'a ColumnFamily {
        match family {
            Family::Current => self.current,
            Family::Statements => self.statements,
            Family::Disclosures => self.disclosures,
            Family::Indexes => self.indexes,
            Family::History => self.history,
        }
    }

    /// Every one, to be flushed together.
    pub(super) fn all(&self) -> Vec<&'a ColumnFamily> {
        let mut all = Family::ALL.map(|family| self.get(family)).to_vec();
        all.push(self.applied);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_core::{GroupId, KeySpace};
    use holdpoint_receipt::Name;

    #[test]
    fn every_kind_has_one_family_whether_asked_by_key_or_by_prefix() {
        let name = Name::new("default").unwrap();
        for keys in [
            KeySpace::group(GroupId::FIRST),
            KeySpace::namespace(GroupId::FIRST, &name),
        ] {
            for kind in Kind::ALL {
                let prefix = keys.prefix(*kind);
                let family = Family::of_prefix(&prefix);
                assert_eq!(family, Some(Family::of_kind(*kind)));
                let key = StateKey::from_bytes([prefix.as_slice(), &[0xff; 9]].concat());
                assert_eq!(Some(Family::of(&key)), family);
                assert_eq!(Family::of_prefix(&prefix[..prefix.len() - 1]), None);
            }
        }
    }
}
