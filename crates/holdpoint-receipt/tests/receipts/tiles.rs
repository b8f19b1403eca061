//! The log as tiles: paths, bytes, and what a mirror can find out.

use std::collections::BTreeMap;
use std::convert::Infallible;

use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::merkle::{
    Frontier, leaf_of, prove_consistency, prove_inclusion, root_at, verify_consistency,
    verify_inclusion,
};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::tiles::{
    Tile, TileError, TileKind, TilePathError, bytes_of, entries_of, node_of_tiles, tiles_of,
    verify_tiles,
};
use holdpoint_receipt::{Digest, sha256};
use proptest::prelude::*;

use crate::vectors::folder;

type Files = BTreeMap<Tile, Vec<u8>>;

fn hash_of(leaf: u64) -> Digest {
    sha256(&leaf.to_be_bytes())
}

/// A store of complete subtrees, as a node keeps it, and the frontier at each size.
struct Store {
    nodes: BTreeMap<(u8, u64), Digest>,
    roots: Vec<Digest>,
}

impl Store {
    fn of(size: u64) -> Self {
        let mut frontier = Frontier::new();
        let mut store = Self {
            nodes: BTreeMap::new(),
            roots: vec![frontier.root()],
        };
        for leaf in 0..size {
            for node in frontier.append(leaf_of(&hash_of(leaf))).unwrap() {
                store.nodes.insert((node.level, node.index), node.hash);
            }
            store.roots.push(frontier.root());
        }
        store
    }

    fn root(&self, size: u64) -> Digest {
        self.roots[usize::try_from(size).unwrap()]
    }

    fn bytes(&self, tile: &Tile, size: u64) -> Result<Vec<u8>, TileError<Infallible>> {
        bytes_of(tile, size, |level, index| {
            Ok(match tile.kind() {
                TileKind::Entries => Some(hash_of(index)),
                TileKind::Hashes { .. } => self.nodes.get(&(level, index)).copied(),
            })
        })
    }

    fn files(&self, size: u64) -> Files {
        let tiles = tiles_of(size);
        tiles
            .map(|tile| (tile, self.bytes(&tile, size).unwrap()))
            .collect()
    }
}

fn reader(files: &Files) -> impl FnMut(&Tile) -> Result<Vec<u8>, String> {
    |tile| files.get(tile).cloned().ok_or_else(|| format!("no {tile}"))
}

#[test]
fn tile_has_the_path_of_the_specification() {
    let check = |kind, index, width, path: &str| {
        let tile = Tile::new(kind, index, width).unwrap();
        assert_eq!(tile.to_string(), path);
        assert_eq!(path.parse(), Ok(tile));
    };
    let hashes = |level| TileKind::Hashes { level };
    check(hashes(0), 0, 256, "tile/0/000");
    check(hashes(0), 0, 1, "tile/0/000.p/1");
    check(hashes(1), 273, 255, "tile/1/273.p/255");
    check(hashes(6), 1_234_067, 256, "tile/6/x001/x234/067");
    check(TileKind::Entries, 1000, 256, "tile/entries/x001/000");
    check(TileKind::Entries, 999, 8, "tile/entries/999.p/8");
    assert_eq!(Tile::new(hashes(7), 0, 1), None);
    assert_eq!(Tile::new(hashes(0), 0, 0), None);
    assert_eq!(Tile::new(hashes(0), 0, 257), None);
    assert_eq!(Tile::new(hashes(0), 1 << 53, 1), None);
}

#[test]
fn path_in_another_spelling_is_refused() {
    for path in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/+0/000",
        "tile/7/000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/x1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/",
        "tile/0/000/",
        "tile/0/../0/000",
        "tile/entries/",
        "tile/entries/-01",
        "tile/data/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(path.parse::<Tile>(), Err(TilePathError), "{path}");
    }
}

#[test]
fn tree_has_exactly_the_tiles_of_its_size() {
    let names = |size| -> Vec<String> { tiles_of(size).map(|tile| tile.to_string()).collect() };
    assert_eq!(names(0), Vec::<String>::new());
    assert_eq!(names(1), ["tile/entries/000.p/1", "tile/0/000.p/1"]);
    assert_eq!(
        names(256),
        ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    );
    assert_eq!(
        names(70_000).last().map(String::as_str),
        Some("tile/2/000.p/1")
    );
    // Of a partial tile every smaller one is there too, and nothing beyond.
    let is_in = |path: &str, size| path.parse::<Tile>().unwrap().is_in(size);
    assert!(is_in("tile/0/001.p/3", 260) && is_in("tile/0/001.p/4", 260));
    assert!(!is_in("tile/0/001.p/5", 260) && !is_in("tile/0/001", 260));
    assert!(is_in("tile/1/000.p/1", 511) && !is_in("tile/1/000.p/2", 511));
    let store = Store::of(5);
    let beyond = "tile/0/000.p/6".parse().unwrap();
    assert_eq!(
        store.bytes(&beyond, 5),
        Err(TileError::NotThere {
            tile: beyond,
            size: 5
        })
    );
    let swept = bytes_of(&"tile/0/000.p/5".parse().unwrap(), 5, |_, _| {
        Ok::<_, Infallible>(None)
    });
    assert!(matches!(swept, Err(TileError::Incomplete(_))));
}

#[test]
fn tiles_of_every_size_lead_back_to_the_root() {
    let store = Store::of(1100);
    for size in (0..=20).chain([255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 1100]) {
        let files = store.files(size);
        assert_eq!(
            verify_tiles(size, &store.root(size), reader(&files)),
            Ok(()),
            "{size}"
        );
        let node = |level, index| node_of_tiles(level, index, size, reader(&files));
        assert_eq!(root_at(size, node).unwrap(), store.root(size));
        for earlier in [1, size / 2, size.saturating_sub(1)] {
            if !(1..=size).contains(&earlier) {
                continue;
            }
            let (old, new) = (store.root(earlier), store.root(size));
            let proof = prove_consistency(earlier, size, node).unwrap();
            assert_eq!(
                verify_consistency(earlier, size, &old, &new, &proof),
                Ok(())
            );
            let (leaf, proof) = (
                earlier - 1,
                prove_inclusion(earlier - 1, size, node).unwrap(),
            );
            let hash = leaf_of(&hash_of(leaf));
            assert_eq!(verify_inclusion(leaf, size, &hash, &proof, &new), Ok(()));
        }
    }
}

#[test]
fn mirror_finds_every_wrong_tile() {
    let store = Store::of(600);
    let (files, root) = (store.files(600), store.root(600));
    for tile in files.keys() {
        for place in [0, 40, files[tile].len() - 1] {
            let mut changed = files.clone();
            if let Some(byte) = changed.get_mut(tile).and_then(|bytes| bytes.get_mut(place)) {
                *byte ^= 1;
                assert!(
                    verify_tiles(600, &root, reader(&changed)).is_err(),
                    "{tile}"
                );
            }
        }
        let mut cut = files.clone();
        cut.get_mut(tile).unwrap().pop();
        let found = verify_tiles(600, &root, reader(&cut));
        assert_eq!(found, Err(TileError::Incomplete(*tile)));
    }
    let another = verify_tiles(600, &sha256(b"another history"), reader(&files));
    assert_eq!(another, Err(TileError::Root));
    let missing = verify_tiles(600, &root, |_| Err::<Vec<u8>, _>("gone"));
    assert_eq!(missing, Err(TileError::Read("gone")));
}

proptest! {
    #[test]
    fn every_path_reads_back_and_no_text_makes_the_reader_panic(
        level in 0_u8..7,
        index in 0_u64..1 << 53,
        width in 1_u16..=256,
        text in "tile/[0-9ex./p]{0,30}",
    ) {
        for kind in [TileKind::Hashes { level }, TileKind::Entries] {
            let tile = Tile::new(kind, index, width).unwrap();
            prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        }
        if let Ok(tile) = text.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), text);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_of_entries_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        width in 1_u16..6,
    ) {
        let tile = Tile::new(TileKind::Entries, 0, width).unwrap();
        let found = entries_of(&tile, &bytes);
        prop_assert!(found.is_none_or(|entries| entries.len() == usize::from(width)));
    }
}

/// A log that another implementation wrote, at each of its sizes.
#[test]
fn tiles_of_the_tessera_log_verify_under_its_checkpoints() {
    let Some(folder) = folder("tessera-testdata") else {
        return;
    };
    let log = folder.join("testdata/log");
    for size in 1_u64..=15 {
        let file = std::fs::read_to_string(log.join(format!("checkpoint.{size}"))).unwrap();
        let head: Checkpoint = file.parse::<Note>().unwrap().text().parse().unwrap();
        let read = |tile: &Tile| std::fs::read(log.join(tile.to_string()));
        let found = verify_tiles(size, &head.root, read);
        assert!(found.is_ok(), "{size}: {found:?}");
        let node = |level, index| node_of_tiles(level, index, size, read);
        assert_eq!(root_at(size, node).unwrap(), head.root);
        let other = verify_tiles(size, &sha256(b"other"), read);
        assert!(matches!(other, Err(TileError::Root)));
    }
}
