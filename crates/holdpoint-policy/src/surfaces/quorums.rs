//! `quorums`: who must approve what, bound to which fields.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Entities, EntityUid};
use holdpoint_receipt::{Caller, Name};

use crate::approvals::{Bind, Quorum};
use crate::entities;
use crate::fields::Fields;
use crate::problem::File;
use crate::suggest::did_you_mean;
use crate::template::Params;
use crate::time::{DAY_MS, MINUTE_MS};
use crate::yaml::Node;

/// The shortest and the longest life of an approval.
const MAX_AGE_MS: (u64, u64) = (MINUTE_MS, 90 * DAY_MS);
/// The most quorums in a bundle.
const QUORUMS_MAX: usize = 128;
/// The most fields that one quorum binds.
const BINDS_MAX: usize = 32;
/// The most persons of one quorum.
const MIN_MAX: u32 = 64;

/// Checks that a surface which lists this quorum has the parameters that it binds.
pub(super) fn check_params(
    quorum: &Quorum,
    file: &File<'_>,
    name: &Name,
    line: usize,
    params: Params<'_>,
) {
    for bind in &quorum.binds {
        let Bind::Param(param) = bind else { continue };
        if params.record.contains_key(param) {
            continue;
        }
        let hint = did_you_mean(param, params.record.keys().map(String::as_str));
        let owner = params.type_name;
        file.error(
            line,
            format!("quorum `{name}` binds `params.{param}`, which {owner} does not have{hint}"),
        );
    }
}

/// Reads `quorums`, none for one with mistakes. Approvers are among `callers`.
pub(super) fn parse(
    file: &File<'_>,
    node: &Node,
    entities: &Entities,
    callers: &BTreeMap<Caller, EntityUid>,
) -> BTreeMap<Name, Option<Quorum>> {
    let entries = file.map(node, "`quorums`").unwrap_or_default();
    if entries.len() > QUORUMS_MAX {
        let why = format!("a bundle has at most {QUORUMS_MAX} quorums");
        file.error(node.line, why);
    }
    let mut quorums = BTreeMap::new();
    for entry in entries {
        let name = file.name(&entry.key, entry.line, "quorum");
        let quorum = quorum(file, &entry.key, &entry.node, entities);
        if let Some(name) = name {
            if let Some(quorum) = &quorum {
                check_reachable(file, entry.line, &name, quorum, entities, callers);
            }
            quorums.insert(name, quorum);
        }
    }
    quorums
}

fn quorum(file: &File<'_>, name: &str, node: &Node, entities: &Entities) -> Option<Quorum> {
    let what = format!("quorum `{name}`");
    let known = ["min", "from", "exclude", "binds", "max_age", "spent"];
    let fields = Fields::of(file, node, &what, &known)?;
    let min = fields.required("min").and_then(|node| min(file, node));
    let from = fields.required("from").and_then(|node| {
        let existing = entities::existing(file.text(node, "from")?, entities);
        existing.map_err(|why| file.error(node.line, why)).ok()
    });
    let max_age_ms = fields
        .required("max_age")
        .and_then(|node| file.duration_ms(node, "max_age", MAX_AGE_MS.0, MAX_AGE_MS.1));
    let mut excludes_requester = false;
    for (text, line) in fields
        .get("exclude")
        .map_or_else(Vec::new, |node| file.texts(node, "exclude"))
    {
        excludes_requester |= text == "requester";
        if text != "requester" {
            file.error(
                line,
                format!("`exclude` knows `requester` only, got `{text}`"),
            );
        }
    }
    let binds = fields.required("binds").map(|node| binds(file, name, node));
    let spent = fields.bool_or("spent", true);
    Some(Quorum {
        min: min?,
        from: from?,
        excludes_requester,
        binds: binds?,
        max_age_ms: max_age_ms?,
        spent,
    })
}

fn min(file: &File<'_>, node: &Node) -> Option<u32> {
    let min = u32::try_from(file.int(node, "min", 1)?).ok();
    let min = min.filter(|min| *min <= MIN_MAX);
    if min.is_none() {
        file.error(node.line, format!("`min` must be at most {MIN_MAX}"));
    }
    min
}

fn binds(file: &File<'_>, name: &str, node: &Node) -> BTreeSet<Bind> {
    let texts = file.texts(node, "binds");
    if texts.is_empty() {
        let why = format!("quorum `{name}` binds nothing, so it would approve everything");
        file.error(node.line, why);
    }
    if texts.len() > BINDS_MAX {
        let why = format!(
            "quorum `{name}` binds more than {BINDS_MAX} fields: bind `request`, all of it"
        );
        file.error(node.line, why);
    }
    let mut binds = BTreeSet::new();
    for (text, line) in texts {
        match Bind::parse(text) {
            None => {
                let (hint, known) = (did_you_mean(text, Bind::WORDS), Bind::WORDS.join(", "));
                let why = format!("`binds` knows {known} and `params.…`, got `{text}`{hint}");
                file.error(line, why);
            }
            Some(bind) => {
                if !binds.insert(bind) {
                    file.error(line, format!("`{text}` is already in the list"));
                }
            }
        }
    }
    binds
}

/// Refuses a quorum that could never be met: its author believes that somebody can give it.
fn check_reachable(
    file: &File<'_>,
    line: usize,
    name: &Name,
    quorum: &Quorum,
    entities: &Entities,
    callers: &BTreeMap<Caller, EntityUid>,
) {
    let from = &quorum.from;
    let belongs = |uid: &&EntityUid| *uid == from || entities.is_ancestor_of(from, uid);
    let persons: BTreeSet<&EntityUid> = callers.values().filter(belongs).collect();
    let enough = usize::try_from(quorum.min).is_ok_and(|min| persons.len() >= min);
    if !enough {
        let (min, have) = (quorum.min, persons.len());
        let why = format!(
            "quorum `{name}` needs {min} of {from}, but `callers` lists {have} of them: list the callers \
             that approve"
        );
        file.error(line, why);
    }
}
