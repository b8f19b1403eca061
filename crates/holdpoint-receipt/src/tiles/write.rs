//! The bytes of tiles, from stored subtrees and receipt hashes.

use super::{ENTRY_LENGTH_BYTES, LEVEL_MAX, TILE_WIDTH, Tile, TileError, TileKind};
use crate::digest::{DIGEST_BYTES, Digest};

/// The bytes of a tile of the tree of `size` leaves.
///
/// `hash` reads what the tile is made of: for hashes the complete subtree at `(level, index)` of
/// [`crate::merkle`], for entries the receipt hash of leaf `index`, with level 0.
///
/// # Errors
///
/// The tree does not have the tile, or something that it is made of is missing or cannot be read.
pub fn bytes_of<E>(
    tile: &Tile,
    size: u64,
    mut hash: impl FnMut(u8, u64) -> Result<Option<Digest>, E>,
) -> Result<Vec<u8>, TileError<E>> {
    if !tile.is_in(size) {
        return Err(TileError::NotThere { tile: *tile, size });
    }
    let item_bytes = ENTRY_LENGTH_BYTES.saturating_add(DIGEST_BYTES);
    let mut bytes = Vec::with_capacity(item_bytes.saturating_mul(tile.width.into()));
    // A level is at most 6, so this is below 64.
    let level = u8::try_from(tile.shift()).unwrap_or(u8::MAX);
    for place in (tile.first()..).take(tile.width.into()) {
        let found = hash(level, place).map_err(TileError::Read)?;
        let found = found.ok_or(TileError::Incomplete(*tile))?;
        if tile.kind == TileKind::Entries {
            // 32 in two bytes, big endian.
            bytes.extend([0, 32]);
        }
        bytes.extend(found.as_bytes());
    }
    Ok(bytes)
}

/// Every tile of the tree of `size` leaves, each as wide as that tree has it: entries first, then
/// level by level.
pub fn tiles_of(size: u64) -> impl Iterator<Item = Tile> {
    let levels = (0..=LEVEL_MAX).map(|level| TileKind::Hashes { level });
    let kinds = std::iter::once(TileKind::Entries).chain(levels);
    kinds.flat_map(move |kind| {
        let firsts = (0_u64..).map(|index| index.saturating_mul(u64::from(TILE_WIDTH)));
        firsts.map_while(move |place| Tile::holding(kind, place, size))
    })
}
