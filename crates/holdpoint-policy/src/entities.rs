//! `entities.json`: the entities that policies, callers and parameters may name.
//!
//! Cedar checks each entity against the schema. This module adds what Cedar leaves open: a parent or
//! a reference that names an entity which is not there.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Entities, EntityId, EntityTypeName, EntityUid};
use serde_json::Value as JsonValue;

use crate::labels;
use crate::problem::File;
use crate::schema::Schema;
use crate::suggest::did_you_mean;

/// Reads `entities.json`. Errors go to `file`.
pub(crate) fn parse(file: &File<'_>, text: &str, schema: &Schema) -> Option<Entities> {
    let json: JsonValue = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) => {
            file.error(error.line(), format!("not JSON: {error}"));
            return None;
        }
    };
    let entities = match Entities::from_json_str(text, Some(&schema.cedar)) {
        Ok(entities) => entities,
        Err(error) => {
            let message = chain(&error);
            file.error(quoted_line(text, &message), message);
            return None;
        }
    };
    check_references(file, text, &json);
    Some(entities)
}

/// The entities of a bundle that has no `entities.json`: the actions of the schema.
pub(crate) fn none(file: &File<'_>, schema: &Schema) -> Option<Entities> {
    let made = Entities::from_json_str("[]", Some(&schema.cedar));
    made.map_err(|error| file.error(1, chain(&error))).ok()
}

/// The entity types of a schema: their names are parsed once, which costs more than an evaluation.
pub(crate) struct EntityTypes(BTreeMap<String, EntityTypeName>);

impl EntityTypes {
    /// The types that `schema` declares.
    pub(crate) fn of(schema: &Schema) -> Self {
        let types = schema.entities.keys();
        let types = types.filter_map(|name| Some((name.clone(), name.parse().ok()?)));
        Self(types.collect())
    }

    /// The uid of `id`. `None` if the schema does not declare the type.
    pub(crate) fn uid(&self, type_name: &str, id: &str) -> Option<EntityUid> {
        let type_name = self.0.get(type_name)?.clone();
        Some(EntityUid::from_type_name_and_id(
            type_name,
            EntityId::new(id),
        ))
    }
}

/// The entity uid of `type` and `id`. `None` if the type is no name.
pub(crate) fn uid(type_name: &str, id: &str) -> Option<EntityUid> {
    let type_name: EntityTypeName = type_name.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(
        type_name,
        EntityId::new(id),
    ))
}

/// Reads `Team::"sre"` as an entity that exists. The error says what it is not.
pub(crate) fn existing(text: &str, entities: &Entities) -> Result<EntityUid, String> {
    let uid: EntityUid = text
        .parse()
        .map_err(|_| format!("`{text}` is not an entity: write it as `Team::\"sre\"`"))?;
    if entities.get(&uid).is_some() {
        return Ok(uid);
    }
    Err(format!(
        "entity `{uid}` is not in the entities file{}",
        near(&uid.to_string(), entities)
    ))
}

/// `(did you mean …)` among the entities that exist.
pub(crate) fn near(uid: &str, entities: &Entities) -> String {
    let known: BTreeSet<String> = entities
        .iter()
        .map(|entity| entity.uid().to_string())
        .collect();
    did_you_mean(uid, known.iter().map(String::as_str))
}

fn check_references(file: &File<'_>, text: &str, json: &JsonValue) {
    let items = || json.as_array().into_iter().flatten();
    let mut known: BTreeSet<Reference> = BTreeSet::new();
    for (type_name, id) in items().filter_map(|item| reference(item.get("uid")?)) {
        if !known.insert((type_name, id)) {
            let line = last_line(text, &format!("\"{id}\""));
            file.error(line, format!("entity {type_name}::\"{id}\" is there twice"));
        }
    }
    for item in items() {
        let Some(owner) = item.get("uid").and_then(reference) else {
            continue;
        };
        let mut named = BTreeSet::new();
        let parents = item.get("parents").and_then(JsonValue::as_array);
        named.extend(parents.into_iter().flatten().filter_map(reference));
        item.get("attrs")
            .into_iter()
            .for_each(|attrs| collect_references(attrs, &mut named));
        item.get("tags")
            .into_iter()
            .for_each(|tags| collect_references(tags, &mut named));
        for missing in named.difference(&known) {
            let (owner_type, owner_id) = (owner.0, owner.1);
            let (missing_type, missing_id) = (missing.0, missing.1);
            let siblings = known
                .iter()
                .filter(|(other, _)| *other == missing_type)
                .map(|(_, id)| *id);
            let hint = did_you_mean(missing_id, siblings);
            file.error(
                quoted_line(text, &format!("\"{missing_id}\"")),
                format!(
                    "entity {owner_type}::\"{owner_id}\" names {missing_type}::\"{missing_id}\", which \
                     is not in the file{hint}"
                ),
            );
        }
    }
}

/// The type and the id of an entity.
type Reference<'a> = (&'a str, &'a str);

fn reference(value: &JsonValue) -> Option<Reference<'_>> {
    let value = value.get("__entity").unwrap_or(value);
    Some((value.get("type")?.as_str()?, value.get("id")?.as_str()?))
}

/// Finds `{"__entity": {…}}`. The JSON parser bounded the depth.
fn collect_references<'a>(value: &'a JsonValue, found: &mut BTreeSet<Reference<'a>>) {
    if let Some(entity) = value.get("__entity") {
        found.extend(reference(entity));
    }
    for member in value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, member)| member)
    {
        collect_references(member, found);
    }
    for item in value.as_array().into_iter().flatten() {
        collect_references(item, found);
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}

/// The line on which `needle` occurs last.
fn last_line(text: &str, needle: &str) -> usize {
    labels::line_at(text, text.rfind(needle).unwrap_or(0))
}

/// The line of the first quoted word of `message` that occurs in `text`: Cedar names entities, not
/// lines.
fn quoted_line(text: &str, message: &str) -> usize {
    let at_line = message.split("at line ").nth(1).and_then(|rest| {
        rest.split(|character: char| !character.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    });
    at_line.unwrap_or_else(|| {
        let words = message.split('"').skip(1).step_by(2);
        let offset = words
            .into_iter()
            .find_map(|word| text.find(&format!("\"{word}\"")));
        labels::line_at(text, offset.unwrap_or(0))
    })
}
