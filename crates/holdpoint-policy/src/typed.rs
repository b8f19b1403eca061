//! Parameters become typed Cedar values, by the schema and never by how their JSON looks.
//!
//! Every value is built directly: no JSON goes into Cedar, which is many times faster and leaves
//! no escape such as `{"__entity": …}` for a caller to write. Cedar does not look at them again, so
//! nothing may leave this module that is not of its type.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cedar_policy::Entities;
use cedar_policy_core::ast::{EntityUID, ExtensionFunction, PartialValue, Value};
use cedar_policy_core::extensions::Extensions;
use holdpoint_receipt::{Digest, Json};

use crate::entities::EntityTypes;
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

/// What an entity may be.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) types: &'a EntityTypes,
    pub(crate) entities: &'a Entities,
}

/// Builds the record `params`.
pub(crate) fn record(
    record: &Record,
    members: &BTreeMap<String, Json>,
    known: Known<'_>,
) -> Result<Value, Misfit> {
    Typer { known }.record("params", record, members)
}

/// A type that is written as text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extension {
    Datetime,
    Duration,
    Decimal,
    Ip,
}

/// The functions of Cedar that read one, in the order of [`Extension`].
static READERS: LazyLock<[Option<&'static ExtensionFunction>; 4]> = LazyLock::new(|| {
    let found = |name: &str| Extensions::all_available().func(&name.parse().ok()?).ok();
    ["datetime", "duration", "decimal", "ip"].map(found)
});

impl Extension {
    /// Reads `text`. The error says what is wrong with it.
    pub(crate) fn value(self, text: &str) -> Result<Value, String> {
        let [datetime, duration, decimal, ip] = *READERS;
        let reader = match self {
            Self::Datetime => datetime,
            Self::Duration => duration,
            Self::Decimal => decimal,
            Self::Ip => ip,
        };
        let reader = reader.ok_or("this build has no such type")?;
        match reader.call(&[Value::from(text)]) {
            Ok(PartialValue::Value(value)) => Ok(value),
            Ok(PartialValue::Residual(unknown)) => Err(format!("it is {unknown}")),
            Err(why) => Err(why.to_string()),
        }
    }
}

/// What a parameter must be, for messages.
fn wanted(name: &str, ty: &Type) -> String {
    if *ty == Type::String && name.ends_with(DIGEST_SUFFIX) {
        return "64 lower-case hexadecimal digits".to_owned();
    }
    ty.show()
}

struct Typer<'a> {
    known: Known<'a>,
}

impl Typer<'_> {
    fn record(
        &self,
        path: &str,
        record: &Record,
        members: &BTreeMap<String, Json>,
    ) -> Result<Value, Misfit> {
        if let Some(unknown) = members.keys().find(|name| !record.contains_key(*name)) {
            let hint = did_you_mean(unknown, record.keys().map(String::as_str));
            let why = format!("`{path}.{unknown}` is not a parameter of the surface{hint}");
            return Err(Misfit::Type(why));
        }
        let mut typed = Vec::with_capacity(members.len());
        for (name, attribute) in record {
            let path = || format!("{path}.{name}");
            match members.get(name) {
                Some(value) => {
                    typed.push((
                        name.as_str(),
                        self.value(&path, name, &attribute.ty, value)?,
                    ));
                }
                None if attribute.required => {
                    let (path, wanted) = (path(), wanted(name, &attribute.ty));
                    let why = format!("`{path}` is missing: it must be {wanted}");
                    return Err(Misfit::Type(why));
                }
                None => {}
            }
        }
        Ok(Value::record(typed, None))
    }

    fn value(
        &self,
        path: &dyn Fn() -> String,
        name: &str,
        ty: &Type,
        value: &Json,
    ) -> Result<Value, Misfit> {
        let read = |extension: Extension, text: &str| {
            let value = extension.value(text);
            value.map_err(|why| {
                Misfit::Type(format!("a parameter is not what its type wants: {why}"))
            })
        };
        match (ty, value) {
            (Type::Bool, Json::Bool(flag)) => Ok(Value::from(*flag)),
            (Type::Long, Json::Int(number)) => Ok(Value::from(*number)),
            (Type::String, Json::Str(text)) if name.ends_with(DIGEST_SUFFIX) => {
                let parsed: Result<Digest, _> = text.parse();
                let why = |_| Misfit::Type(format!("`{}` must be {}", path(), wanted(name, ty)));
                parsed.map(|_| Value::from(text.as_str())).map_err(why)
            }
            (Type::String, Json::Str(text)) => Ok(Value::from(text.as_str())),
            (Type::Datetime, Json::Str(text)) => read(Extension::Datetime, text),
            (Type::Duration, Json::Str(text)) => read(Extension::Duration, text),
            (Type::Decimal, Json::Str(text)) => read(Extension::Decimal, text),
            (Type::Ip, Json::Str(text)) => read(Extension::Ip, text),
            (Type::Entity(type_name), Json::Str(id)) => self.entity(path, type_name, id),
            (Type::Set(element), Json::Array(items)) => {
                let items = items
                    .iter()
                    .map(|item| self.value(path, name, element, item));
                Ok(Value::set(items.collect::<Result<Vec<_>, _>>()?, None))
            }
            (Type::Record(record), Json::Object(members)) => self.record(&path(), record, members),
            (wanted, found) => {
                let (path, wanted, found) = (path(), wanted.show(), found.kind());
                Err(Misfit::Type(format!(
                    "`{path}` must be {wanted}, got {found}"
                )))
            }
        }
    }

    fn entity(
        &self,
        path: &dyn Fn() -> String,
        type_name: &str,
        id: &str,
    ) -> Result<Value, Misfit> {
        let Known { types, entities } = self.known;
        let uid = types
            .uid(type_name, id)
            .filter(|uid| entities.get(uid).is_some())
            .ok_or_else(|| {
                let path = path();
                Misfit::Entity(format!(
                    "`{path}` names {type_name}::{id:?}, which is not in the bundle"
                ))
            })?;
        Ok(Value::from(Arc::new(EntityUID::from(uid))))
    }
}
