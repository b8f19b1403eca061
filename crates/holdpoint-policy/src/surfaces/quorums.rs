//! `quorums`: who must approve what, bound to which fields.
//!
//! This version checks the declarations and evaluates with no quorum met. Collecting approvals is
//! not part of it.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::Entities;
use holdpoint_receipt::Name;

use crate::entities;
use crate::fields::Fields;
use crate::problem::File;
use crate::suggest::did_you_mean;
use crate::template::Params;
use crate::time::{DAY_MS, MINUTE_MS};
use crate::yaml::Node;

/// The shortest and the longest life of an approval.
const MAX_AGE_MS: (u64, u64) = (MINUTE_MS, 90 * DAY_MS);
/// What a quorum can bind besides parameters.
const BINDABLE: [&str; 4] = ["caller", "action", "resource", "request"];

/// The part of a quorum that the surfaces using it are checked against.
#[derive(Clone, Debug)]
pub(super) struct Quorum {
    /// The parameters that it binds.
    params: BTreeSet<String>,
}

impl Quorum {
    /// Checks that a surface which lists this quorum has the parameters that it binds.
    pub(super) fn check_params(
        &self,
        file: &File<'_>,
        name: &Name,
        line: usize,
        params: Params<'_>,
    ) {
        for param in self
            .params
            .iter()
            .filter(|param| !params.record.contains_key(*param))
        {
            let hint = did_you_mean(param, params.record.keys().map(String::as_str));
            let owner = params.type_name;
            file.error(
                line,
                format!(
                    "quorum `{name}` binds `params.{param}`, which {owner} does not have{hint}"
                ),
            );
        }
    }
}

/// Reads `quorums`.
pub(super) fn parse(file: &File<'_>, node: &Node, entities: &Entities) -> BTreeMap<Name, Quorum> {
    let mut quorums = BTreeMap::new();
    for entry in file.map(node, "`quorums`").unwrap_or_default() {
        let name = file.name(&entry.key, entry.line, "quorum");
        let quorum = quorum(file, &entry.key, &entry.node, entities);
        if let (Some(name), Some(quorum)) = (name, quorum) {
            quorums.insert(name, quorum);
        }
    }
    quorums
}

fn quorum(file: &File<'_>, name: &str, node: &Node, entities: &Entities) -> Option<Quorum> {
    let what = format!("quorum `{name}`");
    let fields = Fields::of(
        file,
        node,
        &what,
        &["min", "from", "exclude", "binds", "max_age"],
    )?;
    fields.required("min").map(|node| file.int(node, "min", 1));
    if let Some((node, text)) = fields
        .required("from")
        .and_then(|node| Some((node, file.text(node, "from")?)))
    {
        let _ = entities::existing(text, entities).map_err(|why| file.error(node.line, why));
    }
    fields
        .required("max_age")
        .map(|node| file.duration_ms(node, "max_age", MAX_AGE_MS.0, MAX_AGE_MS.1));
    for (text, line) in fields
        .get("exclude")
        .map_or_else(Vec::new, |node| file.texts(node, "exclude"))
    {
        if text != "requester" {
            file.error(
                line,
                format!("`exclude` knows `requester` only, got `{text}`"),
            );
        }
    }
    let bound = file.texts(fields.required("binds")?, "binds");
    if bound.is_empty() {
        file.error(
            fields.line(),
            format!("quorum `{name}` binds nothing, so it would approve everything"),
        );
    }
    let mut params = BTreeSet::new();
    for (text, line) in bound {
        if let Some(param) = text.strip_prefix("params.") {
            params.insert(param.to_owned());
        } else if !BINDABLE.contains(&text) {
            let hint = did_you_mean(text, BINDABLE);
            let known = BINDABLE.join(", ");
            file.error(
                line,
                format!("`binds` knows {known} and `params.…`, got `{text}`{hint}"),
            );
        }
    }
    Some(Quorum { params })
}
