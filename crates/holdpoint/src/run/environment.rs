//! What the command's environment may not hold: variables that would make it do something else than
//! the arguments say.

use std::ffi::OsString;

/// Dropped together with everything that starts with it.
const PREFIXES: &[&str] = &["LD_", "DYLD_", "TF_CLI_ARGS", "BASH_FUNC_"];

/// Dropped when it has exactly this name.
const NAMES: &[&str] = &[
    "BASH_ENV",
    "ENV",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "TF_REATTACH_PROVIDERS",
];

/// The variables to drop, sorted.
pub(crate) fn dropped(names: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut dropped: Vec<OsString> = names.into_iter().filter(is_dropped).collect();
    dropped.sort();
    dropped
}

fn is_dropped(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    NAMES.contains(&name.as_ref()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_and_terraform_arguments_are_dropped_and_nothing_else() {
        let names = [
            "TF_CLI_ARGS_apply",
            "PATH",
            "LD_PRELOAD",
            "TF_VAR_x",
            "TF_CLI_ARGS",
            "HOME",
            "BASH_ENV",
            "BASH_FUNC_ls%%",
            "ENVIRONMENT",
            "OLD_LD_PATH",
            "TF_CLI_CONFIG_FILE",
        ];
        let dropped = dropped(names.map(OsString::from));
        assert_eq!(
            dropped,
            [
                "BASH_ENV",
                "BASH_FUNC_ls%%",
                "LD_PRELOAD",
                "TF_CLI_ARGS",
                "TF_CLI_ARGS_apply"
            ]
        );
    }
}
