//! From tiles back to subtrees, entries and the root.

use std::collections::BTreeMap;

use super::{ENTRY_LENGTH_BYTES, TILE_WIDTH, Tile, TileError, TileKind};
use crate::digest::{DIGEST_BYTES, Digest};
use crate::merkle::{Frontier, Node, leaf_hash, node_hash};

/// The complete subtree at `(level, index)` of the tree of `size` leaves, from its tile: a reader for
/// [`crate::merkle::prove_inclusion`], [`crate::merkle::prove_consistency`] and
/// [`crate::merkle::root_at`].
///
/// # Errors
///
/// The tree has no such subtree, or a tile is cut off or cannot be read.
pub fn node_of_tiles<E>(
    level: u8,
    index: u64,
    size: u64,
    mut tile: impl FnMut(&Tile) -> Result<Vec<u8>, E>,
) -> Result<Option<Digest>, TileError<E>> {
    let kind = TileKind::Hashes { level: level / 8 };
    let height = u32::from(level % 8);
    let first = index.checked_shl(height).unwrap_or(u64::MAX);
    let Some(name) = Tile::holding(kind, first, size) else {
        return Ok(None);
    };
    let count = 1_usize.wrapping_shl(height);
    let Ok(offset) = usize::try_from(first.saturating_sub(name.first())) else {
        return Ok(None);
    };
    if offset.saturating_add(count) > usize::from(name.width) {
        return Ok(None);
    }
    let hashes = hashes_in(&name, &tile(&name).map_err(TileError::Read)?)?;
    let mut nodes: Vec<Digest> = hashes.into_iter().skip(offset).take(count).collect();
    while nodes.len() > 1 {
        let (pairs, _) = nodes.as_chunks::<2>();
        nodes = pairs
            .iter()
            .map(|[left, right]| node_hash(left, right))
            .collect();
    }
    Ok(nodes.first().copied())
}

fn hashes_in<E>(tile: &Tile, bytes: &[u8]) -> Result<Vec<Digest>, TileError<E>> {
    let (hashes, rest) = bytes.as_chunks::<DIGEST_BYTES>();
    if hashes.len() != usize::from(tile.width) || !rest.is_empty() {
        return Err(TileError::Incomplete(*tile));
    }
    Ok(hashes.iter().copied().map(Digest::from_bytes).collect())
}

/// The entries of a tile of entries, whatever they are; none if they are not exactly as many as its
/// name says.
#[must_use]
pub fn entries_of<'a>(tile: &Tile, bytes: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let mut entries = Vec::with_capacity(tile.width.into());
    let mut rest = bytes;
    for _ in 0..tile.width {
        let (length, after) = rest.split_first_chunk::<ENTRY_LENGTH_BYTES>()?;
        let (entry, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
        entries.push(entry);
        rest = after;
    }
    rest.is_empty().then_some(entries)
}

/// Verifies every tile of a log under a head: that the entries lead to its root, and each tile of
/// hashes holds what they lead to.
///
/// Reads each tile of [`super::tiles_of`] once; holds one tile of each level at a time.
///
/// # Errors
///
/// [`TileError`] names the first tile that is wrong, or says that the head is of another log.
pub fn verify_tiles<E>(
    size: u64,
    root: &Digest,
    mut read: impl FnMut(&Tile) -> Result<Vec<u8>, E>,
) -> Result<(), TileError<E>> {
    let mut frontier = Frontier::new();
    let mut levels: BTreeMap<u8, (Tile, Vec<Digest>)> = BTreeMap::new();
    let mut leaf = 0_u64;
    while let Some(bundle) = Tile::holding(TileKind::Entries, leaf, size) {
        let bytes = read(&bundle).map_err(TileError::Read)?;
        let entries = entries_of(&bundle, &bytes).ok_or(TileError::Incomplete(bundle))?;
        for entry in entries {
            let nodes = frontier.append(leaf_hash(entry));
            for node in nodes.map_err(|_full| TileError::Root)? {
                check_node(&node, size, &mut levels, &mut read)?;
            }
        }
        leaf = leaf.saturating_add(u64::from(TILE_WIDTH));
    }
    if frontier.size() == size && frontier.root() == *root {
        Ok(())
    } else {
        Err(TileError::Root)
    }
}

/// That a subtree of a tile's level stands in its tile.
fn check_node<E>(
    node: &Node,
    size: u64,
    levels: &mut BTreeMap<u8, (Tile, Vec<Digest>)>,
    read: &mut impl FnMut(&Tile) -> Result<Vec<u8>, E>,
) -> Result<(), TileError<E>> {
    if !node.level.is_multiple_of(8) {
        return Ok(());
    }
    let level = node.level / 8;
    let Some(tile) = Tile::holding(TileKind::Hashes { level }, node.index, size) else {
        return Ok(());
    };
    let is_held = levels.get(&level).is_some_and(|(held, _)| *held == tile);
    if !is_held {
        let bytes = read(&tile).map_err(TileError::Read)?;
        levels.insert(level, (tile, hashes_in(&tile, &bytes)?));
    }
    let offset = usize::try_from(node.index.saturating_sub(tile.first()));
    let held = levels.get(&level).zip(offset.ok());
    let found = held.and_then(|((_, hashes), offset)| hashes.get(offset));
    if found == Some(&node.hash) {
        Ok(())
    } else {
        Err(TileError::Wrong(tile))
    }
}
