//! What a leader proposes for an operation of the model.

use holdpoint_core::Command;
use holdpoint_core::command::{Authorize, CompletionResult, Evaluation, Facts, Redeem, Verdict};
use holdpoint_core::outline::{BoundKind, BoundOutline, Executor, SurfaceOutline};
use holdpoint_core::record::PermitState;
use holdpoint_receipt::{
    Fence, IdempotencyKey, PermitId, PolicyVersion, Reason, RedemptionId, sha256, sha256_domain,
};

use crate::model::{Asked, Bound, Freshness, Model, Op, Policy, Wrong};
use crate::world::{self, CLUSTER, World, caller, default_namespace, name, time};

pub(super) fn outline(policy: Policy) -> Vec<SurfaceOutline> {
    let bound = |bound: &Bound| BoundOutline {
        name: name(bound.0),
        kind: if bound.1 {
            BoundKind::Once { kept_for_ms: None }
        } else {
            BoundKind::Exclusive
        },
        template: bound.2.to_owned(),
        field: None,
    };
    let executor = |text: &&str| match *text {
        "caller" => Executor::Caller,
        named => Executor::Principal(caller(named)),
    };
    policy
        .iter()
        .map(|surface| SurfaceOutline {
            surface: name(surface.name),
            actions: vec![name("do")],
            bounds: surface.bounds.iter().map(bound).collect(),
            executors: surface.executors.iter().map(executor).collect(),
            permit_for_ms: surface.life_ms,
            complete_within_ms: surface.within_ms,
            honor_issued: surface.honours,
            offline: false,
            release_after_ms: None,
        })
        .collect()
}

pub(super) fn policy_name(policy: usize) -> String {
    format!("policy-{policy}")
}

/// The id of a permit, computed as documented and not as implemented.
fn permit_id(fence: u64) -> PermitId {
    let digest = sha256_domain(
        "holdpoint/permit/v1",
        &[CLUSTER.as_bytes(), b"default", &fence.to_be_bytes()],
    );
    PermitId::from_bytes(digest.as_bytes()[..16].try_into().unwrap())
}

fn asked_as_world(asked: Asked) -> world::Asked {
    world::Asked {
        surface: asked.0.to_owned(),
        params: vec![
            ("account".to_owned(), asked.1.to_string()),
            ("invoice".to_owned(), asked.2.to_string()),
        ],
    }
}

fn state(text: &str) -> PermitState {
    let all = PermitState::ALL.iter();
    all.copied().find(|state| state.as_str() == text).unwrap()
}

/// The command that a leader proposes for `op`, as of what the model knows.
pub(super) fn command(world: &mut World, model: &Model, op: &Op) -> Command {
    let digest_of = |fence: u64| {
        model
            .grant(fence)
            .map_or_else(|| sha256(b""), |g| asked_as_world(g.asked).digest())
    };
    match op {
        Op::Wait(to_ms) => world::step_time(*to_ms),
        Op::Activate {
            policy,
            expects_next,
        } => {
            let expected = model.version() + u64::from(*expects_next);
            world.activate(&policy_name(*policy), Some(expected))
        }
        Op::Authorize { .. } => Command::Authorize(Box::new(authorize(world, model, op))),
        Op::Redeem {
            fence,
            by,
            id,
            wrong,
        } => Command::Redeem(Redeem {
            namespace: default_namespace(),
            permit: permit_id(*fence),
            principal: caller(by),
            fence: Fence::new(*fence + u64::from(*wrong == Wrong::Fence)).unwrap(),
            request_digest: match wrong {
                Wrong::Bytes => sha256(b"other bytes"),
                Wrong::Nothing | Wrong::Fence => digest_of(*fence),
            },
            redemption_id: RedemptionId::new(format!("r{id}")).unwrap(),
            salt: world.salt(),
        }),
        Op::Complete {
            fence,
            by,
            is_committed,
            is_operator,
        } => {
            let result = if *is_committed {
                CompletionResult::Committed { evidence: None }
            } else {
                CompletionResult::Aborted
            };
            let mut complete = world.complete(*fence, by, result);
            complete.permit = permit_id(*fence);
            complete.operator = *is_operator;
            Command::Complete(complete)
        }
        Op::Revoke {
            fence,
            by,
            is_operator,
        } => {
            let mut revoke = world.revoke(*fence, by);
            revoke.permit = permit_id(*fence);
            revoke.operator = *is_operator;
            Command::Revoke(revoke)
        }
    }
}

fn authorize(world: &mut World, model: &Model, op: &Op) -> Authorize {
    let Op::Authorize {
        by,
        key,
        asked,
        end_ms,
        freshness,
        denies,
        after,
    } = op.clone()
    else {
        unreachable!("only authorize comes here");
    };
    let request = asked_as_world(asked);
    let mut command = world.lookup(by, &format!("k{key}"), end_ms, &request);
    command.idempotency_key = IdempotencyKey::new(format!("k{key}")).unwrap();
    command.prerequisites = after.iter().map(|fence| permit_id(*fence)).collect();
    if freshness == Freshness::Lookup {
        return command;
    }
    let policy = model.activations.last().copied().unwrap_or_default();
    let surface = outline(model.policies[policy]);
    let declared = surface
        .iter()
        .find(|known| known.surface.as_str() == asked.0);
    let claims = declared.map_or_else(Vec::new, |declared| {
        declared
            .bounds
            .iter()
            .map(|bound| request.claim(bound))
            .collect()
    });
    let stale = u64::from(freshness == Freshness::OldVersion);
    let age_ms = if freshness == Freshness::OldTime {
        1_001
    } else {
        0
    };
    command.evaluation = Some(Evaluation {
        policy_version: PolicyVersion::new(model.version() + stale).unwrap(),
        policy_digest: world::digest_of_policy(&policy_name(policy)),
        evaluator_version: 1,
        evaluated_at: time(model.now_ms - age_ms),
        facts: Facts {
            frozen: freshness == Freshness::WrongFacts,
            prerequisites: after
                .iter()
                .map(|fence| {
                    model
                        .grant(*fence)
                        .map(|grant| state(grant.state(model.now_ms)))
                })
                .collect(),
            supersedes: model.replaced(by, key).map(permit_id),
            ..Facts::default()
        },
        verdict: if denies {
            Verdict::Deny {
                reason: Reason::Policy,
                codes: vec!["TOO_LATE".to_owned()],
                policies: Vec::new(),
            }
        } else {
            Verdict::Permit {
                policies: vec!["allow".to_owned()],
            }
        },
        claims,
    });
    command
}
