//! The log as files for everyone: C2SP `tlog-tiles`.
//!
//! ```text
//! tile/<L>/<N>[.p/<W>]         256 (or W) hashes of 32 bytes: complete subtrees of 256^L leaves
//! tile/entries/<N>[.p/<W>]     256 (or W) entries: length (2 bytes, big endian) | receipt hash
//! ```
//!
//! `<N>` is written in groups of three digits, all but the last with an `x` in front: `x001/x234/067`.
//! A tile that a head covers never changes, so every cache may keep it for ever. Entries are receipt
//! hashes: nothing of a statement can be learned from them.
//!
//! Nothing here reads a file or a store; both sides pass in a reader.

mod read;
mod write;

use std::fmt;
use std::str::FromStr;

pub use read::{entries_of, node_of_tiles, verify_tiles};
pub use write::{bytes_of, tiles_of};

/// The most hashes or entries of one tile.
pub const TILE_WIDTH: u16 = 256;

/// The highest level of a tile in a tree of fewer than 2^53 leaves.
pub const LEVEL_MAX: u8 = 6;

/// Bytes in front of an entry.
const ENTRY_LENGTH_BYTES: usize = 2;

/// Why there are no such bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError<E> {
    /// The tree is too small for this tile.
    #[error("`{tile}` is not in a tree of {size} leaves")]
    NotThere {
        /// The tile.
        tile: Tile,
        /// Leaves in the tree.
        size: u64,
    },
    /// What the tile is made of is not stored, or the tile has another length than its name says.
    #[error("`{0}` is incomplete")]
    Incomplete(Tile),
    /// A tile holds other hashes than the entries and the tiles below it lead to.
    #[error("`{0}` does not belong to this log")]
    Wrong(Tile),
    /// The entries lead to another root than the head's.
    #[error("the entries lead to another root than the head has")]
    Root,
    /// The reader failed.
    #[error("a tile could not be read")]
    Read(#[source] E),
}

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes of complete subtrees of `256^level` leaves.
    Hashes {
        /// The tile's level, from 0 to [`LEVEL_MAX`].
        level: u8,
    },
    /// What the leaves are hashes of.
    Entries,
}

/// The name of a tile; shown and parsed as its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    // INVARIANT: from 1 to TILE_WIDTH.
    width: u16,
}

impl Tile {
    /// Names a tile; none if the level or the width is none that a tile has.
    #[must_use]
    pub fn new(kind: TileKind, index: u64, width: u16) -> Option<Self> {
        let is_level = match kind {
            TileKind::Hashes { level } => level <= LEVEL_MAX,
            TileKind::Entries => true,
        };
        let fits = is_level && (1..=TILE_WIDTH).contains(&width) && index < 1 << 53;
        fits.then_some(Self { kind, index, width })
    }

    /// What it holds.
    #[must_use]
    pub const fn kind(&self) -> TileKind {
        self.kind
    }

    /// Its place among the tiles of its kind, from 0.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it holds, from 1 to [`TILE_WIDTH`].
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether it is whole, so that its path has no `.p`.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Whether a tree of `size` leaves has it. Of a partial tile it has every smaller one too.
    #[must_use]
    pub const fn is_in(&self, size: u64) -> bool {
        let end = self.first().saturating_add(self.width as u64);
        end <= size.wrapping_shr(self.shift())
    }

    /// The place of its first hash among those of its level, or of its first entry.
    const fn first(&self) -> u64 {
        self.index.saturating_mul(TILE_WIDTH as u64)
    }

    /// One of its hashes covers `1 << shift` leaves.
    const fn shift(&self) -> u32 {
        match self.kind {
            TileKind::Hashes { level } => (level as u32).saturating_mul(8),
            TileKind::Entries => 0,
        }
    }

    /// The tile with this place on its level, as wide as a tree of `size` leaves has it.
    fn holding(kind: TileKind, place: u64, size: u64) -> Option<Self> {
        let mut tile = Self::new(kind, place.wrapping_shr(8), TILE_WIDTH)?;
        let there = size.wrapping_shr(tile.shift()).saturating_sub(tile.first());
        tile.width = u16::try_from(there).map_or(TILE_WIDTH, |there| there.min(TILE_WIDTH));
        (tile.width > 0).then_some(tile)
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}")?,
            TileKind::Entries => f.write_str("tile/entries")?,
        }
        let digits = self.index.to_string();
        // To whole groups of three.
        let width = digits.len().div_ceil(3).saturating_mul(3);
        let digits = format!("{digits:0>width$}");
        let (groups, _) = digits.as_bytes().as_chunks::<3>();
        for (place, group) in groups.iter().enumerate() {
            let is_last = place.saturating_add(1) == groups.len();
            let group = std::str::from_utf8(group).unwrap_or_default();
            write!(f, "/{}{group}", if is_last { "" } else { "x" })?;
        }
        if self.is_full() {
            Ok(())
        } else {
            write!(f, ".p/{}", self.width)
        }
    }
}

/// Why a path is not one of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a tile: `tile/<level>/<index>[.p/<width>]` or `tile/entries/…`")]
pub struct TilePathError;

impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let tile = read_path(path).ok_or(TilePathError)?;
        // Leading zeros, superfluous groups and full partial tiles are other paths.
        if tile.to_string() == path {
            Ok(tile)
        } else {
            Err(TilePathError)
        }
    }
}

fn read_path(path: &str) -> Option<Tile> {
    /// No index has more digits.
    const PATH_BYTES_MAX: usize = 64;
    let rest = path
        .strip_prefix("tile/")
        .filter(|path| path.len() <= PATH_BYTES_MAX)?;
    let (kind, rest) = rest.split_once('/')?;
    let kind = match kind {
        "entries" => TileKind::Entries,
        level => TileKind::Hashes {
            level: level.parse().ok()?,
        },
    };
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok()?),
        None => (rest, TILE_WIDTH),
    };
    let digits: String = index.chars().filter(char::is_ascii_digit).collect();
    Tile::new(kind, digits.parse().ok()?, width)
}
