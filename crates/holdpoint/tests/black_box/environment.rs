//! What surrounds the program: variables, a stdout that is full, files that are none.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::{Place, closed_port};

#[test]
fn empty_variable_is_one_that_is_not_set() {
    let place = Place::new();
    let closed = closed_port();
    let words = ["status", "--endpoint", &closed, "--deadline", "300ms"];
    let mut command = place.command(&words);
    for name in ["NAMESPACE", "CALLER", "KEYS", "TIMEOUT", "LOG"] {
        command.env(format!("HOLDPOINT_{name}"), "");
    }
    let _ = Place::finish(&words, &mut command).exits(122);
    let words = ["status"];
    let mut command = place.command(&words);
    let run = Place::finish(&words, command.env("HOLDPOINT_ENDPOINTS", "")).exits(122);
    assert!(
        run.stderr().contains("no cluster is configured"),
        "{}",
        run.stderr()
    );
}

#[test]
fn wrong_variable_is_a_wrong_command_line_and_is_named() {
    let place = Place::new();
    let closed = closed_port();
    let words = ["status", "--endpoint", &closed, "--output", "json"];
    for (name, value) in [
        ("HOLDPOINT_NAMESPACE", "Not A Name"),
        ("HOLDPOINT_CALLER", "caf\u{e9}"),
        ("HOLDPOINT_TIMEOUT", "5"),
        ("HOLDPOINT_LOG", "info,=nonsense=warn"),
    ] {
        let run = Place::finish(&words, place.command(&words).env(name, value)).exits(2);
        assert!(run.stderr().contains(name), "{}", run.stderr());
        let error = run.json("holdpoint.error/1");
        assert!(error["error"].as_str().unwrap().contains(name), "{error}");
    }
    let words = ["keys", "export", "--endpoint", &closed];
    let run = Place::finish(
        &words,
        place.command(&words).env("HOLDPOINT_KEYS", "no-such-file"),
    );
    assert!(run.exits(1).stderr().contains("(from HOLDPOINT_KEYS)"));
}

#[test]
fn stdout_that_cannot_be_written_is_a_failure_and_one_that_nobody_reads_is_not() {
    let place = Place::new();
    for words in [
        &["help", "exit-codes"][..],
        &["help", "exit-codes", "--output", "json"],
        &["--version"],
        &["run", "-h"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut child = place.command(words);
        child.stdout(full).stderr(Stdio::piped());
        let output = child.spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("cannot write to stdout"), "{said}");

        let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let pipe = reader.stdin.take().unwrap();
        reader.wait().unwrap();
        let status = place.command(words).stdout(pipe).status().unwrap();
        assert_eq!(status.code(), Some(0), "{words:?}");
    }
}

#[test]
fn receipt_is_read_from_stdin_and_one_that_is_too_long_is_invalid() {
    let place = Place::new();
    place.write("keys.json", &super::offline::golden_keys().to_file());
    let words = ["receipt", "verify", "-", "--keys", "keys.json"];
    for (content, code, starts) in [
        (super::offline::golden("receipt.json"), 0, "VALID"),
        ("x".repeat(10_000_000), 10, "INVALID  MALFORMED"),
    ] {
        let mut command = place.command(&words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // What is too long is not read to its end.
        let _ = child.stdin.take().unwrap().write_all(content.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.starts_with(starts), "{said}");
    }
}

#[test]
fn what_cannot_be_run_or_bound_is_refused_before_anybody_is_asked() {
    let place = Place::new();
    let script = place.write("script", "#!/no/such/interpreter\n");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    place.write("folder/file", "bytes");
    let pipe = place.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    for (bind, command, code, why) in [
        ("x=@folder/file", "./folder", 126, "is a directory"),
        ("x=@folder/file", "./script", 127, "`/no/such/interpreter`"),
        ("x=@pipe", "cat", 125, "it is a pipe"),
        ("x=@folder", "cat", 125, "it is a directory"),
    ] {
        let words = [
            "run",
            "--surface",
            "s",
            "--bind",
            bind,
            "--",
            command,
            "{x}",
        ];
        let said = place.run(&words).exits(code).stderr();
        assert!(said.contains(why), "{said}");
    }
    let words = ["authorize", "--surface", "s", "--bind", "x=@pipe"];
    assert!(place.run(&words).exits(1).stderr().contains("it is a pipe"));
}
