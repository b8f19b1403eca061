//! `bundle.yaml`: the name, the engine that the bundle was written for, and the closed list of files.

use std::collections::BTreeSet;

use holdpoint_receipt::Name;

use crate::bundle::Bundle;
use crate::fields::Fields;
use crate::problem::File;
use crate::suggest::did_you_mean;
use crate::yaml::Node;
use crate::{CEDAR_LANGUAGE, EVALUATOR_VERSION};

/// The file that every bundle has.
pub(crate) const MANIFEST: &str = "bundle.yaml";

/// What `bundle.yaml` says.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) name: Name,
    pub(crate) description: String,
    pub(crate) schema: String,
    pub(crate) surfaces: String,
    pub(crate) policies: Vec<String>,
    pub(crate) calendars: Option<String>,
    pub(crate) entities: Option<String>,
    pub(crate) tests: Vec<String>,
}

/// Reads `bundle.yaml` and compares its list with the files that are there.
pub(crate) fn parse(file: &File<'_>, node: &Node, bundle: &Bundle) -> Option<Manifest> {
    let keys = ["name", "description", "engine", "files"];
    let fields = Fields::of(file, node, "the bundle", &keys)?;
    let name = fields
        .required("name")
        .and_then(|node| file.name(file.text(node, "name")?, node.line, "bundle"));
    let description = fields
        .get("description")
        .and_then(|node| file.text(node, "description"));
    if let Some(node) = fields.required("engine") {
        check_engine(file, node);
    }
    let keys = [
        "schema",
        "surfaces",
        "policies",
        "calendars",
        "entities",
        "tests",
    ];
    let files = Fields::of(file, fields.required("files")?, "`files`", &keys)?;
    let mut list = FileList {
        file,
        bundle,
        listed: BTreeSet::from([MANIFEST]),
    };
    let one = |key: &str, list: &mut FileList<'_>, node: Option<&Node>| {
        node.and_then(|node| list.take(file.text(node, key)?, node.line))
    };
    let schema = one("schema", &mut list, files.required("schema"));
    let surfaces = one("surfaces", &mut list, files.required("surfaces"));
    let calendars = one("calendars", &mut list, files.get("calendars"));
    let entities = one("entities", &mut list, files.get("entities"));
    let policies = list.many("policies", files.required("policies"));
    let tests = list.many("tests", files.get("tests"));
    list.refuse_unlisted(fields.line());
    let description = description.unwrap_or_default().to_owned();
    let (name, schema, surfaces) = (name?, schema?, surfaces?);
    Some(Manifest {
        name,
        description,
        schema,
        surfaces,
        policies,
        calendars,
        entities,
        tests,
    })
}

/// The engine pin: a bundle is evaluated by the evaluator that it was tested with, or not at all.
fn check_engine(file: &File<'_>, node: &Node) {
    let Some(fields) = Fields::of(file, node, "`engine`", &["evaluator", "cedar"]) else {
        return;
    };
    let evaluator = fields.required("evaluator").and_then(|node| {
        let version = file.int(node, "evaluator", 1)?;
        (version != i64::from(EVALUATOR_VERSION)).then_some((version, node.line))
    });
    if let Some((version, line)) = evaluator {
        let why =
            format!("this build has evaluator {EVALUATOR_VERSION}, the bundle wants {version}");
        file.error(line, why);
    }
    let Some(node) = fields.required("cedar") else {
        return;
    };
    let Some(language) = file.text(node, "cedar") else {
        return;
    };
    if language != CEDAR_LANGUAGE {
        let why = format!(
            "this build has the Cedar language {CEDAR_LANGUAGE}, the bundle wants {language}"
        );
        file.error(node.line, why);
    }
}

/// Tells listed files from the others.
struct FileList<'a> {
    file: &'a File<'a>,
    bundle: &'a Bundle,
    listed: BTreeSet<&'a str>,
}

impl FileList<'_> {
    fn take(&mut self, path: &str, line: usize) -> Option<String> {
        let bundle = self.bundle;
        let Some((there, _)) = bundle.files().find(|(there, _)| *there == path) else {
            let hint = did_you_mean(path, bundle.files().map(|(path, _)| path));
            self.file
                .error(line, format!("file `{path}` is listed but not there{hint}"));
            return None;
        };
        if !self.listed.insert(there) {
            self.file
                .error(line, format!("file `{path}` is listed twice"));
            return None;
        }
        Some(path.to_owned())
    }

    fn many(&mut self, key: &str, node: Option<&Node>) -> Vec<String> {
        let texts = node.map_or_else(Vec::new, |node| self.file.texts(node, key));
        texts
            .into_iter()
            .filter_map(|(path, line)| self.take(path, line))
            .collect()
    }

    fn refuse_unlisted(&self, line: usize) {
        for (path, _) in self
            .bundle
            .files()
            .filter(|(path, _)| !self.listed.contains(path))
        {
            self.file.error(
                line,
                format!("file `{path}` is there but not listed under `files`"),
            );
        }
    }
}
