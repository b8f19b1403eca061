//! What a caller may do beyond asking for itself. The one place that answers it.
//!
//! Authentication `loopback` gives every role to every caller: whoever is on this machine is an
//! operator. Nothing here knows a permit or a policy; who may redeem, and who may approve, is said by
//! the bundle in force.

use holdpoint_receipt::{Caller, Reason};

use crate::refused::Refused;

/// The scheme of callers that are believed because their connection comes from this machine. It
/// stands before the name, so that no later scheme can be confused with this one.
pub(crate) const LOOPBACK: &str = "loopback";

/// What a caller can be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Settles anybody's permits, closes anybody's sessions, freezes, says how long things are kept.
    Operator,
    /// Stores policies and puts them in force.
    PolicyAuthor,
    /// Reads what others asked and what was decided.
    Auditor,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::PolicyAuthor => "policy author",
            Self::Auditor => "auditor",
        }
    }
}

/// Whether `caller` has `role`.
pub(crate) fn has(caller: &Caller, role: Role) -> bool {
    let scheme = caller.as_str().split_once(':').map(|(scheme, _)| scheme);
    match role {
        Role::Operator | Role::PolicyAuthor | Role::Auditor => scheme == Some(LOOPBACK),
    }
}

/// Refuses a caller that does not have `role`.
pub(crate) fn require(caller: &Caller, role: Role) -> Result<(), Refused> {
    if has(caller, role) {
        return Ok(());
    }
    Err(Refused::never(Reason::Forbidden).saying(format!(
        "The caller `{caller}` does not have the role {}, which this call needs.",
        role.as_str()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Role; 3] = [Role::Operator, Role::PolicyAuthor, Role::Auditor];

    #[test]
    fn caller_of_this_machine_has_every_role() {
        let caller = Caller::new("loopback:ci-7").unwrap();
        assert!(ALL.iter().all(|role| require(&caller, *role).is_ok()));
    }

    #[test]
    fn caller_of_any_other_scheme_has_none_and_is_told_which_it_needs() {
        for name in ["mtls:loopback", "loopback", "loopbackx:ci"] {
            let caller = Caller::new(name).unwrap();
            assert!(ALL.iter().all(|role| !has(&caller, *role)), "{name}");
            let refusal = require(&caller, Role::Operator).unwrap_err().into_refusal();
            assert_eq!(refusal.reason_name, "FORBIDDEN");
            assert!(
                refusal.sentence.contains("operator"),
                "{}",
                refusal.sentence
            );
        }
    }
}
