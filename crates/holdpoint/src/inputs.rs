//! `--bind NAME=@FILE` and `--param NAME=VALUE`: what a request is about, as a command line says it.
//!
//! Never guesses: `n=5` is the text `5`, `n:=5` is the number, and a name that is given twice is
//! refused.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use holdpoint_receipt::{Digest, Hasher, Json};
use rustix::fs::OFlags;

use crate::exit::Exit;
use crate::output::Failure;
use crate::progress::during;

/// Bytes that are read at a time.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// `--bind NAME=@FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    /// Names the parameter `NAME_sha256` and, for `run`, the place `{NAME}`.
    pub(crate) name: String,
    /// The file whose bytes are meant.
    pub(crate) path: PathBuf,
}

impl FromStr for Bind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` binds nothing: give NAME=@FILE, such as `plan=@plan.tfplan`");
        let (name, path) = text.split_once("=@").ok_or_else(wrong)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || path.is_empty() || !name.chars().all(fits) {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            path: PathBuf::from(path),
        })
    }
}

impl Bind {
    /// The parameter that its digest becomes.
    pub(crate) fn param(&self) -> String {
        format!("{}_sha256", self.name)
    }
}

/// `--param NAME=TEXT` or `--param NAME:=JSON`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Param {
    /// The parameter.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: Json,
}

impl FromStr for Param {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` sets nothing: give NAME=TEXT, or NAME:=JSON for a number, a boolean or more"
            )
        };
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => {
                let json = Json::parse(value.as_bytes());
                (name, json.map_err(|error| format!("`{name}`: {error}"))?)
            }
            None => (name, Json::str(value)),
        };
        if name.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }
}

/// That no parameter is said twice.
pub(crate) fn check_names(binds: &[Bind], params: &[Param]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    let names = binds
        .iter()
        .map(Bind::param)
        .chain(params.iter().map(|param| param.name.clone()));
    for name in names {
        if seen.contains(&name) {
            return Err(Failure::usage(format!(
                "parameter `{name}` is given twice; say it once"
            )));
        }
        seen.insert(name);
    }
    Ok(())
}

/// The digests of the bound files as they are now, in their order.
pub(crate) fn digests_of(binds: &[Bind]) -> Result<Vec<Digest>, Failure> {
    let paths: Vec<PathBuf> = binds.iter().map(|bind| bind.path.clone()).collect();
    during("reading the files", move || {
        let digest = |path: &PathBuf| digest(open_regular(path)?, path);
        paths.iter().map(digest).collect()
    })
}

/// The digest of a file's bytes as they are now.
pub(crate) fn digest_of(path: &Path) -> Result<Digest, Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    digest(file, path)
}

/// Opens a file that can be bound: one whose bytes are there, and are there again for whoever uses
/// them. Never waits, as opening a pipe would.
pub(crate) fn open_regular(path: &Path) -> Result<File, Failure> {
    let file = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(|error| unreadable(path, &error))?;
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if metadata.is_file() {
        return Ok(file);
    }
    let kind = metadata.file_type();
    let kind = match (kind.is_dir(), kind.is_fifo()) {
        (true, _) => "a directory",
        (_, true) => "a pipe",
        _ => "no regular file",
    };
    Err(Failure::says(
        Exit::Failure,
        format!(
            "cannot bind `{}`: it is {kind}; write the bytes to a file first (nothing was asked)",
            path.display()
        ),
    ))
}

fn digest(mut file: File, path: &Path) -> Result<Digest, Failure> {
    let unreadable = |error| unreadable(path, &error);
    let mut hasher = Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk).map_err(unreadable)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(chunk.get(..count).unwrap_or_default()),
        }
    }
}

/// A file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::says(
        Exit::Failure,
        format!("cannot read `{}`: {error}", path.display()),
    )
}

/// Reads a file of at most `bytes_max` bytes.
pub(crate) fn read_file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let content = read_start(path, bytes_max)?;
    if content.len() > bytes_max {
        let message = format!(
            "`{}` is too long: at most {bytes_max} bytes are accepted",
            path.display()
        );
        return Err(Failure::says(Exit::Failure, message));
    }
    Ok(content)
}

/// Reads a file, of a longer one its first `bytes_max` bytes and one more. `-` is stdin.
pub(crate) fn read_start(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let limit = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut content = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut content)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut content))
    };
    read.map_err(|error| unreadable(path, &error))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_can_be_bound_and_a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, file) = (folder.path().join("pipe"), folder.path().join("file"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let error = open_regular(&pipe).unwrap_err();
        assert!(
            error.message().contains("it is a pipe"),
            "{}",
            error.message()
        );
        let error = open_regular(folder.path()).unwrap_err();
        assert!(
            error.message().contains("it is a directory"),
            "{}",
            error.message()
        );
        std::fs::write(&file, "bytes").unwrap();
        std::os::unix::fs::symlink(&file, folder.path().join("link")).unwrap();
        assert!(open_regular(&folder.path().join("link")).is_ok());
    }

    #[test]
    fn bind_takes_everything_after_the_sign_as_the_file() {
        let bind: Bind = "plan=@dir/a=@b".parse().unwrap();
        assert_eq!(
            (bind.name.as_str(), bind.path.as_path()),
            ("plan", Path::new("dir/a=@b"))
        );
        assert_eq!(bind.param(), "plan_sha256");
        for text in ["plan", "plan=x", "=@x", "plan=@", "pl an=@x", "{plan}=@x"] {
            assert!(text.parse::<Bind>().is_err(), "{text}");
        }
    }

    #[test]
    fn plain_parameter_is_text_and_typed_one_is_strict_json() {
        let value = |text: &str| text.parse::<Param>().unwrap().value;
        assert_eq!(value("n=5"), Json::str("5"));
        assert_eq!(value("n=a=b"), Json::str("a=b"));
        assert_eq!(value("n="), Json::str(""));
        assert_eq!(value("n:=5"), Json::Int(5));
        assert_eq!(value("n:={\"a\":[true]}").to_canonical(), r#"{"a":[true]}"#);
        for text in [
            "n",
            "=5",
            ":=5",
            "n:=1.5",
            "n:=9007199254740992",
            "n:={\"a\":1,\"a\":2}",
            "n:=",
        ] {
            assert!(text.parse::<Param>().is_err(), "{text}");
        }
    }

    #[test]
    fn parameter_that_is_also_a_bound_digest_is_refused() {
        let binds = ["plan=@x".parse().unwrap()];
        let params = ["plan_sha256=00".parse().unwrap()];
        assert!(check_names(&binds, &[]).is_ok());
        assert!(
            check_names(&binds, &params)
                .unwrap_err()
                .message()
                .contains("`plan_sha256`")
        );
    }
}
