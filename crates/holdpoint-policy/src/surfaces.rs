//! `surfaces.yaml`: from declarations to checked surfaces.

mod bounds;
mod context;
mod quorums;
mod terms;

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Entities, EntityUid};
use holdpoint_receipt::{Caller, Name};

use crate::approvals::Quorum;
use crate::entities;
use crate::fields::Fields;
use crate::policies::{self, Rules};
use crate::problem::File;
use crate::schema::{Record, Schema};
use crate::suggest::did_you_mean;
use crate::surface::{Action, ResourceId, Surface};
use crate::template::{Params, Template};
use crate::yaml::Node;

/// The most surfaces in a bundle.
const SURFACES_MAX: usize = 1_024;
/// The most actions of a surface; the state machine takes no more.
const ACTIONS_MAX: usize = 64;
/// The most quorums that a surface lists: each is a question more to the policies.
const QUORUMS_MAX: usize = 8;
/// The most approvals that the quorums of a surface ask for together; the state machine compares no
/// more for one decision.
const APPROVERS_MAX: u32 = 64;
const KEYS: [&str; 15] = [
    "principal",
    "principal_must_exist",
    "actions",
    "resource",
    "resource_must_exist",
    "params",
    "executors",
    "bounds",
    "approvals",
    "permit_for",
    "complete_within",
    "honor_issued",
    "failed_exit",
    "redeem",
    "release_after",
];

/// What the surfaces file declares.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) surfaces: BTreeMap<Name, Surface>,
    pub(crate) callers: BTreeMap<Caller, EntityUid>,
    pub(crate) quorums: BTreeMap<Name, Quorum>,
    /// The names of all quorums, also of those with mistakes.
    pub(crate) quorum_names: BTreeSet<Name>,
}

/// What surfaces refer to.
#[derive(Clone, Copy)]
pub(crate) struct Loaded<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) entities: &'a Entities,
    pub(crate) rules: &'a Rules,
}

/// Reads the surfaces file. Errors go to `file`.
pub(crate) fn parse(file: &File<'_>, node: &Node, loaded: Loaded<'_>) -> Option<Declared> {
    let fields = Fields::of(
        file,
        node,
        "the surfaces file",
        &["callers", "quorums", "surfaces"],
    )?;
    let callers = fields
        .get("callers")
        .map_or_else(BTreeMap::new, |node| callers(file, node, loaded));
    let declared = fields.get("quorums").map_or_else(BTreeMap::new, |node| {
        quorums::parse(file, node, loaded.entities, &callers)
    });
    let entries = file.map(fields.required("surfaces")?, "`surfaces`")?;
    if entries.is_empty() || entries.len() > SURFACES_MAX {
        file.error(
            fields.line(),
            format!("declare between 1 and {SURFACES_MAX} surfaces"),
        );
    }
    let mut surfaces = BTreeMap::new();
    for entry in entries {
        let Some(name) = file.name(&entry.key, entry.line, "surface") else {
            continue;
        };
        let reader = Reader {
            file,
            loaded,
            quorums: &declared,
        };
        if let Some(surface) = reader.surface(name.clone(), &entry.node) {
            surfaces.insert(name, surface);
        }
    }
    Some(Declared {
        surfaces,
        callers,
        quorum_names: declared.keys().cloned().collect(),
        quorums: declared
            .into_iter()
            .filter_map(|(name, quorum)| Some((name, quorum?)))
            .collect(),
    })
}

fn callers(file: &File<'_>, node: &Node, loaded: Loaded<'_>) -> BTreeMap<Caller, EntityUid> {
    let mut callers = BTreeMap::new();
    for entry in file.map(node, "`callers`").unwrap_or_default() {
        let caller = Caller::new(&entry.key)
            .map_err(|error| file.error(entry.line, format!("caller `{}`: {error}", entry.key)));
        let uid = file.text(&entry.node, &entry.key).and_then(|text| {
            let uid = entities::existing(text, loaded.entities);
            uid.map_err(|why| file.error(entry.node.line, why)).ok()
        });
        if let (Ok(caller), Some(uid)) = (caller, uid) {
            callers.insert(caller, uid);
        }
    }
    callers
}

struct Reader<'a> {
    file: &'a File<'a>,
    loaded: Loaded<'a>,
    quorums: &'a BTreeMap<Name, Option<Quorum>>,
}

impl Reader<'_> {
    fn surface(&self, name: Name, node: &Node) -> Option<Surface> {
        let file = self.file;
        let what = format!("surface `{name}`");
        let fields = Fields::of(file, node, &what, &KEYS)?;
        let principals = fields
            .required("principal")
            .map(|node| self.principals(node));
        let params = fields.required("params").and_then(|node| self.params(node));
        let actions = fields.required("actions");
        let resource = fields.required("resource");
        let terms = self.terms(&fields);
        let (principals, actions) = (principals?, actions?);
        let (params_name, record) = params?;
        let params = Params {
            type_name: &params_name,
            record: &record,
        };
        let bounds = fields
            .get("bounds")
            .map_or_else(Vec::new, |node| bounds::parse(file, node, params));
        if let Some(terms) = &terms {
            bounds::check_terms(file, &bounds, terms);
        }
        let approvals = fields
            .get("approvals")
            .map_or_else(Vec::new, |node| self.approvals(node, params));
        let (resource_type, resource) = self.resource(resource?, params)?;
        let principal_must_exist = self.must_exist(&fields, "principal_must_exist", &principals);
        let resource_must_exist = self.must_exist(
            &fields,
            "resource_must_exist",
            std::slice::from_ref(&resource_type),
        );
        let actions = self.actions(actions, &principals, &resource_type, params);
        Some(Surface {
            name,
            principals,
            principal_must_exist,
            actions,
            resource_type,
            resource,
            resource_must_exist,
            params: record,
            bounds,
            approvals,
            terms: terms?,
        })
    }

    fn entity_type(&self, text: &str, line: usize) -> Option<String> {
        let known = &self.loaded.schema.entities;
        if known.contains_key(text) {
            return Some(text.to_owned());
        }
        let hint = did_you_mean(text, known.keys().map(String::as_str));
        self.file.error(
            line,
            format!("entity type `{text}` is not in the schema{hint}"),
        );
        None
    }

    /// One entity type, or a list of them.
    fn principals(&self, node: &Node) -> Vec<String> {
        let texts = if matches!(node.value, crate::yaml::Value::List(_)) {
            self.file.texts(node, "principal")
        } else {
            self.file
                .text(node, "principal")
                .map(|text| (text, node.line))
                .into_iter()
                .collect()
        };
        texts
            .into_iter()
            .filter_map(|(text, line)| self.entity_type(text, line))
            .collect()
    }

    fn params(&self, node: &Node) -> Option<(String, Record)> {
        let name = self.file.text(node, "params")?;
        let records = &self.loaded.schema.records;
        let Some(record) = records.get(name) else {
            let hint = did_you_mean(name, records.keys().map(String::as_str));
            self.file.error(
                node.line,
                format!("`{name}` is not a record type of the schema{hint}"),
            );
            return None;
        };
        Some((name.to_owned(), record.clone()))
    }

    fn must_exist(&self, fields: &Fields<'_>, key: &str, types: &[String]) -> bool {
        let must = fields.bool_or(key, true);
        let entities = &self.loaded.schema.entities;
        let needy = types
            .iter()
            .find(|name| entities.get(*name) == Some(&false));
        if let (false, Some(name)) = (must, needy) {
            let line = fields
                .get(key)
                .map_or_else(|| fields.line(), |node| node.line);
            let why = format!(
                "`{key}: false` needs a type without required attributes, but `{name}` has some (or is \
                 an enumeration)"
            );
            self.file.error(line, why);
        }
        must
    }

    fn resource(&self, node: &Node, params: Params<'_>) -> Option<(String, ResourceId)> {
        let text = self.file.text(node, "resource")?;
        let parts = text
            .split_once("::\"")
            .and_then(|(name, rest)| Some((name, rest.strip_suffix('"')?)));
        let Some((type_name, id)) = parts else {
            let why = "`resource` must look like `Workspace::\"{params.workspace}\"`";
            self.file.error(node.line, why);
            return None;
        };
        let type_name = self.entity_type(type_name, node.line)?;
        match Template::parse(id, params) {
            Ok(template) if id.contains('{') => Some((type_name, ResourceId::Template(template))),
            Ok(_) => Some((type_name, ResourceId::Constant(id.to_owned()))),
            Err(why) => {
                self.file.error(node.line, format!("`resource` {why}"));
                None
            }
        }
    }

    fn approvals(&self, node: &Node, params: Params<'_>) -> Vec<Name> {
        let mut names = BTreeSet::new();
        let texts = self.file.texts(node, "approvals");
        if texts.len() > QUORUMS_MAX {
            let why = format!("a surface lists at most {QUORUMS_MAX} quorums");
            self.file.error(node.line, why);
        }
        for (text, line) in texts {
            let Some(name) = self.file.name(text, line, "quorum") else {
                continue;
            };
            match self.quorums.get(&name) {
                None => {
                    let hint = did_you_mean(text, self.quorums.keys().map(Name::as_str));
                    self.file.error(
                        line,
                        format!("quorum `{name}` is not declared under `quorums`{hint}"),
                    );
                }
                Some(None) => {}
                Some(Some(quorum)) => quorums::check_params(quorum, self.file, &name, line, params),
            }
            names.insert(name);
        }
        let wanted = names
            .iter()
            .filter_map(|name| self.quorums.get(name)?.as_ref());
        let wanted = wanted.fold(0_u32, |sum, quorum| sum.saturating_add(quorum.min));
        if wanted > APPROVERS_MAX {
            let why = format!(
                "the quorums of a surface ask for at most {APPROVERS_MAX} approvals together, these for \
                 {wanted}"
            );
            self.file.error(node.line, why);
        }
        names.into_iter().collect()
    }

    fn actions(
        &self,
        node: &Node,
        principals: &[String],
        resource: &str,
        params: Params<'_>,
    ) -> BTreeMap<Name, Action> {
        let file = self.file;
        let entries = file.map(node, "`actions`").unwrap_or_default();
        if entries.is_empty() || entries.len() > ACTIONS_MAX {
            let why = format!("`actions` must name between 1 and {ACTIONS_MAX} actions");
            file.error(node.line, why);
        }
        let mut actions = BTreeMap::new();
        for entry in entries {
            let name = file.name(&entry.key, entry.line, "action");
            let cedar = file.text(&entry.node, &entry.key);
            let (Some(name), Some(cedar)) = (name, cedar) else {
                continue;
            };
            let known = &self.loaded.schema.actions;
            let Some(declared) = known.get(cedar) else {
                let hint = did_you_mean(cedar, known.keys().map(String::as_str));
                file.error(
                    entry.node.line,
                    format!("action `{cedar}` is not in the schema{hint}"),
                );
                continue;
            };
            for (kind, wanted, known) in principals
                .iter()
                .map(|name| ("principal", name.as_str(), &declared.principals))
                .chain([("resource", resource, &declared.resources)])
            {
                if !known.contains(wanted) {
                    let why =
                        format!("action `{cedar}` does not apply to a {kind} of type `{wanted}`");
                    file.error(entry.node.line, why);
                }
            }
            let facts = context::check(file, entry.node.line, cedar, &declared.context, params);
            if let (Some(facts), Some(uid)) = (facts, entities::uid("Action", cedar)) {
                let groups = self
                    .loaded
                    .entities
                    .ancestors(&uid)
                    .map(|all| all.cloned().collect());
                let groups = groups.unwrap_or_default();
                let policies = policies::slice(self.loaded.rules, &uid, &groups);
                actions.insert(
                    name,
                    Action {
                        uid,
                        policies,
                        facts,
                    },
                );
            }
        }
        actions
    }
}
