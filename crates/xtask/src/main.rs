//! House rules, code generation, measurements and the checks of CI, as `cargo xtask <task>`.
//!
//! Nothing that ships depends on this crate. `tidy`, `ci` and `codegen --check` never write to the
//! checkout; `fix` and `codegen` write what they are named for, `fuzz` only what git ignores, `bench` its
//! results.

mod bench;
mod ci;
mod codegen;
mod fuzz;
mod tidy;
mod tree;

use std::fmt::Display;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <task>

  ci                 every check beside the tests: format, house rules, generated code, clippy,
                     documentation, licences and advisories (reads only)
  fix                generate, apply clippy's suggestions, format
  codegen [--check]  make crates/holdpoint-proto/src/gen from proto/ (--check: compare only)
  tidy               the house rules alone
  fuzz [--minutes N] look for inputs that break the state machine, N minutes for each target (1)
  bench [--quick]    measure decisions beside etcd and PostgreSQL, write benches/RESULTS.md
                     (--quick: 2 s a cell, print only)
  help               print this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = tree::root();
    match arguments.as_slice() {
        ["ci"] => conclude(ci::check(&root)),
        ["fix"] => conclude(ci::fix(&root)),
        ["codegen"] => conclude(codegen::write(&root)),
        ["codegen", "--check"] => conclude(codegen::check(&root)),
        ["tidy"] => conclude(tidy::check(&root)),
        ["fuzz"] => conclude(fuzz::run(&root, None)),
        ["fuzz", "--minutes", minutes] => conclude(fuzz::run(&root, Some(minutes))),
        ["bench"] => conclude(bench::run(&root, false)),
        ["bench", "--quick"] => conclude(bench::run(&root, true)),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn conclude<E: Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
