//! The bounds of a surface.

use holdpoint_receipt::{INT_MAX, Name};

use crate::fields::Fields;
use crate::problem::File;
use crate::schema::Type;
use crate::surface::{Bound, BoundKind, Terms};
use crate::template::{Params, TEMPLATE_BYTES_MAX, Template};
use crate::time::{self, DAY_MS, HOUR_MS, MINUTE_MS};
use crate::yaml::{Node, Value};

/// The most bounds of a surface.
const BOUNDS_MAX: usize = 8;
/// The shortest and the longest window of a budget.
const WINDOW_MS: (u64, u64) = (MINUTE_MS, 366 * DAY_MS);
/// The shortest and the longest time for which a `once` bound with an end is kept: up to ten years.
const KEEP_MS: (u64, u64) = (HOUR_MS, 3_660 * DAY_MS);

/// Reads `bounds`, in the order of their names.
pub(super) fn parse(file: &File<'_>, node: &Node, params: Params<'_>) -> Vec<Bound> {
    let nodes = file.list(node, "bounds").unwrap_or_default();
    if nodes.len() > BOUNDS_MAX {
        file.error(
            node.line,
            format!("a surface has at most {BOUNDS_MAX} bounds"),
        );
    }
    let mut bounds: Vec<Bound> = Vec::new();
    for node in nodes {
        let Some(bound) = bound(file, node, params) else {
            continue;
        };
        if bounds.iter().any(|before| before.name == bound.name) {
            file.error(
                node.line,
                format!("bound `{}` is declared twice", bound.name),
            );
        }
        bounds.push(bound);
    }
    bounds.sort_by(|a, b| a.name.cmp(&b.name));
    bounds
}

fn bound(file: &File<'_>, node: &Node, params: Params<'_>) -> Option<Bound> {
    let kinds = ["exclusive", "once", "capacity", "budget"];
    let known = ["name", "exclusive", "once", "capacity", "budget"];
    let fields = Fields::of(file, node, "a bound", &known)?;
    let text = fields
        .required("name")
        .and_then(|node| file.text(node, "name"))?;
    let name = file.name(text, node.line, "bound")?;
    let mut declared = kinds
        .iter()
        .filter_map(|kind| Some((*kind, fields.get(kind)?)));
    let (Some((kind, value)), None) = (declared.next(), declared.next()) else {
        file.error(
            node.line,
            format!(
                "bound `{name}` must have exactly one of {}",
                kinds.join(", ")
            ),
        );
        return None;
    };
    let word = kind;
    let (kind, key, field) = match kind {
        "exclusive" => (BoundKind::Exclusive, value, None),
        "once" => once(file, value)?,
        "capacity" => capacity(file, value)?,
        _ => budget(file, &name, value, params)?,
    };
    let source = file.text(key, word)?;
    match Template::parse(source, params) {
        Ok(key) => Some(Bound {
            name,
            kind,
            key,
            field,
            line: node.line,
        }),
        Err(why) => {
            file.error(key.line, format!("bound `{name}` {why}"));
            None
        }
    }
}

/// The kind of a bound, where its key template stands, and the parameter that it sums.
type Declared<'n> = (BoundKind, &'n Node, Option<String>);

/// A template, or `{ key, keep }`.
fn once<'n>(file: &'n File<'n>, node: &'n Node) -> Option<Declared<'n>> {
    if !matches!(node.value, Value::Map(_)) {
        return Some((BoundKind::Once { kept_for_ms: None }, node, None));
    }
    let fields = Fields::of(file, node, "`once`", &["key", "keep"])?;
    let key = fields.required("key");
    let keep = fields
        .required("keep")
        .and_then(|node| file.duration_ms(node, "keep", KEEP_MS.0, KEEP_MS.1));
    let kept_for_ms = Some(keep?);
    Some((BoundKind::Once { kept_for_ms }, key?, None))
}

fn capacity<'n>(file: &'n File<'n>, node: &'n Node) -> Option<Declared<'n>> {
    let fields = Fields::of(file, node, "`capacity`", &["key", "limit"])?;
    let key = fields.required("key");
    let limit = fields.required("limit").and_then(|node| limit(file, node));
    Some((BoundKind::Capacity { limit: limit? }, key?, None))
}

fn budget<'n>(
    file: &'n File<'n>,
    name: &Name,
    node: &'n Node,
    params: Params<'_>,
) -> Option<Declared<'n>> {
    let fields = Fields::of(file, node, "`budget`", &["key", "field", "window", "limit"])?;
    let key = fields.required("key");
    let limit = fields.required("limit").and_then(|node| limit(file, node));
    let window_ms = fields
        .required("window")
        .and_then(|node| file.duration_ms(node, "window", WINDOW_MS.0, WINDOW_MS.1));
    let field = fields.required("field").and_then(|node| {
        let field = file.text(node, "field")?;
        let summed = field
            .strip_prefix("params.")
            .and_then(|name| params.record.get(name));
        if summed.is_some_and(|attribute| attribute.required && attribute.ty == Type::Long) {
            if field.len() > TEMPLATE_BYTES_MAX {
                let why = format!("`field` must have at most {TEMPLATE_BYTES_MAX} bytes");
                file.error(node.line, why);
            }
            return Some(field.to_owned());
        }
        let why =
            format!("bound `{name}` sums `{field}`, which is not a required Long of `params`");
        file.error(node.line, why);
        None
    });
    let (limit, window_ms, field) = (limit?, window_ms?, field?);
    Some((BoundKind::Budget { limit, window_ms }, key?, Some(field)))
}

fn limit(file: &File<'_>, node: &Node) -> Option<u64> {
    let limit = file.int(node, "limit", 1)?;
    if limit > INT_MAX {
        file.error(node.line, format!("`limit` must be at most {INT_MAX}"));
        return None;
    }
    u64::try_from(limit).ok()
}

/// Compares the bounds with the terms: what is forgotten too early could be done twice.
pub(super) fn check_terms(file: &File<'_>, bounds: &[Bound], terms: &Terms) {
    let life_ms = terms.permit_for_ms.saturating_add(terms.complete_within_ms);
    for bound in bounds {
        let BoundKind::Once { kept_for_ms } = bound.kind else {
            continue;
        };
        let name = &bound.name;
        if kept_for_ms.is_some_and(|kept_for_ms| kept_for_ms < life_ms) {
            let life = time::show_duration(life_ms);
            let why = format!(
                "`keep` of bound `{name}` must be at least `permit_for` and `complete_within` together, \
                 {life}: a shorter one would forget an effect while its permit can still be retried"
            );
            file.error(bound.line, why);
        }
        if terms.release_after_ms.is_some() {
            let why = format!(
                "bound `{name}` is `once`, which does not go with `release_after`: an effect that may \
                 have happened could happen again"
            );
            file.error(bound.line, why);
        }
    }
}
