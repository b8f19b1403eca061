//! `scripts/setup.sh` on machines that lack everything: it installs where it can, else it says what
//! is missing. Nothing is installed here: each machine is a `PATH` of its own.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A machine with a shell and nothing to build with.
struct Machine {
    path: TempDir,
}

impl Machine {
    fn new() -> Self {
        let path = tempfile::tempdir().unwrap();
        for tool in [
            "sh", "sed", "tr", "uname", "dirname", "head", "cat", "chmod",
        ] {
            symlink(find(tool), path.path().join(tool)).unwrap();
        }
        // Never root, so that the script has to ask for rights.
        let machine = Self { path };
        machine.tool("id", "echo 1000");
        machine
    }

    /// Gives the machine a tool that does what `script` says.
    fn tool(&self, name: &str, script: &str) -> &Self {
        let file = self.path.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn run(&self, what: &str) -> (i32, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/setup.sh");
        let Output { status, stderr, .. } = Command::new(self.path.path().join("sh"))
            .arg(script)
            .arg(what)
            .env_clear()
            .env("PATH", self.path.path())
            .env("LIBCLANG_PATH", self.path.path())
            .output()
            .unwrap();
        let talk = String::from_utf8(stderr).unwrap();
        (
            status.code().unwrap(),
            talk.replace(&self.path.path().display().to_string(), "$PATH"),
        )
    }

    /// Gives the machine all that a build takes.
    fn with_compilers(&self) -> &Self {
        for tool in ["c++", "cc", "make"] {
            self.tool(tool, "");
        }
        self.tool("libclang.so", "")
            .tool("cargo", "echo 'cargo 1.95.0 (0000000 2026-03-21)'")
    }
}

fn find(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|folder| folder.join(tool))
        .find(|file| file.is_file())
        .unwrap()
}

#[test]
fn machine_with_everything_is_left_alone_in_silence() {
    let machine = Machine::new();
    machine
        .with_compilers()
        .tool("apt-get", "echo apt-get must not run >&2; exit 1");
    assert_eq!(machine.run("build"), (0, String::new()));
}

#[test]
fn machine_without_a_known_installer_is_told_every_package_by_system() {
    let (code, talk) = Machine::new().run("test");
    assert_eq!(code, 1);
    assert_eq!(
        talk,
        "error: missing: c++, cc, make, libclang, jq, xxd, openssl, python3-cryptography
  Debian, Ubuntu: sudo apt-get install g++ gcc libc6-dev make libclang-dev jq xxd openssl python3-cryptography
  Fedora: sudo dnf install gcc-c++ gcc make clang-devel jq /usr/bin/xxd openssl python3-cryptography
  Arch: sudo pacman -S gcc make clang jq tinyxxd openssl python-cryptography
  LIBCLANG_PATH is `$PATH`, and there is no libclang; unset or correct it
  openssl must be 3.0 or later (found: none)
  a python3 on the PATH must find its package `cryptography`
error: missing: cargo
  install Rust 1.95 or later with rustup (https://rustup.rs), then open a new shell
"
    );
}

#[test]
fn debian_gets_what_is_missing_and_nothing_else() {
    let machine = Machine::new();
    // Installing openssl is made to work; sudo must be asked without a password prompt.
    machine
        .with_compilers()
        .tool("jq", "")
        .tool("xxd", "")
        .tool("python3", "")
        .tool("sudo", "[ \"$1\" = -n ] || exit 1\nshift 2\nexec \"$@\"")
        .tool(
            "apt-get",
            &format!(
                "echo \"apt-get $*\" >&2
                 folder={}
                 case $* in *install*) ;; *) exit 0 ;; esac
                 printf '#!/bin/sh\\necho OpenSSL 3.0.1\\n' > \"$folder/openssl\"
                 chmod 755 \"$folder/openssl\"",
                machine.path.path().display()
            ),
        );
    assert_eq!(
        machine.run("test"),
        (
            0,
            "setup: installing openssl with apt-get
apt-get -qq update
apt-get -qq install -y --no-install-recommends openssl
"
            .to_owned()
        )
    );
}

#[test]
fn debian_without_rights_is_told_the_command() {
    let machine = Machine::new();
    machine.with_compilers().tool("apt-get", "exit 100");
    let (code, talk) = machine.run("test");
    assert_eq!(code, 1);
    assert!(
        talk.contains("sudo apt-get install jq xxd openssl python3-cryptography\n"),
        "{talk}"
    );
}

#[test]
fn old_rust_is_told_the_version_that_is_needed() {
    let machine = Machine::new();
    machine
        .with_compilers()
        .tool("cargo", "echo 'cargo 1.84.1 (0000000 2025-01-01)'");
    let (code, talk) = machine.run("build");
    assert_eq!(code, 1);
    assert!(
        talk.starts_with("error: Rust is older than 1.95 (cargo 1.84.1"),
        "{talk}"
    );
}

#[test]
fn python_without_its_package_counts_as_missing() {
    let machine = Machine::new();
    machine.with_compilers().tool("jq", "").tool("xxd", "");
    machine.tool("openssl", "echo OpenSSL 3.0.1");
    machine.tool("python3", "exit 1");
    let (code, talk) = machine.run("test");
    assert_eq!(code, 1);
    assert!(
        talk.starts_with("error: missing: python3-cryptography\n"),
        "{talk}"
    );
}

#[test]
fn openssl_that_cannot_check_a_signature_counts_as_missing() {
    let machine = Machine::new();
    machine.with_compilers().tool("jq", "").tool("xxd", "");
    machine.tool("openssl", "echo LibreSSL 3.3.6");
    let (code, talk) = machine.run("test");
    assert_eq!(code, 1);
    assert!(
        talk.contains("3.0 or later (found: LibreSSL 3.3.6)"),
        "{talk}"
    );
}
