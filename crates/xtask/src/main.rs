//! House rules, code generation and the checks of CI, as `cargo xtask <task>`.
//!
//! Nothing that ships depends on this crate, and it never writes outside the checkout: `tidy`, `ci`
//! and `codegen --check` only read, `fix` and `codegen` write what they are named for.

mod codegen;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <task>

  codegen [--check]  generate crates/holdpoint-proto/src/gen from proto/ (--check: compare only)
  help               print this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["codegen"] => codegen::write(&tree::root()).map_err(|error| error.to_string()),
        ["codegen", "--check"] => codegen::check(&tree::root()).map_err(|error| error.to_string()),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
