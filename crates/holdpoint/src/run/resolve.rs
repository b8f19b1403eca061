//! Finds the command before anybody is asked for a permit.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::exit::Exit;
use crate::output::Failure;

/// Where commands are looked for when `PATH` is not set.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// As much of a script as the system looks at to find its interpreter.
const SHEBANG_BYTES_MAX: u64 = 256;

/// The file that `command` names: itself if it has a `/`, else the first in `PATH`.
pub(crate) fn resolve(command: &OsStr) -> Result<PathBuf, Failure> {
    let path = env::var_os("PATH").unwrap_or_else(|| OsString::from(PATH_DEFAULT));
    let file = resolve_in(command, &path)?;
    check_interpreter(&file)?;
    Ok(file)
}

/// That the interpreter of a script is there. What the interpreter starts in turn, as `env` does, is its
/// own affair.
fn check_interpreter(file: &Path) -> Result<(), Failure> {
    let Some(interpreter) = interpreter(file) else {
        return Ok(());
    };
    let what = format!(
        "`{}` names the interpreter `{}`, which",
        file.display(),
        interpreter.display()
    );
    match look(&interpreter) {
        Found::Executable => Ok(()),
        Found::NotExecutable | Found::Directory => Err(refused(
            Exit::NotExecutable,
            &format!("{what} is not executable"),
        )),
        Found::Nothing => Err(refused(Exit::NotFound, &format!("{what} does not exist"))),
    }
}

/// The interpreter in the first line of a script; none for anything else, or what cannot be read.
fn interpreter(file: &Path) -> Option<PathBuf> {
    let mut start = Vec::new();
    let file = File::open(file).ok()?;
    file.take(SHEBANG_BYTES_MAX).read_to_end(&mut start).ok()?;
    let line = start
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let word = line
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .find(|word| !word.is_empty())?;
    Some(PathBuf::from(OsStr::from_bytes(word)))
}

fn resolve_in(command: &OsStr, path: &OsStr) -> Result<PathBuf, Failure> {
    let shown = command.to_string_lossy();
    if command.as_bytes().contains(&b'/') {
        return match look(Path::new(command)) {
            Found::Executable => Ok(PathBuf::from(command)),
            Found::NotExecutable => Err(not_executable(&shown)),
            Found::Directory => Err(refused(
                Exit::NotExecutable,
                &format!("command `{shown}` is a directory"),
            )),
            Found::Nothing => Err(refused(
                Exit::NotFound,
                &format!("command `{shown}` does not exist"),
            )),
        };
    }
    let mut seen = None;
    for folder in env::split_paths(path) {
        let folder = if folder.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            folder
        };
        let file = folder.join(command);
        match look(&file) {
            Found::Executable if !command.is_empty() => return Ok(file),
            Found::NotExecutable if seen.is_none() => seen = Some(file),
            Found::Executable | Found::NotExecutable | Found::Directory | Found::Nothing => {}
        }
    }
    match seen {
        Some(file) => Err(not_executable(&file.to_string_lossy())),
        None => Err(refused(
            Exit::NotFound,
            &format!("command `{shown}` not found in PATH"),
        )),
    }
}

enum Found {
    Executable,
    NotExecutable,
    Directory,
    Nothing,
}

fn look(file: &Path) -> Found {
    match file.metadata() {
        Ok(metadata) if metadata.is_file() && access(file, Access::EXEC_OK).is_ok() => {
            Found::Executable
        }
        Ok(metadata) if metadata.is_file() => Found::NotExecutable,
        Ok(metadata) if metadata.is_dir() => Found::Directory,
        Ok(_) | Err(_) => Found::Nothing,
    }
}

fn not_executable(shown: &str) -> Failure {
    refused(
        Exit::NotExecutable,
        &format!("command `{shown}` is not executable"),
    )
}

fn refused(exit: Exit, what: &str) -> Failure {
    Failure::says(exit, format!("{what} (no permit was requested)"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(folder: &Path, name: &str, mode: u32) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn first_executable_in_the_path_is_taken() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        script(one.path(), "tool", 0o644);
        let wanted = script(two.path(), "tool", 0o755);
        fs::create_dir(one.path().join("folder")).unwrap();
        let path = env::join_paths([one.path(), two.path()]).unwrap();
        assert_eq!(resolve_in(OsStr::new("tool"), &path).unwrap(), wanted);
        assert_eq!(
            resolve_in(OsStr::new("folder"), &path).unwrap_err().exit(),
            Exit::NotFound
        );
        assert_eq!(
            resolve_in(OsStr::new(""), &path).unwrap_err().exit(),
            Exit::NotFound
        );
    }

    #[test]
    fn directory_and_script_without_its_interpreter_are_told_before_anybody_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let error = resolve(folder.path().as_os_str()).unwrap_err();
        assert_eq!(error.exit(), Exit::NotExecutable);
        assert!(
            error.message().contains("is a directory"),
            "{}",
            error.message()
        );
        for (line, exit) in [
            ("#!/no/such/interpreter -x\n", Some(Exit::NotFound)),
            ("#! /etc/passwd", Some(Exit::NotExecutable)),
            ("#! /bin/sh\n", None),
            ("#!\n", None),
            ("\u{7f}ELF", None),
        ] {
            let path = script(folder.path(), "tool", 0o755);
            fs::write(&path, line).unwrap();
            let found = resolve(path.as_os_str());
            assert_eq!(found.err().map(|error| error.exit()), exit, "{line}");
        }
    }

    #[test]
    fn file_without_the_right_to_execute_is_told_from_none() {
        let folder = tempfile::tempdir().unwrap();
        let plain = script(folder.path(), "tool", 0o644);
        let error = resolve_in(OsStr::new("tool"), folder.path().as_os_str()).unwrap_err();
        assert_eq!(error.exit(), Exit::NotExecutable);
        let error = resolve_in(plain.as_os_str(), OsStr::new("")).unwrap_err();
        assert_eq!(error.exit(), Exit::NotExecutable);
        let error = resolve_in(OsStr::new("terrafrom"), folder.path().as_os_str()).unwrap_err();
        assert_eq!(
            error.message(),
            "command `terrafrom` not found in PATH (no permit was requested)"
        );
    }
}
