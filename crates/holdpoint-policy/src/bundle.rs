//! A bundle as bytes: its files, its digest, and its one encoding.
//!
//! Nothing here knows what the files mean. Two bundles are the same exactly if their digests are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use holdpoint_receipt::{Digest, sha256};

/// The longest encoding of a bundle. A bundle travels in one log entry.
pub const BUNDLE_BYTES_MAX: usize = 384 * 1024;
/// The most files in a bundle.
pub const FILES_MAX: usize = 256;
/// The longest path in a bundle.
pub const PATH_BYTES_MAX: usize = 128;

/// The first bytes of an encoded bundle, and the version of the encoding.
const MAGIC: &[u8; 8] = b"hpbndl\0\x01";
const COUNT_BYTES: usize = 2;
const PATH_LENGTH_BYTES: usize = 1;
const FILE_LENGTH_BYTES: usize = 4;

const _: () = assert!(PATH_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(FILES_MAX <= u16::MAX as usize);
const _: () = assert!(BUNDLE_BYTES_MAX <= u32::MAX as usize);

/// The files of a policy bundle, by path.
///
/// Immutable once made, and within its limits: no maker gives one that could not be encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    // INVARIANT: paths passed `check_path`; the encoding fits `BUNDLE_BYTES_MAX`.
    files: BTreeMap<String, Vec<u8>>,
}

/// Why files or bytes are not a bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A path could leave the bundle, or would not look the same everywhere.
    #[error(
        "path `{path}` is not accepted: use at most {PATH_BYTES_MAX} bytes of `A-Z a-z 0-9 . _ -` \
         in parts separated by `/`, none of them starting with `.`"
    )]
    Path {
        /// The path.
        path: String,
    },
    /// A path occurs twice.
    #[error("file `{path}` occurs twice")]
    Twice {
        /// The path.
        path: String,
    },
    /// There are too many files.
    #[error("the bundle has more than {FILES_MAX} files")]
    TooManyFiles,
    /// The encoding would be too long.
    #[error("the bundle is larger than {BUNDLE_BYTES_MAX} bytes")]
    TooLarge,
    /// The bytes are not an encoded bundle.
    #[error("not an encoded bundle: {why}")]
    Encoding {
        /// What was found.
        why: &'static str,
    },
}

impl Bundle {
    /// Takes files by path.
    ///
    /// # Errors
    ///
    /// [`BundleError`] if a path is not accepted or occurs twice, or a limit is passed.
    pub fn new<P: Into<String>, B: Into<Vec<u8>>>(
        files: impl IntoIterator<Item = (P, B)>,
    ) -> Result<Self, BundleError> {
        let mut taken = BTreeMap::new();
        let mut bytes = MAGIC.len().saturating_add(COUNT_BYTES);
        for (path, content) in files {
            let (path, content) = (path.into(), content.into());
            check_path(&path)?;
            bytes = bytes
                .saturating_add(PATH_LENGTH_BYTES.saturating_add(FILE_LENGTH_BYTES))
                .saturating_add(path.len())
                .saturating_add(content.len());
            if bytes > BUNDLE_BYTES_MAX {
                return Err(BundleError::TooLarge);
            }
            if taken.contains_key(&path) {
                return Err(BundleError::Twice { path });
            }
            taken.insert(path, content);
            if taken.len() > FILES_MAX {
                return Err(BundleError::TooManyFiles);
            }
        }
        Ok(Self { files: taken })
    }

    /// The content of the file at `path`.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// All files, in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// What identifies the bundle.
    ///
    /// SHA-256 over one line for each file, `<sha256> <length> <path>\n`, the lines sorted as bytes.
    /// `docs/reference/policy-bundle.md` has the shell commands that compute the same.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut lines: Vec<String> = self
            .files()
            .map(|(path, content)| {
                let mut line = String::new();
                // Writing to a string cannot fail.
                let _ = writeln!(line, "{} {} {path}", sha256(content), content.len());
                line
            })
            .collect();
        lines.sort();
        sha256(lines.concat().as_bytes())
    }

    /// The one encoding.
    ///
    /// ```text
    /// "hpbndl" 00 01 | files (2) | each file, paths rising:
    ///     path length (1) | path | length (4) | content          all numbers big endian
    /// ```
    ///
    /// # Panics
    ///
    /// Never on a bundle that [`Bundle::new`] made: it has counted the same bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(be_tail::<COUNT_BYTES>(self.files.len()));
        for (path, content) in self.files() {
            out.extend(be_tail::<PATH_LENGTH_BYTES>(path.len()));
            out.extend(path.as_bytes());
            out.extend(be_tail::<FILE_LENGTH_BYTES>(content.len()));
            out.extend(content);
        }
        assert!(
            out.len() <= BUNDLE_BYTES_MAX,
            "a bundle is made within its limits"
        );
        out
    }

    /// Reads what [`Bundle::encode`] wrote, and nothing else.
    ///
    /// # Errors
    ///
    /// [`BundleError`] for every input that is not the one encoding of a bundle.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > BUNDLE_BYTES_MAX {
            return Err(BundleError::TooLarge);
        }
        let mut rest = bytes
            .strip_prefix(MAGIC)
            .ok_or(encoding("it starts otherwise"))?;
        let count = take_number::<COUNT_BYTES>(&mut rest)?;
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for _ in 0..count {
            let length = take_number::<PATH_LENGTH_BYTES>(&mut rest)?;
            let path = take(&mut rest, length)?;
            let path = str::from_utf8(path).map_err(|_| encoding("a path is not UTF-8"))?;
            if files
                .last()
                .is_some_and(|(before, _)| before.as_str() >= path)
            {
                return Err(encoding("the paths do not rise"));
            }
            let length = take_number::<FILE_LENGTH_BYTES>(&mut rest)?;
            files.push((path.to_owned(), take(&mut rest, length)?.to_vec()));
        }
        if !rest.is_empty() {
            return Err(encoding("bytes follow the last file"));
        }
        Self::new(files)
    }
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let files = self.files().map(|(path, content)| (path, content.len()));
        f.write_str("Bundle ")?;
        f.debug_map().entries(files).finish()
    }
}

const fn encoding(why: &'static str) -> BundleError {
    BundleError::Encoding { why }
}

/// The last `N` bytes of the big-endian form. The limits above say that it fits.
fn be_tail<const N: usize>(number: usize) -> impl Iterator<Item = u8> {
    let bytes = number.to_be_bytes();
    let skip = bytes.len().saturating_sub(N);
    bytes.into_iter().skip(skip)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], BundleError> {
    let (taken, after) = rest
        .split_at_checked(length)
        .ok_or(encoding("it ends early"))?;
    *rest = after;
    Ok(taken)
}

fn take_number<const N: usize>(rest: &mut &[u8]) -> Result<usize, BundleError> {
    let bytes = take(rest, N)?;
    Ok(bytes
        .iter()
        .fold(0, |number, byte| (number << 8) | usize::from(*byte)))
}

/// Accepts paths that cannot leave the bundle and are the same on every file system.
pub(crate) fn check_path(path: &str) -> Result<(), BundleError> {
    let part_fits = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
    };
    if path.len() <= PATH_BYTES_MAX && path.split('/').all(part_fits) {
        return Ok(());
    }
    Err(BundleError::Path {
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn two() -> Bundle {
        Bundle::new([("b.yaml", "two"), ("a/a.cedar", "one")]).unwrap()
    }

    #[test]
    fn digest_is_the_sha256_of_the_sorted_list() {
        // printf one | sha256sum; printf two | sha256sum
        let list = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3 3 b.yaml\n\
                    7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed 3 a/a.cedar\n";
        assert_eq!(two().digest(), sha256(list.as_bytes()));
    }

    #[test]
    fn digest_tells_content_and_path_apart() {
        let renamed = Bundle::new([("b.yml", "two"), ("a/a.cedar", "one")]).unwrap();
        let changed = Bundle::new([("b.yaml", "twO"), ("a/a.cedar", "one")]).unwrap();
        let swapped = Bundle::new([("b.yaml", "one"), ("a/a.cedar", "two")]).unwrap();
        let digests = [
            two().digest(),
            renamed.digest(),
            changed.digest(),
            swapped.digest(),
        ];
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest));
        }
    }

    #[test]
    fn encoding_is_drawn_as_documented() {
        assert_eq!(
            two().encode(),
            b"hpbndl\0\x01\0\x02\x09a/a.cedar\0\0\0\x03one\x06b.yaml\0\0\0\x03two"
        );
    }

    #[test]
    fn every_damage_to_the_encoding_is_refused_or_another_bundle() {
        let bytes = two().encode();
        for index in 0..bytes.len() {
            for flip in [0x01, 0x80] {
                let mut damaged = bytes.clone();
                damaged[index] ^= flip;
                if let Ok(bundle) = Bundle::decode(&damaged) {
                    assert_ne!(bundle.digest(), two().digest(), "byte {index}");
                    assert_eq!(bundle.encode(), damaged, "byte {index}");
                }
            }
            assert!(Bundle::decode(&bytes[..index]).is_err(), "cut at {index}");
        }
        assert!(Bundle::decode(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn paths_that_could_leave_the_bundle_are_refused() {
        for path in [
            "", "/a", "a/", "a//b", "..", "a/../b", "./a", ".git", "a\\b", "a b", "ä", "a\0",
        ] {
            assert!(Bundle::new([(path, "")]).is_err(), "{path:?}");
        }
        assert!(Bundle::new([("a".repeat(PATH_BYTES_MAX + 1), "")]).is_err());
        assert!(Bundle::new([("policies/Deploy-1_a.cedar", "")]).is_ok());
    }

    #[test]
    fn limits_are_exact() {
        let overhead = two().encode().len() - 3;
        let sized = |bytes: usize| {
            Bundle::new([("b.yaml", vec![0; bytes]), ("a/a.cedar", b"one".to_vec())])
        };
        let largest = sized(BUNDLE_BYTES_MAX - overhead).unwrap();
        assert_eq!(largest.encode().len(), BUNDLE_BYTES_MAX);
        assert_eq!(
            sized(BUNDLE_BYTES_MAX - overhead + 1),
            Err(BundleError::TooLarge)
        );
        let many = |count: usize| Bundle::new((0..count).map(|index| (format!("f{index}"), "")));
        assert!(many(FILES_MAX).is_ok());
        assert_eq!(many(FILES_MAX + 1), Err(BundleError::TooManyFiles));
    }

    proptest! {
        #[test]
        fn encoding_is_read_back(
            files in proptest::collection::btree_map("[a-z]{1,4}(/[a-z.]{0,2}[a-z])?", any::<Vec<u8>>(), 0..5)
        ) {
            if let Ok(bundle) = Bundle::new(files) {
                prop_assert_eq!(Bundle::decode(&bundle.encode()), Ok(bundle));
            }
        }

        #[test]
        fn arbitrary_bytes_never_crash_the_decoder(bytes in any::<Vec<u8>>()) {
            let prefixed = [MAGIC.as_slice(), &bytes].concat();
            for input in [bytes, prefixed] {
                if let Ok(bundle) = Bundle::decode(&input) {
                    prop_assert_eq!(bundle.encode(), input);
                }
            }
        }
    }
}
