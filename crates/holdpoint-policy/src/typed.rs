//! Parameters become typed Cedar values, by the schema and never by how their JSON looks.
//!
//! Every value is built directly: no JSON goes into Cedar, which is eight times faster and leaves
//! no escape such as `{"__entity": …}` for a caller to write.

use std::collections::BTreeMap;

use cedar_policy::{Entities, RestrictedExpression};
use holdpoint_receipt::{Digest, Json};

use crate::entities;
use crate::schema::{Record, Type};
use crate::suggest::did_you_mean;

/// Parameters whose names end so are digests, as `--bind` makes them: 64 lower-case hexadecimal
/// digits. Two spellings of one digest would be two keys of one operation.
const DIGEST_SUFFIX: &str = "_sha256";

/// Why parameters do not fit the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Missing, unknown, or of another type.
    Type(String),
    /// Names an entity that does not exist.
    Entity(String),
}

/// Builds the record `params`.
pub(crate) fn record(
    record: &Record,
    members: &BTreeMap<String, Json>,
    entities: &Entities,
) -> Result<RestrictedExpression, Misfit> {
    Typer { entities }.record("params", record, members)
}

/// What a parameter must be, for messages.
fn wanted(name: &str, ty: &Type) -> String {
    if *ty == Type::String && name.ends_with(DIGEST_SUFFIX) {
        return "64 lower-case hexadecimal digits".to_owned();
    }
    ty.show()
}

struct Typer<'a> {
    entities: &'a Entities,
}

impl Typer<'_> {
    fn record(
        &self,
        path: &str,
        record: &Record,
        members: &BTreeMap<String, Json>,
    ) -> Result<RestrictedExpression, Misfit> {
        if let Some(unknown) = members.keys().find(|name| !record.contains_key(*name)) {
            let hint = did_you_mean(unknown, record.keys().map(String::as_str));
            let why = format!("`{path}.{unknown}` is not a parameter of the surface{hint}");
            return Err(Misfit::Type(why));
        }
        let mut typed = Vec::new();
        for (name, attribute) in record {
            let path = format!("{path}.{name}");
            match members.get(name) {
                Some(value) => {
                    typed.push((name.clone(), self.value(&path, name, &attribute.ty, value)?));
                }
                None if attribute.required => {
                    let why = format!(
                        "`{path}` is missing: it must be {}",
                        wanted(name, &attribute.ty)
                    );
                    return Err(Misfit::Type(why));
                }
                None => {}
            }
        }
        RestrictedExpression::new_record(typed).map_err(|error| Misfit::Type(error.to_string()))
    }

    fn value(
        &self,
        path: &str,
        name: &str,
        ty: &Type,
        value: &Json,
    ) -> Result<RestrictedExpression, Misfit> {
        match (ty, value) {
            (Type::Bool, Json::Bool(flag)) => Ok(RestrictedExpression::new_bool(*flag)),
            (Type::Long, Json::Int(number)) => Ok(RestrictedExpression::new_long(*number)),
            (Type::String, Json::Str(text)) if name.ends_with(DIGEST_SUFFIX) => {
                let parsed: Result<Digest, _> = text.parse();
                let why = |_| Misfit::Type(format!("`{path}` must be {}", wanted(name, ty)));
                parsed
                    .map(|_| RestrictedExpression::new_string(text.clone()))
                    .map_err(why)
            }
            (Type::String, Json::Str(text)) => Ok(RestrictedExpression::new_string(text.clone())),
            (Type::Datetime, Json::Str(text)) => Ok(RestrictedExpression::new_datetime(text)),
            (Type::Duration, Json::Str(text)) => Ok(RestrictedExpression::new_duration(text)),
            (Type::Decimal, Json::Str(text)) => Ok(RestrictedExpression::new_decimal(text)),
            (Type::Ip, Json::Str(text)) => Ok(RestrictedExpression::new_ip(text)),
            (Type::Entity(type_name), Json::Str(id)) => self.entity(path, type_name, id),
            (Type::Set(element), Json::Array(items)) => {
                let items = items
                    .iter()
                    .map(|item| self.value(path, name, element, item));
                Ok(RestrictedExpression::new_set(
                    items.collect::<Result<Vec<_>, _>>()?,
                ))
            }
            (Type::Record(record), Json::Object(members)) => self.record(path, record, members),
            (wanted, found) => {
                let (wanted, found) = (wanted.show(), found.kind());
                Err(Misfit::Type(format!(
                    "`{path}` must be {wanted}, got {found}"
                )))
            }
        }
    }

    fn entity(
        &self,
        path: &str,
        type_name: &str,
        id: &str,
    ) -> Result<RestrictedExpression, Misfit> {
        let uid = entities::uid(type_name, id)
            .filter(|uid| self.entities.get(uid).is_some())
            .ok_or_else(|| {
                Misfit::Entity(format!(
                    "`{path}` names {type_name}::{id:?}, which is not in the bundle"
                ))
            })?;
        Ok(RestrictedExpression::new_entity_uid(uid))
    }
}
