//! The bundle's Cedar schema, and the part of it that typed contexts and templates need.
//!
//! Cedar decides whether the schema is valid. This module only reads the types that Cedar accepted,
//! so that parameters become typed values and a misspelt placeholder is found at load.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Schema as CedarSchema, SchemaFragment};
use serde_json::Value as JsonValue;

use crate::labels;
use crate::problem::File;
use crate::scan;

/// Types inside each other, names followed.
const TYPE_DEPTH_MAX: usize = 24;
/// Types of the whole schema with all names followed. A name that stands for two of another, and so
/// on, doubles with every line.
const TYPES_MAX: usize = 20_000;

/// A Cedar type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Long,
    String,
    Datetime,
    Duration,
    Decimal,
    Ip,
    Set(Box<Type>),
    Record(Record),
    Entity(String),
}

/// The attributes of a record, by name.
pub(crate) type Record = BTreeMap<String, Attribute>;

/// One attribute of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) ty: Type,
    pub(crate) required: bool,
}

impl Type {
    /// As the schema writes it, for messages.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Bool => "Bool".to_owned(),
            Self::Long => "Long".to_owned(),
            Self::String => "String".to_owned(),
            Self::Datetime => "datetime".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Decimal => "decimal".to_owned(),
            Self::Ip => "ipaddr".to_owned(),
            Self::Set(element) => format!("Set<{}>", element.show()),
            Self::Record(record) => {
                let attributes: Vec<String> = record
                    .iter()
                    .map(|(name, attribute)| {
                        let mark = if attribute.required { "" } else { "?" };
                        format!("{name}{mark}: {}", attribute.ty.show())
                    })
                    .collect();
                format!("{{ {} }}", attributes.join(", "))
            }
            Self::Entity(name) => name.clone(),
        }
    }
}

/// What an action applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) principals: BTreeSet<String>,
    pub(crate) resources: BTreeSet<String>,
    pub(crate) context: Record,
}

/// The schema as Cedar has it and as this crate reads it.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) cedar: CedarSchema,
    /// Records that have a name, by name.
    pub(crate) records: BTreeMap<String, Record>,
    /// Entity types, and whether each can exist without attributes.
    pub(crate) entities: BTreeMap<String, bool>,
    pub(crate) actions: BTreeMap<String, Action>,
}

/// Reads the schema in `text`. Errors go to `file`.
pub(crate) fn parse(file: &File<'_>, text: &str) -> Option<Schema> {
    if let Err(refused) = scan::schema(text) {
        file.error(refused.line, refused.message);
        return None;
    }
    let fragment = match SchemaFragment::from_cedarschema_str(text) {
        Ok((fragment, warnings)) => {
            for warning in warnings {
                file.error(labels::line(text, &warning), warning.to_string());
            }
            fragment
        }
        Err(error) => {
            file.error(labels::line(text, &error), labels::with_help(&error));
            return None;
        }
    };
    // Before Cedar follows the names, which it does without a limit.
    let json = fragment.clone().to_json_value();
    let json = json.map_err(|error| ModelError::Unknown(error.to_string()));
    let model = json.and_then(|json| read_model(&json));
    if let Err(ModelError::Limit(why)) = model {
        file.error(1, why);
        return None;
    }
    let cedar = match CedarSchema::from_schema_fragments([fragment]) {
        Ok(cedar) => cedar,
        Err(error) => {
            file.error(labels::line(text, &error), labels::with_help(&error));
            return None;
        }
    };
    match model {
        Ok((records, entities, actions)) => Some(Schema {
            cedar,
            records,
            entities,
            actions,
        }),
        Err(ModelError::Limit(why) | ModelError::Unknown(why)) => {
            file.error(1, why);
            None
        }
    }
}

/// Why the types cannot be read.
enum ModelError {
    /// A limit is passed.
    Limit(String),
    /// Something that this module does not know. Cedar may say it better.
    Unknown(String),
}

impl From<String> for ModelError {
    fn from(why: String) -> Self {
        Self::Unknown(why)
    }
}

impl From<&str> for ModelError {
    fn from(why: &str) -> Self {
        Self::Unknown(why.to_owned())
    }
}

type Model = (
    BTreeMap<String, Record>,
    BTreeMap<String, bool>,
    BTreeMap<String, Action>,
);

/// Reads the types from the JSON form of the schema.
fn read_model(json: &JsonValue) -> Result<Model, ModelError> {
    let namespaces = json.as_object().ok_or("the schema has no JSON form")?;
    if let Some(named) = namespaces.keys().find(|name| !name.is_empty()) {
        return Err(format!(
            "namespace `{named}`: declare types and actions outside of namespaces"
        )
        .into());
    }
    let Some(body) = namespaces.get("") else {
        return Err("the schema is empty".into());
    };
    let reader = Reader {
        types_left: Cell::new(TYPES_MAX),
        common: members(body, "commonTypes"),
        entities: members(body, "entityTypes"),
    };
    let mut records = BTreeMap::new();
    for (name, shape) in &reader.common {
        if let Type::Record(record) = reader.ty(shape, 0)? {
            records.insert((*name).to_owned(), record);
        }
    }
    let mut entities = BTreeMap::new();
    for (name, entity) in &reader.entities {
        let shape = match entity.get("shape") {
            None => Type::Record(Record::new()),
            Some(shape) => reader.ty(shape, 0)?,
        };
        let bare = if let Type::Record(record) = shape {
            record.values().all(|attribute| !attribute.required)
        } else {
            false
        };
        entities.insert((*name).to_owned(), bare && entity.get("enum").is_none());
    }
    let mut actions = BTreeMap::new();
    for (name, action) in members(body, "actions") {
        let applies = action.get("appliesTo").unwrap_or(&JsonValue::Null);
        let context = match applies.get("context") {
            None => Type::Record(Record::new()),
            Some(shape) => reader.ty(shape, 0)?,
        };
        let Type::Record(context) = context else {
            return Err(format!("the context of action `{name}` is not a record").into());
        };
        let (principals, resources) = (
            texts(applies, "principalTypes"),
            texts(applies, "resourceTypes"),
        );
        actions.insert(
            name.to_owned(),
            Action {
                principals,
                resources,
                context,
            },
        );
    }
    Ok((records, entities, actions))
}

fn members<'a>(value: &'a JsonValue, key: &str) -> BTreeMap<&'a str, &'a JsonValue> {
    let object = value.get(key).and_then(JsonValue::as_object);
    object
        .into_iter()
        .flatten()
        .map(|(name, member)| (name.as_str(), member))
        .collect()
}

fn texts(value: &JsonValue, key: &str) -> BTreeSet<String> {
    let items = value.get(key).and_then(JsonValue::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(JsonValue::as_str)
        .map(str::to_owned)
        .collect()
}

struct Reader<'a> {
    types_left: Cell<usize>,
    common: BTreeMap<&'a str, &'a JsonValue>,
    entities: BTreeMap<&'a str, &'a JsonValue>,
}

impl Reader<'_> {
    fn ty(&self, shape: &JsonValue, depth: usize) -> Result<Type, ModelError> {
        if depth > TYPE_DEPTH_MAX {
            let why =
                format!("a type is nested deeper than {TYPE_DEPTH_MAX} levels, names followed");
            return Err(ModelError::Limit(why));
        }
        self.types_left.set(self.types_left.get().saturating_sub(1));
        if self.types_left.get() == 0 {
            let why = format!("the schema has more than {TYPES_MAX} types, names followed");
            return Err(ModelError::Limit(why));
        }
        let deeper = depth.saturating_add(1);
        let text = |key: &str| shape.get(key).and_then(JsonValue::as_str);
        let kind = text("type").ok_or("a type of the schema has no kind")?;
        match kind {
            "Record" => self.record(shape, deeper).map(Type::Record),
            "Set" => {
                let element = shape
                    .get("element")
                    .ok_or("a set of the schema has no element type")?;
                Ok(Type::Set(Box::new(self.ty(element, deeper)?)))
            }
            "EntityOrCommon" | "Entity" | "Extension" => self.named(
                text("name").ok_or("a type of the schema has no name")?,
                deeper,
            ),
            name => self.named(name, deeper),
        }
    }

    fn record(&self, shape: &JsonValue, depth: usize) -> Result<Record, ModelError> {
        let mut record = Record::new();
        for (name, attribute) in members(shape, "attributes") {
            let required = attribute
                .get("required")
                .and_then(JsonValue::as_bool)
                .unwrap_or(true);
            let ty = self.ty(attribute, depth)?;
            record.insert(name.to_owned(), Attribute { ty, required });
        }
        Ok(record)
    }

    /// A name as Cedar resolves it: a common type, an entity type, a type of the language.
    fn named(&self, name: &str, depth: usize) -> Result<Type, ModelError> {
        if let Some(shape) = self.common.get(name) {
            return self.ty(shape, depth);
        }
        if self.entities.contains_key(name) {
            return Ok(Type::Entity(name.to_owned()));
        }
        match name.strip_prefix("__cedar::").unwrap_or(name) {
            "Bool" | "Boolean" => Ok(Type::Bool),
            "Long" => Ok(Type::Long),
            "String" => Ok(Type::String),
            "datetime" => Ok(Type::Datetime),
            "duration" => Ok(Type::Duration),
            "decimal" => Ok(Type::Decimal),
            "ipaddr" => Ok(Type::Ip),
            _ => Err(format!("type `{name}` is not one that this version knows").into()),
        }
    }
}

#[cfg(test)]
mod tests;
