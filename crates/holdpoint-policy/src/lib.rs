//! A policy bundle becomes a total function from request and facts to a verdict.
//!
//! ```text
//! directory ─▶ Bundle ─▶ Policy::load ─▶ Policy ─▶ evaluate(request, now, facts) ─▶ Evaluation
//!                 │           │                                                       │
//!              digest     every error,                               verdict and claims, or SILENCE
//!                         file:line
//! ```
//!
//! A [`Bundle`] is bytes with a digest. [`Policy::load`] reads all of it strictly, and everything
//! that could go wrong because of the bundle goes wrong there. [`Policy::evaluate`] then answers
//! every request: with a verdict, the bounded operations that it claims and the approvals that it
//! uses, or with SILENCE. [`Policy::explain`] says why, [`diff()`](diff::diff) what another bundle would
//! change.
//!
//! This crate never reads a clock, the environment or a random source, never awaits, starts no
//! thread and computes no float; evaluation touches no file ([`directory`] is the one module that
//! does). It never decides whether a bound is free, nor whether an approval is spent: it renders the
//! key and the subject, and the state machine knows who holds the one and has used the other. It is
//! the only crate that names `cedar-policy`.
//!
//! The layout of a bundle is `docs/reference/policy-bundle.md`.
#![deny(
    clippy::iter_over_hash_type,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm,
    clippy::arithmetic_side_effects
)]

pub mod approvals;
pub mod bundle;
mod calendar;
mod cases;
pub mod diff;
pub mod directory;
mod entities;
pub mod evaluate;
pub mod explain;
mod fields;
mod labels;
mod manifest;
mod policies;
mod policy;
pub mod problem;
pub mod run;
mod scan;
mod schema;
mod slice;
pub mod starter;
mod suggest;
mod surface;
mod surfaces;
mod template;
mod time;
mod typed;
mod yaml;

pub use approvals::{Approval, Missing, NotApprover, Subject, UsedApproval};
pub use bundle::{Bundle, BundleError};
pub use diff::{Change, Difference, Part, diff};
pub use directory::DirectoryError;
pub use evaluate::{Decided, Evaluation, Facts, Input, Silence, Verdict};
pub use explain::Explanation;
pub use policy::Policy;
pub use problem::{CheckReport, LoadError};
pub use run::{CaseOutcome, CaseReport, TestReport};
pub use surface::{BoundKind, BoundOutline, Claim, Executor, FailedExit, SurfaceOutline, Terms};

/// The version of what an evaluation means. It rises with every change that could give another
/// verdict for the same bundle, request and facts; a bundle names the one it was written for.
pub const EVALUATOR_VERSION: u32 = 1;

/// The exact version of Cedar that evaluates.
pub const CEDAR_PIN: &str = "4.14.1";

/// The version of the Cedar language, as a bundle names it.
pub const CEDAR_LANGUAGE: &str = "4.6";

/// Every error of a bundle.
#[must_use]
pub fn check(bundle: &Bundle) -> CheckReport {
    CheckReport {
        errors: Policy::load(bundle).err().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_name_the_cedar_that_is_built_in() {
        assert_eq!(cedar_policy::get_sdk_version().to_string(), CEDAR_PIN);
        let language = cedar_policy::get_lang_version();
        assert_eq!(
            format!("{}.{}", language.major, language.minor),
            CEDAR_LANGUAGE
        );
    }
}
