//! The command with its places `{NAME}`, which become the sealed copies.
//!
//! Only the names of bound files are places. Every other brace is the command's own.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::inputs::Bind;
use crate::output::Failure;

/// That the command uses every bound file, and is not one itself.
pub(crate) fn check(command: &[OsString], binds: &[Bind]) -> Result<(), Failure> {
    let (program, arguments) = command
        .split_first()
        .unwrap_or((const { &OsString::new() }, &[]));
    for bind in binds {
        let place = place(&bind.name);
        let uses = |argument: &OsString| count(argument, place.as_bytes()) > 0;
        if uses(program) {
            return Err(Failure::usage(format!(
                "the command itself is `{place}`; name the program that reads it, such as `sh {place}` \
                 (no permit was requested)"
            )));
        }
        if !arguments.iter().any(uses) {
            return Err(Failure::usage(format!(
                "the command does not use the bound file: write `{place}` where it takes `{}` \
                 (no permit was requested)",
                bind.path.display()
            )));
        }
    }
    Ok(())
}

/// The argument with every place filled in.
pub(crate) fn fill(argument: &OsStr, values: &[(&str, OsString)]) -> OsString {
    let mut rest = argument.as_bytes();
    let mut filled = Vec::new();
    while let Some((first, tail)) = rest.split_first() {
        let starts = |(name, _): &&(&str, OsString)| rest.starts_with(place(name).as_bytes());
        if let Some((name, value)) = values.iter().find(starts) {
            filled.extend_from_slice(value.as_bytes());
            rest = rest.get(place(name).len()..).unwrap_or_default();
        } else {
            filled.push(*first);
            rest = tail;
        }
    }
    OsString::from_vec(filled)
}

fn place(name: &str) -> String {
    format!("{{{name}}}")
}

fn count(argument: &OsString, place: &[u8]) -> usize {
    argument
        .as_bytes()
        .windows(place.len())
        .filter(|window| *window == place)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn plan() -> Vec<Bind> {
        vec!["plan=@plan.tfplan".parse().unwrap()]
    }

    #[test]
    fn place_may_stand_inside_an_argument_and_more_than_once() {
        let values = [
            ("plan", OsString::from("/p/3")),
            ("x", OsString::from("{plan}")),
        ];
        let filled = |text: &str| fill(OsStr::new(text), &values).into_string().unwrap();
        assert_eq!(filled("-var=a={plan},b={plan}"), "-var=a=/p/3,b=/p/3");
        assert_eq!(
            filled("{x}{plan}"),
            "{plan}/p/3",
            "what is filled in is not looked at again"
        );
        assert_eq!(filled("{print $1} {other} {"), "{print $1} {other} {");
    }

    #[test]
    fn bound_file_that_the_command_does_not_use_is_refused() {
        assert!(check(&words(&["terraform", "apply", "{plan}"]), &plan()).is_ok());
        let error = check(&words(&["terraform", "apply", "plan.tfplan"]), &plan()).unwrap_err();
        assert!(
            error
                .message()
                .contains("write `{plan}` where it takes `plan.tfplan`")
        );
    }

    #[test]
    fn command_cannot_be_a_bound_file_itself() {
        let error = check(&words(&["{plan}", "{plan}"]), &plan()).unwrap_err();
        assert!(error.message().contains("`sh {plan}`"));
    }
}
