//! Bundles, their surfaces, and activations.

use std::collections::BTreeMap;

use holdpoint_receipt::{Digest, Name, PolicyVersion};

use super::{Context, Space, Violation, broken, holds};
use crate::key::{Kind, StateKey};
use crate::outline::SurfaceOutline;
use crate::record::{ActivationRecord, ActivePolicy, BundleRecord};

/// Outlines by bundle and surface.
pub(super) type Surfaces = BTreeMap<(Digest, Name), SurfaceOutline>;

pub(super) fn check(space: &Space<'_>, context: &Context) -> Result<Surfaces, Violation> {
    let bundles: Vec<(&StateKey, BundleRecord)> = space.records(Kind::Bundle)?;
    let own = space.keys.single(Kind::Namespace);
    let is_counted = bundles.len() as u64 == context.namespace.bundles;
    holds(is_counted, &own, "the bundles are not as many as counted")?;
    let mut digests = Vec::new();
    for (key, bundle) in bundles {
        digests.push(digest_at(key)?);
        holds(
            bundle.put_at <= context.now,
            key,
            "it was registered in the future",
        )?;
    }
    let mut surfaces = Surfaces::new();
    for (key, surface) in space.records::<SurfaceOutline>(Kind::Surface)? {
        let digest = digest_at(key)?;
        holds(
            digests.contains(&digest),
            key,
            "its bundle is not registered",
        )?;
        let expected = space.keys.surface(&digest, &surface.surface);
        holds(*key == expected, key, "it names another surface")?;
        surfaces.insert((digest, surface.surface.clone()), surface);
    }
    check_activations(space, context, &digests)?;
    Ok(surfaces)
}

/// The digest that starts what follows the kind.
fn digest_at(key: &StateKey) -> Result<Digest, Violation> {
    let digest = key.parts().and_then(|parts| parts.rest.first_chunk());
    digest
        .map(|bytes| Digest::from_bytes(*bytes))
        .map_or_else(|| broken(key, "it names no digest"), Ok)
}

/// Versions are 1, 2, 3, …; the last is in force.
fn check_activations(
    space: &Space<'_>,
    context: &Context,
    digests: &[Digest],
) -> Result<(), Violation> {
    let mut last: Option<ActivePolicy> = None;
    for (key, activation) in space.records::<ActivationRecord>(Kind::Activation)? {
        let before = last.map_or_else(PolicyVersion::default, |last| last.version);
        let Some(version) = before.next() else {
            return broken(key, "there are no such versions");
        };
        let expected = space.keys.activation(version);
        holds(*key == expected, key, "the versions leave one out")?;
        let digest = activation.digest;
        holds(
            digests.contains(&digest),
            key,
            "its bundle is not registered",
        )?;
        holds(
            activation.activated_at <= context.now,
            key,
            "it was in the future",
        )?;
        last = Some(ActivePolicy { version, digest });
    }
    let own = space.keys.single(Kind::Namespace);
    holds(
        last == context.namespace.active,
        &own,
        "the last activation is not in force",
    )
}
