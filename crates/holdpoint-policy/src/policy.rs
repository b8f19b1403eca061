//! A loaded bundle.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{Entities, EntityUid};
use holdpoint_receipt::{Caller, Digest, Name};

use crate::approvals::Quorum;
use crate::bundle::Bundle;
use crate::calendar::{self, Calendars};
use crate::cases::{self, Case};
use crate::entities::{self, EntityTypes};
use crate::labels;
use crate::manifest::{self, MANIFEST, Manifest};
use crate::policies::{self, Known, Rules};
use crate::problem::{File, LoadError, Problems};
use crate::schema::{self, Schema};
use crate::surface::{BoundOutline, Surface, SurfaceOutline, Terms};
use crate::surfaces::{self, Declared, Loaded};
use crate::yaml;

/// A policy bundle that has loaded without an error.
///
/// Immutable, `Send + Sync`, and cheap to clone: clones share one bundle.
#[derive(Clone)]
pub struct Policy(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) digest: Digest,
    pub(crate) manifest: Manifest,
    pub(crate) schema: Schema,
    pub(crate) entities: Entities,
    pub(crate) types: EntityTypes,
    pub(crate) rules: Rules,
    pub(crate) calendars: Calendars,
    pub(crate) surfaces: BTreeMap<Name, Surface>,
    pub(crate) callers: BTreeMap<Caller, EntityUid>,
    pub(crate) quorums: BTreeMap<Name, Quorum>,
    pub(crate) cases: Vec<Case>,
}

const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Policy>();
};

impl Policy {
    /// Loads a bundle: everything in it is read, checked and compared with everything else.
    ///
    /// A bundle whose own tests fail loads; see [`Policy::run_tests`].
    ///
    /// # Errors
    ///
    /// Every error that was found, sorted by file and line; at most
    /// [`ERRORS_MAX`](crate::problem::ERRORS_MAX).
    pub fn load(bundle: &Bundle) -> Result<Self, Vec<LoadError>> {
        let problems = Problems::default();
        let inner = Loader {
            bundle,
            problems: &problems,
        }
        .load();
        match inner {
            Some(inner) if problems.is_empty() => Ok(Self(Arc::new(inner))),
            _ => {
                if problems.is_empty() {
                    problems.add(MANIFEST, 1, "the bundle cannot be loaded");
                }
                Err(problems.into_sorted())
            }
        }
    }

    /// The digest of the bundle.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// The name that the bundle gives itself. A label: the digest is what identifies it.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0.manifest.name
    }

    /// What the bundle says about itself. Empty if it says nothing.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.0.manifest.description
    }

    /// The surfaces, sorted by name.
    #[must_use]
    pub fn outline(&self) -> Vec<SurfaceOutline> {
        let outline = |surface: &Surface| SurfaceOutline {
            surface: surface.name.clone(),
            actions: surface.actions.keys().cloned().collect(),
            bounds: surface
                .bounds
                .iter()
                .map(|bound| BoundOutline {
                    name: bound.name.clone(),
                    kind: bound.kind,
                    template: bound.key.source().to_owned(),
                    field: bound.field.clone(),
                })
                .collect(),
            terms: surface.terms.clone(),
        };
        self.0.surfaces.values().map(outline).collect()
    }

    /// What permits of `surface` carry; none if the bundle does not register it.
    #[must_use]
    pub fn terms(&self, surface: &Name) -> Option<&Terms> {
        Some(&self.0.surfaces.get(surface)?.terms)
    }

    /// The action that a request which names none means: the surface's only one.
    #[must_use]
    pub fn default_action(&self, surface: &Name) -> Option<&Name> {
        let mut actions = self.0.surfaces.get(surface)?.actions.keys();
        let only = actions.next()?;
        actions.next().is_none().then_some(only)
    }

    /// The sentence of a policy's `@reason`, for people.
    #[must_use]
    pub fn reason_of(&self, policy_id: &str) -> Option<&str> {
        self.0.rules.get(policy_id).map(|rule| rule.reason.as_str())
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.0.manifest.name)
            .field("digest", &self.0.digest)
            .finish_non_exhaustive()
    }
}

/// Whether a character reorders the text around it, so that reviewers read another policy than the
/// gate does.
const fn turns_text(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Reads the files in the order in which they need each other.
struct Loader<'a> {
    bundle: &'a Bundle,
    problems: &'a Problems,
}

impl<'a> Loader<'a> {
    fn load(&self) -> Option<Inner> {
        let (file, node) = self.yaml(MANIFEST)?;
        let manifest = manifest::parse(&file, &node, self.bundle)?;
        let listed = self.problems.is_empty();
        let rules = self.rules(&manifest);
        let schema = {
            let (file, text) = self.text(&manifest.schema)?;
            schema::parse(&file, text)?
        };
        let entities = match &manifest.entities {
            None => entities::none(&file, &schema),
            Some(path) => self
                .text(path)
                .and_then(|(file, text)| entities::parse(&file, text, &schema)),
        };
        policies::validate(&file, &rules, &schema);
        let calendars = match &manifest.calendars {
            None => Calendars::default(),
            Some(path) => self
                .yaml(path)
                .and_then(|(file, node)| calendar::parse(&file, &node))?,
        };
        let entities = entities?;
        policies::check_entities(&rules, self.problems, &entities);
        let loaded = Loaded {
            schema: &schema,
            entities: &entities,
            rules: &rules,
        };
        let (file, node) = self.yaml(&manifest.surfaces)?;
        let Declared {
            surfaces,
            callers,
            quorums,
            quorum_names,
        } = surfaces::parse(&file, &node, loaded)?;
        if listed {
            // Not after a mistake in the list of files: it would be reported once more here.
            let windows = calendars.names().collect();
            let quorums = quorum_names.iter().map(Name::as_str).collect();
            policies::check_names(&rules, self.problems, &Known { windows, quorums });
        }
        if self.problems.is_empty() {
            // Not after any other mistake: a surface with one has no actions.
            policies::check_reachable(&rules, self.problems, &surfaces);
        }
        let cases = self.cases(&manifest);
        let digest = self.bundle.digest();
        let inner = Inner {
            digest,
            manifest,
            types: EntityTypes::of(&schema),
            schema,
            entities,
            rules,
            calendars,
            surfaces,
            callers,
            quorums,
            cases,
        };
        cases::check(self.problems, &inner);
        Some(inner)
    }

    fn file<'p>(&self, path: &'p str) -> File<'p>
    where
        'a: 'p,
    {
        File {
            path,
            problems: self.problems,
        }
    }

    /// The text of a file. Its absence or another encoding than UTF-8 is an error.
    fn text<'p>(&self, path: &'p str) -> Option<(File<'p>, &'p str)>
    where
        'a: 'p,
    {
        let file = self.file(path);
        let Some(bytes) = self.bundle.file(path) else {
            file.error(1, format!("the bundle has no `{path}`"));
            return None;
        };
        let Ok(text) = str::from_utf8(bytes) else {
            file.error(1, "the file is not UTF-8");
            return None;
        };
        if let Some((offset, control)) = text.char_indices().find(|(_, c)| turns_text(*c)) {
            let why = format!(
                "the file has {control:?}, which shows text in another order than it is read in"
            );
            file.error(labels::line_at(text, offset), why);
            return None;
        }
        Some((file, text))
    }

    fn yaml<'p>(&self, path: &'p str) -> Option<(File<'p>, yaml::Node)>
    where
        'a: 'p,
    {
        let (file, text) = self.text(path)?;
        let node = yaml::parse(&file, text)?;
        Some((file, node))
    }

    fn rules(&self, manifest: &Manifest) -> Rules {
        let mut rules = Rules::new();
        for path in &manifest.policies {
            if let Some((file, text)) = self.text(path) {
                policies::parse(&file, text, &mut rules);
            }
        }
        rules
    }

    fn cases(&self, manifest: &Manifest) -> Vec<Case> {
        let mut all = Vec::new();
        for path in &manifest.tests {
            if let Some((file, node)) = self.yaml(path) {
                all.extend(cases::parse(&file, &node));
            }
        }
        all
    }
}
