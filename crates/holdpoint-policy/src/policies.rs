//! `policies/*.cedar`: parsing, annotations, validation, and one slice for each action.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Effect, Entities, EntityUid, Policy as CedarPolicy, PolicyId, PolicySet,
    ValidationMode, Validator,
};
use holdpoint_receipt::Name;
use miette::Diagnostic;
use serde_json::Value as JsonValue;

use crate::entities;
use crate::labels;
use crate::problem::{File, Problems};
use crate::scan::{self, Statement};
use crate::schema::Schema;
use crate::slice::{Condition, Slice};
use crate::suggest::did_you_mean;
use crate::surface::Surface;

/// The longest `@code`.
const CODE_BYTES_MAX: usize = 64;
/// The longest `@reason`.
const REASON_BYTES_MAX: usize = 256;
const ANNOTATIONS: [&str; 3] = ["id", "reason", "code"];

/// A policy and what its annotations say.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) policy: CedarPolicy,
    condition: Arc<Condition>,
    pub(crate) reason: String,
    /// The code of a forbid. A permit has none.
    pub(crate) code: Option<String>,
    path: String,
    line: usize,
    text: String,
}

impl Rule {
    /// The line of the file on which `needle` first occurs in the policy.
    fn line_with(&self, needle: &str) -> usize {
        let offset = self.text.find(needle).unwrap_or(0);
        labels::line_at(&self.text, offset)
            .saturating_add(self.line)
            .saturating_sub(1)
    }
}

/// The policies of a bundle by id. The map's order is the order of every list of ids.
pub(crate) type Rules = BTreeMap<String, Rule>;

/// Reads one policy file into `rules`. Errors go to `file`.
pub(crate) fn parse(file: &File<'_>, text: &str, rules: &mut Rules) {
    let statements = match scan::policies(text) {
        Ok(statements) => statements,
        Err(refused) => return file.error(refused.line, refused.message),
    };
    if statements.is_empty() {
        file.error(1, "the file holds no policy");
    }
    for statement in statements {
        let Some((id, rule)) = rule(file, statement) else {
            continue;
        };
        if let Some(before) = rules.get(&id) {
            let (path, line) = (&before.path, before.line);
            file.error(
                statement.line,
                format!("policy id `{id}` is already used at {path}:{line}"),
            );
        } else {
            rules.insert(id, rule);
        }
    }
}

fn rule(file: &File<'_>, statement: Statement<'_>) -> Option<(String, Rule)> {
    let Statement { text, line } = statement;
    let policy = match CedarPolicy::parse(None, text) {
        Ok(policy) => policy,
        Err(errors) => {
            for error in errors.iter() {
                file.error(line_of(line, text, error), labels::with_help(error));
            }
            return None;
        }
    };
    let mut notes: BTreeMap<&str, &str> = policy.annotations().collect();
    let known: Vec<Option<String>> = ANNOTATIONS
        .iter()
        .map(|name| notes.remove(name).map(str::to_owned))
        .collect();
    for name in notes.keys() {
        let hint = did_you_mean(name, ANNOTATIONS);
        file.error(line, format!("annotation `@{name}` is not known{hint}"));
    }
    let [id, reason, code] = known.try_into().ok()?;
    let Some(id) = id else {
        file.error(line, "the policy has no @id");
        return None;
    };
    let name = file.name(&id, line, "policy id")?;
    let id = name.as_str().to_owned();
    check_notes(
        file,
        line,
        &id,
        policy.effect(),
        reason.as_deref(),
        code.as_deref(),
    );
    let policy = policy.new_id(PolicyId::new(&id));
    let (path, text) = (file.path.to_owned(), text.to_owned());
    let reason = reason.unwrap_or_default();
    Some((
        id,
        Rule {
            condition: Arc::new(Condition::of(name, &policy)),
            policy,
            reason,
            code,
            path,
            line,
            text,
        },
    ))
}

fn check_notes(
    file: &File<'_>,
    line: usize,
    id: &str,
    effect: Effect,
    reason: Option<&str>,
    code: Option<&str>,
) {
    match reason {
        None => file.error(
            line,
            format!("`{id}` has no @reason: say in a sentence why it is there"),
        ),
        Some(text) if text.is_empty() || text.len() > REASON_BYTES_MAX => {
            file.error(
                line,
                format!("@reason of `{id}` must have 1 to {REASON_BYTES_MAX} bytes"),
            );
        }
        Some(_) => {}
    }
    match (effect, code) {
        (Effect::Forbid, None) => file.error(line, format!("`{id}` is a forbid without @code")),
        (Effect::Permit, Some(_)) => {
            file.error(line, format!("`{id}` is a permit with a @code: codes explain refusals"));
        }
        (Effect::Forbid, Some(code)) if !is_code(code) => file.error(
            line,
            format!("@code of `{id}` must be UPPER_SNAKE of at most {CODE_BYTES_MAX} bytes, got `{code}`"),
        ),
        (Effect::Forbid, Some(_)) | (Effect::Permit, None) => {}
    }
}

fn is_code(code: &str) -> bool {
    let starts = code.starts_with(|first: char| first.is_ascii_uppercase());
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    starts && code.len() <= CODE_BYTES_MAX && code.bytes().all(plain)
}

fn line_of(first: usize, text: &str, diagnostic: &dyn Diagnostic) -> usize {
    labels::line(text, diagnostic)
        .saturating_add(first)
        .saturating_sub(1)
}

/// Validates all policies against the schema, strictly. Warnings are errors: a policy that can
/// never apply is a forbid that its author believes in.
pub(crate) fn validate(file: &File<'_>, rules: &Rules, schema: &Schema) {
    let Ok(set) = PolicySet::from_policies(rules.values().map(|rule| rule.policy.clone())) else {
        return file.error(1, "the policies do not make a set");
    };
    let result = Validator::new(schema.cedar.clone()).validate(&set, ValidationMode::Strict);
    for error in result.validation_errors() {
        report(file, rules, error.policy_id(), error);
    }
    for warning in result.validation_warnings() {
        report(file, rules, warning.policy_id(), warning);
    }
}

fn report(file: &File<'_>, rules: &Rules, id: &PolicyId, diagnostic: &dyn Diagnostic) {
    let message = labels::with_help(diagnostic);
    match rules.get::<str>(id.as_ref()) {
        Some(rule) => {
            let line = line_of(rule.line, &rule.text, diagnostic);
            file.problems.add(&rule.path, line, message);
        }
        None => file.error(1, message),
    }
}

/// What the policies call names that only the bundle knows: windows and quorums.
pub(crate) struct Known<'a> {
    pub(crate) windows: BTreeSet<&'a str>,
    pub(crate) quorums: BTreeSet<&'a str>,
}

/// Refuses names of windows and quorums that nothing declares: `contains("prod-freez")` would be
/// false for ever, and the forbid behind it a hole that no type checker sees.
pub(crate) fn check_names(rules: &Rules, problems: &Problems, known: &Known<'_>) {
    for (id, rule) in rules {
        for (kind, name) in names_in(rule) {
            let (names, what) = match kind {
                NameKind::Window => (&known.windows, "window"),
                NameKind::Quorum => (&known.quorums, "quorum"),
            };
            if !names.contains(name.as_str()) {
                let hint = did_you_mean(&name, names.iter().copied());
                let quoted = format!("\"{name}\"");
                let message =
                    format!("`{id}` asks for {what} `{name}`, which nothing declares{hint}");
                problems.add(&rule.path, rule.line_with(&quoted), message);
            }
        }
    }
}

/// Refuses literals that name no entity: `in Team::"platfrom"` would be false for ever.
pub(crate) fn check_entities(rules: &Rules, problems: &Problems, entities: &Entities) {
    for (id, rule) in rules {
        let literals: BTreeSet<String> = rule
            .policy
            .entity_literals()
            .iter()
            .filter(|uid| entities.get(uid).is_none())
            .map(ToString::to_string)
            .collect();
        for uid in literals {
            let hint = entities::near(&uid, entities);
            let message = format!("`{id}` names {uid}, which is not in the entities file{hint}");
            problems.add(&rule.path, rule.line_with(&uid), message);
        }
    }
}

/// Refuses policies that no surface evaluates, and quorums that no surface which evaluates the policy
/// lists: their author believes that they hold.
pub(crate) fn check_reachable(
    rules: &Rules,
    problems: &Problems,
    surfaces: &BTreeMap<Name, Surface>,
) {
    for (id, rule) in rules {
        let evaluates = |surface: &&Surface| {
            let mut actions = surface.actions.values();
            actions.any(|action| action.policies.contains(id))
        };
        let mut its_surfaces = surfaces.values().filter(evaluates).peekable();
        if its_surfaces.peek().is_none() {
            let message = format!("`{id}` is about an action that no surface has");
            problems.add(&rule.path, rule.line, message);
            continue;
        }
        let listed: BTreeSet<&str> = its_surfaces
            .flat_map(|surface| surface.approvals.iter().map(Name::as_str))
            .collect();
        for (kind, name) in names_in(rule) {
            if matches!(kind, NameKind::Quorum) && !listed.contains(name.as_str()) {
                let message = format!(
                    "`{id}` asks for quorum `{name}`, which no surface of its action lists under `approvals`"
                );
                let line = rule.line_with(&format!("\"{name}\""));
                problems.add(&rule.path, line, message);
            }
        }
    }
}

/// The names of windows and quorums that a policy asks for.
fn names_in(rule: &Rule) -> Vec<(NameKind, String)> {
    let mut found = Vec::new();
    if let Ok(json) = rule.policy.to_json() {
        collect_names(&json, &mut found);
    }
    found
}

#[derive(Clone, Copy)]
enum NameKind {
    Window,
    Quorum,
}

/// Finds `context.windows.contains("x")` and its relatives. The depth was bounded before parsing.
fn collect_names(json: &JsonValue, found: &mut Vec<(NameKind, String)>) {
    let members = json.as_object().into_iter().flatten();
    for (operator, operands) in members {
        if matches!(
            operator.as_str(),
            "contains" | "containsAll" | "containsAny" | "==" | "!="
        ) {
            let side = |side: &str| operands.get(side).unwrap_or(&JsonValue::Null);
            // `["x"].containsAny(context.windows)` asks as much as the other way round.
            for (names, literals) in [("left", "right"), ("right", "left")] {
                if let Some(kind) = names_of(side(names)) {
                    let literals = literal_texts(side(literals));
                    found.extend(literals.map(|name| (kind, name.to_owned())));
                }
            }
        }
        collect_names(operands, found);
    }
    for item in json.as_array().into_iter().flatten() {
        collect_names(item, found);
    }
}

/// The text of a literal, or the texts of a set of literals.
fn literal_texts(expression: &JsonValue) -> impl Iterator<Item = &str> {
    let many = expression.get("Set").and_then(JsonValue::as_array);
    let literals = many.into_iter().flatten().chain([expression]);
    literals.filter_map(|literal| literal.get("Value")?.as_str())
}

/// Whether an expression is `context.windows` or `context.approvals.quorums`.
fn names_of(expression: &JsonValue) -> Option<NameKind> {
    let step = |value: &JsonValue| {
        let access = value.get(".")?;
        Some((
            access.get("attr")?.as_str()?.to_owned(),
            access.get("left")?.clone(),
        ))
    };
    let is_context =
        |value: &JsonValue| value.get("Var").and_then(JsonValue::as_str) == Some("context");
    let (last, before) = step(expression)?;
    if last == "windows" && is_context(&before) {
        return Some(NameKind::Window);
    }
    let (first, before) = step(&before)?;
    (last == "quorums" && first == "approvals" && is_context(&before)).then_some(NameKind::Quorum)
}

/// The policies that could apply to `action`. Leaving the others out changes no answer: a policy
/// whose scope does not match is neither satisfied nor in error.
pub(crate) fn slice(rules: &Rules, action: &EntityUid, groups: &BTreeSet<EntityUid>) -> Slice {
    let matches = |uid: &EntityUid| uid == action || groups.contains(uid);
    let applies = |rule: &&Rule| match rule.policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == *action,
        ActionConstraint::In(uids) => uids.iter().any(matches),
    };
    let rules = rules.values().filter(applies);
    Slice::new(rules.map(|rule| Arc::clone(&rule.condition)))
}

/// The codes of the forbids among `ids`, sorted, each once.
pub(crate) fn codes(rules: &Rules, ids: &[Name]) -> Vec<String> {
    let codes: BTreeSet<&String> = ids
        .iter()
        .filter_map(|id| rules.get(id.as_str())?.code.as_ref())
        .collect();
    codes.into_iter().cloned().collect()
}
