//! Bundles, activations, and the settings of a namespace.

use holdpoint_core::Command;
use holdpoint_core::command::{
    ActivatePolicy, ActivationMode, CancelDrain, DeletePolicy, Freeze, PutPolicy, Retention,
    SetRetention, SetShadow, Sweep,
};
use holdpoint_core::outline::{BoundKind, BoundOutline, Executor, PolicyOutline, SurfaceOutline};
use holdpoint_receipt::{Caller, Digest, Name, PolicyVersion, sha256};

use super::{Leader, SURFACES, Source, caller, name, salt};

const BOUNDS: &[&str] = &["account", "invoice", "spend"];

fn digest(policy: u8) -> Digest {
    sha256(&[policy])
}

fn kind(source: &mut Source<'_>) -> BoundKind {
    match source.below(5) {
        0 => BoundKind::Exclusive,
        1 => BoundKind::Once { kept_for_ms: None },
        2 => BoundKind::Once {
            kept_for_ms: Some(source.number()),
        },
        3 => BoundKind::Capacity {
            limit: source.number(),
        },
        _ => BoundKind::Budget {
            limit: source.number(),
            window_ms: source.number(),
        },
    }
}

fn surface(named: &str, source: &mut Source<'_>) -> SurfaceOutline {
    let mut bounds = Vec::new();
    for bound in BOUNDS {
        if source.below(2) == 0 {
            continue;
        }
        let kind = kind(source);
        let is_summed = matches!(kind, BoundKind::Budget { .. }) != source.rarely(32);
        bounds.push(BoundOutline {
            name: name(bound),
            kind,
            template: format!("{bound}/{{params.{bound}}}"),
            field: is_summed.then(|| "amount".to_owned()),
        });
    }
    let release = source.rarely(3);
    SurfaceOutline {
        surface: name(named),
        actions: vec![name("do")],
        bounds,
        executors: vec![
            Executor::Caller,
            Executor::Principal(Caller::new("carol").expect("a caller")),
        ],
        permit_for_ms: source.pick(&[10_000, 1_000, 60_000, 86_400_000, 0, u64::MAX]),
        complete_within_ms: source.pick(&[10_000, 1_000, 60_000, 86_400_000, 999, u64::MAX]),
        honor_issued: source.rarely(2),
        offline: source.rarely(3),
        release_after_ms: release.then(|| source.number()),
    }
}

impl Leader<'_> {
    pub(super) fn put(source: &mut Source<'_>) -> Command {
        let policy = source.byte() % 8;
        let surfaces = SURFACES.iter().map(|named| surface(named, source));
        let outline = PolicyOutline {
            surfaces: surfaces.collect(),
        };
        Command::PutPolicy(PutPolicy {
            namespace: name("default"),
            digest: digest(policy),
            bundle: vec![policy],
            outline,
            principal: caller(source),
        })
    }

    /// One of the registered bundles, or one that may not be.
    fn bundle(source: &mut Source<'_>) -> Digest {
        digest(source.byte() % 8)
    }

    pub(super) fn activate(&self, source: &mut Source<'_>) -> Command {
        let active = self.namespace.record().active;
        let expected = active.map_or_else(PolicyVersion::default, |active| active.version);
        Command::ActivatePolicy(ActivatePolicy {
            namespace: name("default"),
            digest: Self::bundle(source),
            expected: if source.rarely(16) {
                PolicyVersion::default()
            } else {
                expected
            },
            evaluator_version: 1,
            mode: source.pick(&[
                ActivationMode::Refuse,
                ActivationMode::Drain,
                ActivationMode::Revoke,
            ]),
            principal: caller(source),
            salt: salt(source),
        })
    }

    pub(super) fn freeze(source: &mut Source<'_>) -> Command {
        let surface = source.pick(SURFACES);
        let surface: Option<Name> = source.rarely(2).then(|| name(surface));
        Command::Freeze(Freeze {
            namespace: name("default"),
            surface,
            frozen: source.rarely(3),
            principal: caller(source),
            salt: salt(source),
        })
    }

    pub(super) fn setting(source: &mut Source<'_>) -> Command {
        let namespace = name("default");
        match source.below(4) {
            0 => Command::CancelDrain(CancelDrain {
                namespace,
                principal: caller(source),
                salt: salt(source),
            }),
            1 => {
                let count = source.below(4);
                let mut digests: Vec<Digest> = (0..count).map(|_| Self::bundle(source)).collect();
                digests.sort_unstable();
                Command::SetShadow(SetShadow { namespace, digests })
            }
            2 => Command::DeletePolicy(DeletePolicy {
                namespace,
                digest: Self::bundle(source),
            }),
            _ => {
                let mut kept = || (!source.rarely(3)).then(|| source.number());
                let retention = Retention {
                    permits_ms: kept(),
                    disclosures_ms: kept(),
                    statements_ms: kept(),
                    sessions_ms: kept(),
                };
                Command::SetRetention(SetRetention {
                    namespace,
                    retention,
                })
            }
        }
    }

    pub(super) fn sweep(source: &mut Source<'_>) -> Command {
        Command::Sweep(Sweep {
            namespace: name("default"),
            salt: salt(source),
        })
    }
}
