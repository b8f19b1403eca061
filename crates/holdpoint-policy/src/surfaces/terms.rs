//! What the permits of a surface carry: executors and lifetimes.

use std::collections::BTreeSet;

use holdpoint_receipt::Caller;

use super::Reader;
use crate::fields::Fields;
use crate::suggest::did_you_mean;
use crate::surface::{Executor, FailedExit, Terms};
use crate::time::{DAY_MS, SECOND_MS};
use crate::yaml::Node;

/// The shortest and the longest life of a permit (SPEC section 8).
const PERMIT_FOR_MS: (u64, u64) = (SECOND_MS, DAY_MS);
/// The shortest and the longest time for the effect itself.
const COMPLETE_WITHIN_MS: (u64, u64) = (SECOND_MS, 30 * DAY_MS);
/// The shortest and the longest time in doubt before a permit becomes RELEASED by itself.
const RELEASE_AFTER_MS: (u64, u64) = (SECOND_MS, 30 * DAY_MS);
/// The most executors of a surface.
const EXECUTORS_MAX: usize = 32;

impl Reader<'_> {
    /// Reads the terms. Their bounds are compared by [`super::bounds::check_terms`].
    pub(super) fn terms(&self, fields: &Fields<'_>) -> Option<Terms> {
        let file = self.file;
        let duration = |key: &str, (min_ms, max_ms)| {
            fields
                .required(key)
                .and_then(|node| file.duration_ms(node, key, min_ms, max_ms))
        };
        let permit_for_ms = duration("permit_for", PERMIT_FOR_MS);
        let complete_within_ms = duration("complete_within", COMPLETE_WITHIN_MS);
        let executors = fields
            .required("executors")
            .map(|node| self.executors(node));
        let aborts = self.second_word(fields, "failed_exit", ["in_doubt", "aborted"]);
        let offline = self.second_word(fields, "redeem", ["online", "offline"]);
        let release_after_ms = fields.get("release_after").map(|node| {
            if offline == Some(true) {
                let why = "`release_after` does not go with `redeem: offline`: the gate does not see when \
                           such an executor begins";
                file.error(node.line, why);
            }
            let (min_ms, max_ms) = RELEASE_AFTER_MS;
            file.duration_ms(node, "release_after", min_ms, max_ms)
        });
        let honor_issued = fields.bool_or("honor_issued", false);
        let failed_exit = if aborts? {
            FailedExit::Aborted
        } else {
            FailedExit::InDoubt
        };
        Some(Terms {
            honor_issued,
            executors: executors?,
            permit_for_ms: permit_for_ms?,
            complete_within_ms: complete_within_ms?,
            failed_exit,
            offline: offline?,
            release_after_ms: match release_after_ms {
                None => None,
                Some(given) => Some(given?),
            },
        })
    }

    /// Whether `key` says the second of two words; the first is the default.
    fn second_word(&self, fields: &Fields<'_>, key: &str, words: [&str; 2]) -> Option<bool> {
        let Some(node) = fields.get(key) else {
            return Some(false);
        };
        let text = self.file.text(node, key)?;
        let [first, second] = words;
        if text != first && text != second {
            let hint = did_you_mean(text, words);
            let why = format!("`{key}` must be `{first}` or `{second}`, got `{text}`{hint}");
            self.file.error(node.line, why);
            return None;
        }
        Some(text == second)
    }

    fn executors(&self, node: &Node) -> Vec<Executor> {
        let mut executors = BTreeSet::new();
        for (text, line) in self.file.texts(node, "executors") {
            let executor = if text == "caller" {
                Executor::Caller
            } else {
                match Caller::new(text) {
                    Ok(caller) => Executor::Named(caller),
                    Err(error) => {
                        self.file.error(line, format!("executor `{text}`: {error}"));
                        continue;
                    }
                }
            };
            if !executors.insert(executor) {
                self.file
                    .error(line, format!("executor `{text}` is already in the list"));
            }
        }
        if executors.is_empty() || executors.len() > EXECUTORS_MAX {
            let why = format!(
                "`executors` must name between 1 and {EXECUTORS_MAX} principals, such as `caller`"
            );
            self.file.error(node.line, why);
        }
        executors.into_iter().collect()
    }
}
