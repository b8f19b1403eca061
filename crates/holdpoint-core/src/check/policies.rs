//! Bundles, their surfaces, and activations.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_receipt::statement::Body;
use holdpoint_receipt::{Digest, Name, PermitId, PolicyVersion};

use super::log::Statements;
use super::{Context, Space, Violation, broken, decoded, holds};
use crate::key::{Kind, StateKey};
use crate::outline::SurfaceOutline;
use crate::record::{ActivationRecord, ActivePolicy, BundleRecord, BundleUseRecord, PermitRecord};

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
    check_uses(space, context, &digests)?;
    Ok(surfaces)
}

/// Only registered bundles have a row of what names them, and none names what is still to come.
fn check_uses(space: &Space<'_>, context: &Context, digests: &[Digest]) -> Result<(), Violation> {
    for (key, used) in space.records::<BundleUseRecord>(Kind::BundleUse)? {
        let digest = digest_at(key)?;
        holds(
            digests.contains(&digest),
            key,
            "its bundle is not registered",
        )?;
        let is_past = (1..=context.leaves).contains(&used.named_before);
        holds(is_past, key, "it names what is still to come")?;
    }
    Ok(())
}

/// Every kept statement names the policy that was in force where it stands, and no bundle that is
/// gone: whoever holds its receipt can still read why.
pub(super) fn check_statements(
    space: &Space<'_>,
    context: &Context,
    statements: &Statements,
) -> Result<(), Violation> {
    let mut begins = BTreeMap::new();
    let activations = space.records::<ActivationRecord>(Kind::Activation)?;
    for (place, (_, activation)) in (1..).zip(activations) {
        begins.insert(activation.leaf, (place, activation.digest));
    }
    for (leaf, statement) in statements.iter() {
        let key = space.keys.at_leaf(Kind::Leaf, leaf);
        let (version, digest) = named(&statement.body);
        let in_force = begins.range(..=leaf).next_back().map(|(_, known)| *known);
        let active = in_force.map(|(version, _)| version);
        if let Some(version) = version {
            let is_so = Some(version.get()) == active;
            holds(is_so, &key, "it names a version that was not in force")?;
        }
        let Some(digest) = digest else {
            continue;
        };
        if version.is_some() {
            let is_so = Some(digest) == in_force.map(|(_, digest)| digest);
            holds(is_so, &key, "it names a bundle that was not in force")?;
        }
        let bundle = space.keys.bundle(&digest);
        let is_registered = space.rows(Kind::Bundle).contains_key(&bundle);
        holds(is_registered, &bundle, "a kept statement names it")?;
        let is_active = context.namespace.active.map(|active| active.digest) == Some(digest);
        let use_key = space.keys.bundle_use(&digest);
        let is_noted = match space.rows(Kind::BundleUse).get(&use_key) {
            Some(row) => leaf < decoded::<BundleUseRecord>(&use_key, row)?.named_before,
            None => false,
        };
        holds(
            is_active || is_noted,
            &use_key,
            "a statement names it later",
        )?;
    }
    Ok(())
}

/// A row for each activation says under which a permit is kept, of its own bundle.
pub(super) fn check_permits(
    space: &Space<'_>,
    permits: &BTreeMap<PermitId, PermitRecord>,
) -> Result<(), Violation> {
    let rows = space.rows(Kind::BundleActivation);
    for permit in permits.values() {
        let policy = permit.policy;
        let key = space.keys.bundle_activation(&policy.digest, policy.version);
        holds(rows.contains_key(&key), &key, "a permit is kept under it")?;
    }
    let activations = space.records::<ActivationRecord>(Kind::Activation)?;
    let mut all = BTreeSet::new();
    for (version, (_, activation)) in (1..).zip(activations) {
        let version = PolicyVersion::new(version)
            .or_else(|_beyond| broken(&space.keys.single(Kind::Namespace), "too many versions"))?;
        all.insert(space.keys.bundle_activation(&activation.digest, version));
    }
    for key in rows.into_keys() {
        holds(all.contains(key), key, "there was no such activation")?;
        let digest = digest_at(key)?;
        let bundle = space.keys.bundle(&digest);
        let is_registered = space.rows(Kind::Bundle).contains_key(&bundle);
        holds(is_registered, key, "its bundle is not registered")?;
    }
    Ok(())
}

/// The policy version and the bundle that a statement names.
fn named(body: &Body) -> (Option<PolicyVersion>, Option<Digest>) {
    match body {
        Body::Decision(said) => (Some(said.policy_version), Some(said.policy_digest)),
        Body::Policy(said) => (Some(said.policy_version), Some(said.policy_digest)),
        Body::Approved(said) | Body::ApprovalRevoked(said) => {
            (Some(said.policy_version), Some(said.policy_digest))
        }
        Body::Drain(said) => (None, Some(said.policy_digest)),
        Body::Redeemed { step, .. }
        | Body::Completed { step, .. }
        | Body::Conflict { step, .. }
        | Body::Revoked(step)
        | Body::Superseded(step)
        | Body::Released { step, .. } => (Some(step.policy_version), None),
        Body::Keys(_) | Body::SessionClosed(_) | Body::Frozen(_) | Body::Erased(_) => (None, None),
    }
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
    )?;
    let is_registered = last.is_none_or(|last| digests.contains(&last.digest));
    holds(is_registered, &own, "the policy in force is not registered")
}
