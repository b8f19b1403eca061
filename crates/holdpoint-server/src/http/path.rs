//! Paths of the public log: C2SP `tlog-tiles` below `/log/<namespace>/`, and the published keys.
//!
//! ```text
//! /log/<namespace>/checkpoint
//! /log/<namespace>/tile/<level>/<index>[.p/<width>]
//! /log/<namespace>/tile/entries/<index>[.p/<width>]
//! /keys/<namespace>.json
//! /keys/<namespace>.jwks
//! ```
//!
//! Each path has one spelling, and nothing is decoded, so no second one reaches a log.

use holdpoint_receipt::Name;
use holdpoint_receipt::tiles::Tile;

use super::reply::{BYTES, JSON, TEXT};

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// The newest proven head.
    Checkpoint(Name),
    /// A tile of hashes, or a bundle of entries.
    Tile(Name, Tile),
    /// The key set.
    Keys(Name),
    /// The same for programs that know keys in no other form.
    Jwks(Name),
}

/// Why a path names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// There is nothing of the kind.
    #[error(
        "There is nothing here; a log is at /log/<namespace>/checkpoint, its keys are at \
         /keys/<namespace>.json."
    )]
    Unknown,
    /// A tile's place is not written as it must be.
    #[error(
        "A tile is <level>/<index>[.p/<width>]: a level up to 6, an index such as x001/234, a width \
         from 1 to 255."
    )]
    Tile,
    /// The namespace's name does not fit.
    #[error("The namespace is not a name: {0}.")]
    Namespace(holdpoint_receipt::NameError),
}

impl Resource {
    /// The kind of its content.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Checkpoint(_) => TEXT,
            Self::Tile(..) => BYTES,
            Self::Keys(_) | Self::Jwks(_) => JSON,
        }
    }

    /// Reads a path.
    pub(crate) fn parse(path: &str) -> Result<Self, PathError> {
        let path = path.strip_prefix('/').ok_or(PathError::Unknown)?;
        match path.split_once('/') {
            Some(("log", rest)) => {
                let (namespace, rest) = rest.split_once('/').ok_or(PathError::Unknown)?;
                if rest == "checkpoint" {
                    return name(namespace).map(Self::Checkpoint);
                }
                if !rest.starts_with("tile/") {
                    return Err(PathError::Unknown);
                }
                let tile = rest.parse().map_err(|_| PathError::Tile)?;
                Ok(Self::Tile(name(namespace)?, tile))
            }
            Some(("keys", file)) => match file.rsplit_once('.') {
                Some((namespace, "json")) => name(namespace).map(Self::Keys),
                Some((namespace, "jwks")) => name(namespace).map(Self::Jwks),
                _ => Err(PathError::Unknown),
            },
            _ => Err(PathError::Unknown),
        }
    }
}

fn name(text: &str) -> Result<Name, PathError> {
    Name::new(text).map_err(PathError::Namespace)
}

#[cfg(test)]
mod tests {
    use holdpoint_receipt::tiles::TileKind;

    use super::*;

    fn check(path: &str) -> Result<Resource, PathError> {
        Resource::parse(path)
    }

    #[test]
    fn path_names_a_head_a_tile_entries_or_keys() {
        let default = || Name::new("default").unwrap();
        for (path, resource) in [
            ("/log/default/checkpoint", Resource::Checkpoint(default())),
            ("/keys/default.json", Resource::Keys(default())),
            ("/keys/default.jwks", Resource::Jwks(default())),
        ] {
            assert_eq!(check(path), Ok(resource));
        }
        for (path, kind, index, width) in [
            ("0/000", TileKind::Hashes { level: 0 }, 0, 256),
            ("0/000.p/7", TileKind::Hashes { level: 0 }, 0, 7),
            (
                "2/x001/x234/067.p/255",
                TileKind::Hashes { level: 2 },
                1_234_067,
                255,
            ),
            ("entries/003", TileKind::Entries, 3, 256),
        ] {
            let tile = Tile::new(kind, index, width).unwrap();
            let path = format!("/log/default/tile/{path}");
            assert_eq!(check(&path), Ok(Resource::Tile(default(), tile)));
        }
    }

    #[test]
    fn second_spelling_of_a_tile_is_refused() {
        for place in [
            "00/000",
            "7/000",
            "0/0",
            "0/0000",
            "0/+01",
            "0/x000/001",
            "0/001/002",
            "0/x001/x002",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/07",
            "0/000.p",
            "0/",
            "0/000/",
            "0/x999/x999/x999/x999/x999/x999/999",
            "-1/000",
        ] {
            let path = format!("/log/default/tile/{place}");
            assert_eq!(check(&path), Err(PathError::Tile), "{path}");
        }
    }

    #[test]
    fn path_of_nothing_is_told_from_a_name_that_is_none() {
        for path in [
            "/",
            "",
            "/log/default",
            "/log/default/checkpoint/",
            "/keys/default",
            "/keys/default.json/",
            "/log/default/tiles",
            "/log//checkpoint/",
            "/metrics",
        ] {
            assert_eq!(check(path), Err(PathError::Unknown), "{path}");
        }
        let unfit = check("/log/de%66ault/checkpoint");
        assert!(matches!(unfit, Err(PathError::Namespace(_))), "{unfit:?}");
    }
}
