//! What a case takes for granted: approvals that were given, and bounds that are in use.

use std::collections::BTreeMap;

use holdpoint_receipt::{BoundKey, Caller, INT_MAX, Json, Name};

use super::{Case, object};
use crate::fields::Fields;
use crate::policy::Inner;
use crate::problem::{File, Problems};
use crate::suggest::did_you_mean;
use crate::surface::{Bound, BoundKind};
use crate::time;
use crate::yaml::{Node, Value};

/// An approval that was given before.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) line: usize,
    pub(crate) by: Caller,
    pub(crate) at_ms: u64,
    /// The quorum that it is for; every quorum of the surface if there is none.
    pub(crate) quorum: Option<Name>,
    /// The parameters that were others when it was given, or why no request can carry them.
    pub(crate) of: Result<Json, String>,
}

/// A bounded operation that other permits use.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) line: usize,
    pub(crate) bound: Name,
    /// Its key; that of the request if there is none.
    pub(crate) key: Option<BoundKey>,
    pub(crate) in_use: InUse,
}

/// How much of a bounded operation is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InUse {
    /// So many live permits.
    Live(u64),
    /// Its effect is committed.
    Committed,
    /// So much is charged to the window of `now`.
    Sum(u64),
}

impl InUse {
    const WORDS: [&str; 3] = ["live", "committed", "sum"];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Live(_) => "live",
            Self::Committed => "committed",
            Self::Sum(_) => "sum",
        }
    }

    /// Whether a bound of this kind can be in use so.
    const fn fits(self, kind: BoundKind) -> bool {
        match self {
            Self::Live(_) => !matches!(kind, BoundKind::Budget { .. }),
            Self::Committed => matches!(kind, BoundKind::Once { .. }),
            Self::Sum(_) => matches!(kind, BoundKind::Budget { .. }),
        }
    }
}

/// Reads an instant in UTC.
pub(super) fn instant(file: &File<'_>, node: &Node, what: &str) -> Option<u64> {
    let at_ms = time::parse_instant(file.text(node, what)?);
    if at_ms.is_none() {
        let why = format!("`{what}` must be an instant in UTC such as \"2026-11-24T10:00:00Z\"");
        file.error(node.line, why);
    }
    at_ms
}

/// Reads `approvals`.
pub(super) fn approvals(file: &File<'_>, node: &Node) -> Vec<Given> {
    let nodes = file.list(node, "approvals").unwrap_or_default();
    nodes.iter().filter_map(|node| given(file, node)).collect()
}

fn given(file: &File<'_>, node: &Node) -> Option<Given> {
    let fields = Fields::of(file, node, "an approval", &["by", "at", "quorum", "of"])?;
    let by = fields.required("by").and_then(|node| {
        let caller = Caller::new(file.text(node, "by")?);
        caller
            .map_err(|error| file.error(node.line, format!("`by`: {error}")))
            .ok()
    });
    let at_ms = fields
        .required("at")
        .and_then(|node| instant(file, node, "at"));
    let quorum = fields
        .get("quorum")
        .and_then(|node| file.name(file.text(node, "quorum")?, node.line, "quorum"));
    let of = fields.get("of").map(|node| {
        let entries = file.map(node, "`of`").unwrap_or_default();
        object(
            entries
                .iter()
                .map(|entry| (entry.key.as_str(), &entry.node)),
        )
    });
    Some(Given {
        line: node.line,
        by: by?,
        at_ms: at_ms?,
        quorum,
        of: of.unwrap_or_else(|| Ok(Json::Object(BTreeMap::new()))),
    })
}

/// Reads `held`.
pub(super) fn held(file: &File<'_>, node: &Node) -> Vec<Held> {
    let nodes = file.list(node, "held").unwrap_or_default();
    nodes.iter().filter_map(|node| one(file, node)).collect()
}

fn one(file: &File<'_>, node: &Node) -> Option<Held> {
    let known = ["bound", "key", "live", "committed", "sum"];
    let fields = Fields::of(file, node, "an entry of `held`", &known)?;
    let bound = fields
        .required("bound")
        .and_then(|node| file.name(file.text(node, "bound")?, node.line, "bound"));
    let key = fields.get("key").and_then(|node| {
        let key = BoundKey::new(file.text(node, "key")?);
        key.map_err(|error| file.error(node.line, format!("`key`: {error}")))
            .ok()
    });
    let mut words = InUse::WORDS
        .iter()
        .filter_map(|word| Some((*word, fields.get(word)?)));
    let (Some((word, value)), None) = (words.next(), words.next()) else {
        let why = format!(
            "an entry of `held` must have exactly one of {}",
            InUse::WORDS.join(", ")
        );
        file.error(node.line, why);
        return None;
    };
    let in_use = match word {
        "live" => InUse::Live(count(file, value, word)?),
        "sum" => InUse::Sum(count(file, value, word)?),
        _ if value.value == Value::Bool(true) => InUse::Committed,
        _ => {
            file.error(value.line, "`committed` must be `true`, or left out");
            return None;
        }
    };
    Some(Held {
        line: node.line,
        bound: bound?,
        key,
        in_use,
    })
}

fn count(file: &File<'_>, node: &Node, what: &str) -> Option<u64> {
    let count = file.int(node, what, 0)?;
    if count > INT_MAX {
        file.error(node.line, format!("`{what}` must be at most {INT_MAX}"));
        return None;
    }
    u64::try_from(count).ok()
}

/// Compares the facts of the cases with the surfaces: a fact about a bound or a quorum that is not
/// there would change nothing, and its author believes that it does.
pub(crate) fn check(problems: &Problems, inner: &Inner) {
    for case in &inner.cases {
        let Some(surface) = inner.surfaces.get(&case.surface) else {
            continue;
        };
        for given in &case.approvals {
            let quorum = given.quorum.as_ref();
            if let Some(name) = quorum.filter(|name| !surface.approvals.contains(name)) {
                let hint = did_you_mean(name.as_str(), surface.approvals.iter().map(Name::as_str));
                let why = format!("`{}` does not list quorum `{name}`{hint}", surface.name);
                problems.add(&case.path, given.line, why);
            }
        }
        for held in &case.held {
            check_held(problems, case, held, &surface.bounds);
        }
    }
}

fn check_held(problems: &Problems, case: &Case, held: &Held, bounds: &[Bound]) {
    let name = &held.bound;
    let Some(bound) = bounds.iter().find(|bound| bound.name == *name) else {
        let hint = did_you_mean(
            name.as_str(),
            bounds.iter().map(|bound| bound.name.as_str()),
        );
        let why = format!("`{}` has no bound `{name}`{hint}", case.surface);
        return problems.add(&case.path, held.line, why);
    };
    if !held.in_use.fits(bound.kind) {
        let (word, kind) = (held.in_use.as_str(), bound.kind.as_str());
        let why = format!("`{word}` says nothing about bound `{name}`, which is of kind `{kind}`");
        problems.add(&case.path, held.line, why);
    }
}
