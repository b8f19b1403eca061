//! `tests/*.yaml`: the cases that a bundle brings along.

mod facts;

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_receipt::{Actor, Caller, Decision, Json, Name, Reason};

use crate::fields::Fields;
use crate::problem::File;
use crate::suggest::did_you_mean;
use crate::yaml::{Entry, Node, Value};

const CASE_KEYS: [&str; 12] = [
    "name",
    "now",
    "caller",
    "actor",
    "surface",
    "action",
    "params",
    "without",
    "evidence",
    "approvals",
    "held",
    "expect",
];
const DEFAULT_KEYS: [&str; 6] = ["now", "caller", "surface", "action", "params", "evidence"];
const EXPECT_KEYS: [&str; 8] = [
    "decision", "reason", "codes", "policies", "resource", "bounds", "missing", "refused",
];

pub(crate) use facts::{Given, Held, InUse, check};

/// One case: a request, facts, and what must come of them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) now_ms: u64,
    pub(crate) caller: Caller,
    pub(crate) actor: Option<Actor>,
    pub(crate) surface: Name,
    pub(crate) action: Option<Name>,
    /// The parameters, or why no request can carry them.
    pub(crate) params: Result<Json, String>,
    pub(crate) evidence: BTreeSet<String>,
    pub(crate) approvals: Vec<Given>,
    pub(crate) held: Vec<Held>,
    pub(crate) expect: Expect,
}

/// What must come of a case. What is `None` may be anything.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    pub(crate) decision: Decision,
    pub(crate) reason: Option<Reason>,
    pub(crate) codes: Option<BTreeSet<String>>,
    pub(crate) policies: Option<BTreeSet<String>>,
    pub(crate) resource: Option<String>,
    pub(crate) bounds: Option<BTreeMap<String, String>>,
    pub(crate) missing: Option<BTreeSet<String>>,
    pub(crate) refused: Option<BTreeSet<String>>,
}

/// Reads a test file. Errors go to `file`.
pub(crate) fn parse(file: &File<'_>, node: &Node) -> Vec<Case> {
    let Some(fields) = Fields::of(file, node, "a test file", &["defaults", "cases"]) else {
        return Vec::new();
    };
    let defaults = fields
        .get("defaults")
        .and_then(|node| Fields::of(file, node, "`defaults`", &DEFAULT_KEYS));
    let cases = fields
        .required("cases")
        .and_then(|node| file.list(node, "cases"));
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for node in cases.unwrap_or_default() {
        let Some(case) = (Reader { file, defaults }).case(node) else {
            continue;
        };
        if !names.insert(case.name.clone()) {
            file.error(
                case.line,
                format!("case `{}` is already in this file", case.name),
            );
        }
        all.push(case);
    }
    all
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    file: &'a File<'a>,
    defaults: Option<Fields<'a>>,
}

impl<'a> Reader<'a> {
    fn case(&self, node: &'a Node) -> Option<Case> {
        let file = self.file;
        let fields = Fields::of(file, node, "a case", &CASE_KEYS)?;
        let name = fields
            .required("name")
            .and_then(|node| file.text(node, "name"));
        let expect = fields
            .required("expect")
            .and_then(|node| expect(file, node));
        let now_ms = self.now_ms(&fields);
        let caller = self.parsed(&fields, "caller", Caller::new);
        let surface = self.parsed(&fields, "surface", Name::new);
        let has_action = self.find(&fields, "action").is_some();
        let action = if has_action {
            self.parsed(&fields, "action", Name::new)
        } else {
            None
        };
        let actor = fields
            .get("actor")
            .and_then(|_| self.parsed(&fields, "actor", Actor::new));
        let evidence = self
            .find(&fields, "evidence")
            .map_or_else(BTreeSet::new, |node| texts(file, node));
        let approvals = fields
            .get("approvals")
            .map_or_else(Vec::new, |node| facts::approvals(file, node));
        let held = fields
            .get("held")
            .map_or_else(Vec::new, |node| facts::held(file, node));
        let params = self.params(&fields);
        Some(Case {
            path: file.path.to_owned(),
            line: node.line,
            name: name?.to_owned(),
            now_ms: now_ms?,
            caller: caller?,
            actor,
            surface: surface?,
            action,
            params,
            evidence,
            approvals,
            held,
            expect: expect?,
        })
    }

    /// The value of the case, or that of the file's defaults.
    fn find(&self, fields: &Fields<'a>, key: &str) -> Option<&'a Node> {
        fields.get(key).or_else(|| self.defaults?.get(key))
    }

    fn required(&self, fields: &Fields<'a>, key: &str) -> Option<&'a Node> {
        let node = self.find(fields, key);
        if node.is_none() {
            self.file.error(
                fields.line(),
                format!("the case lacks `{key}`, and so do the defaults"),
            );
        }
        node
    }

    fn parsed<T, E: std::fmt::Display>(
        &self,
        fields: &Fields<'a>,
        key: &str,
        parse: fn(String) -> Result<T, E>,
    ) -> Option<T> {
        let node = self.required(fields, key)?;
        let parsed = parse(self.file.text(node, key)?.to_owned());
        parsed
            .map_err(|error| self.file.error(node.line, format!("`{key}`: {error}")))
            .ok()
    }

    fn now_ms(&self, fields: &Fields<'a>) -> Option<u64> {
        facts::instant(self.file, self.required(fields, "now")?, "now")
    }

    /// The parameters of the defaults, overlaid with those of the case, without those of `without`.
    fn params(&self, fields: &Fields<'a>) -> Result<Json, String> {
        let file = self.file;
        let defaults = self.defaults.and_then(|defaults| defaults.get("params"));
        let mut members: BTreeMap<&str, &Node> = BTreeMap::new();
        for node in [defaults, fields.get("params")].into_iter().flatten() {
            for Entry { key, node, .. } in file.map(node, "`params`").unwrap_or_default() {
                members.insert(key, node);
            }
        }
        for (name, line) in fields
            .get("without")
            .map_or_else(Vec::new, |node| file.texts(node, "without"))
        {
            if members.remove(name).is_none() {
                let hint = did_you_mean(name, members.keys().copied());
                file.error(
                    line,
                    format!("`without` names `{name}`, which is not among the params{hint}"),
                );
            }
        }
        object(members)
    }
}

/// Parameters as a caller would send them. The error says why no request can carry them.
fn object<'n>(members: impl IntoIterator<Item = (&'n str, &'n Node)>) -> Result<Json, String> {
    let typed = members
        .into_iter()
        .map(|(key, node)| Ok((key, json(key, node)?)));
    typed.collect::<Result<Vec<_>, String>>().map(Json::object)
}

/// A value as a caller would send it. The error says why no request can carry it.
fn json(name: &str, node: &Node) -> Result<Json, String> {
    match &node.value {
        Value::Null => Ok(Json::Null),
        Value::Bool(flag) => Ok(Json::Bool(*flag)),
        Value::Int(number) => Json::int(*number).ok_or_else(|| {
            format!("`{name}` is {number}, which is beyond the integers that JSON keeps exact")
        }),
        Value::Number(text) => Err(format!("`{name}` is {text}, which is no integer")),
        Value::Text(text) => Ok(Json::str(text.as_str())),
        Value::List(items) => items
            .iter()
            .map(|item| json(name, item))
            .collect::<Result<_, _>>()
            .map(Json::Array),
        Value::Map(entries) => object(
            entries
                .iter()
                .map(|entry| (entry.key.as_str(), &entry.node)),
        ),
    }
}

fn texts(file: &File<'_>, node: &Node) -> BTreeSet<String> {
    file.texts(node, "the list")
        .into_iter()
        .map(|(text, _)| text.to_owned())
        .collect()
}

fn expect(file: &File<'_>, node: &Node) -> Option<Expect> {
    let fields = Fields::of(file, node, "`expect`", &EXPECT_KEYS)?;
    let word = |node: &Node, what: &str| file.text(node, what).map(str::to_owned);
    let decision = fields.required("decision").and_then(|node| {
        let parsed: Result<Decision, _> = word(node, "decision")?.parse();
        parsed
            .map_err(|why| file.error(node.line, why.to_string()))
            .ok()
    })?;
    let reason = fields.get("reason").and_then(|node| {
        let text = word(node, "reason")?;
        let Ok(reason) = text.parse::<Reason>() else {
            let hint = did_you_mean(&text, Reason::ALL.iter().map(|reason| reason.as_str()));
            file.error(
                node.line,
                format!("`{text}` is not a reason of the registry{hint}"),
            );
            return None;
        };
        if reason.decision() != Some(decision) {
            file.error(
                node.line,
                format!("`{reason}` is not a reason of a {decision}"),
            );
        }
        Some(reason)
    });
    let list = |key: &str| fields.get(key).map(|node| texts(file, node));
    let bounds = fields.get("bounds").map(|node| {
        let entries = file.map(node, "`bounds`").unwrap_or_default();
        let pairs = entries.iter().filter_map(|entry| {
            Some((
                entry.key.clone(),
                file.text(&entry.node, &entry.key)?.to_owned(),
            ))
        });
        pairs.collect()
    });
    Some(Expect {
        decision,
        reason,
        codes: list("codes"),
        policies: list("policies"),
        resource: fields
            .get("resource")
            .and_then(|node| word(node, "resource")),
        bounds,
        missing: list("missing"),
        refused: list("refused"),
    })
}
