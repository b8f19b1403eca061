//! What a leader proposes for an operation of the model.

mod context;
mod signing;

use holdpoint_core::Command;
use holdpoint_core::command::{
    ActivationMode, Authorize, CompletionResult, Evaluation, Facts, Redeem, Release, Verdict,
};
use holdpoint_core::outline::{BoundKind, BoundOutline, Executor, SurfaceOutline};
use holdpoint_core::record::PermitState;
use holdpoint_receipt::{
    Fence, IdempotencyKey, PermitId, PolicyVersion, Reason, RedemptionId, SessionId, sha256,
    sha256_domain,
};

use crate::model::{Asked, Asking, Bound, Freshness, Kind, Mode, Model, Op, Policy, Result, Wrong};
use crate::world::{self, CLUSTER, World, caller, default_namespace, name, time};

pub(super) fn outline(policy: Policy) -> Vec<SurfaceOutline> {
    let bound = |bound: &Bound| {
        let (kind, field) = match bound.1 {
            Kind::Exclusive => (BoundKind::Exclusive, None),
            Kind::Once(kept_for_ms) => (BoundKind::Once { kept_for_ms }, None),
            Kind::Capacity(limit) => (BoundKind::Capacity { limit }, None),
            Kind::Budget(limit, window_ms) => {
                let kind = BoundKind::Budget { limit, window_ms };
                (kind, Some("amount".to_owned()))
            }
        };
        BoundOutline {
            name: name(bound.0),
            kind,
            template: bound.2.to_owned(),
            field,
        }
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
            offline: surface.is_offline,
            release_after_ms: surface.release_ms,
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
    let params = [
        ("account", asked.account.to_string()),
        ("invoice", asked.invoice.to_string()),
        ("spend", "0".to_owned()),
        ("amount", asked.amount.to_string()),
    ];
    world::Asked {
        surface: asked.surface.to_owned(),
        params: params
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec(),
    }
}

fn state(text: &str) -> PermitState {
    let all = PermitState::ALL.iter();
    all.copied().find(|state| state.as_str() == text).unwrap()
}

fn session(number: u8) -> SessionId {
    SessionId::new(format!("s{number}")).unwrap()
}

fn key(number: u64) -> IdempotencyKey {
    IdempotencyKey::new(format!("k{number}")).unwrap()
}

/// The command that a leader proposes for `op`, as of what the model knows.
pub(super) fn command(world: &mut World, model: &Model, op: &Op) -> Command {
    match op {
        Op::Wait(to_ms) => world::step_time_of(&model.signing.voters, *to_ms),
        Op::Put(policy) => world::put(&policy_name(*policy), outline(model.policies[*policy])),
        Op::Activate {
            policy,
            expects_next,
            mode,
        } => {
            let expected = model.version() + u64::from(*expects_next);
            let command = world.activate(&policy_name(*policy), Some(expected));
            let Command::ActivatePolicy(mut activate) = command else {
                unreachable!("the world made another command");
            };
            activate.mode = match mode {
                Mode::Refuse => ActivationMode::Refuse,
                Mode::Drain => ActivationMode::Drain,
                Mode::Revoke => ActivationMode::Revoke,
            };
            Command::ActivatePolicy(activate)
        }
        Op::Authorize(asking) => Command::Authorize(Box::new(authorize(world, model, asking))),
        Op::Redeem {
            fence,
            by,
            id,
            wrong,
        } => Command::Redeem(redeem(world, model, (*fence, by, *id), *wrong)),
        Op::Complete {
            fence,
            by,
            result,
            is_operator,
        } => {
            let mut complete = world.complete(*fence, by, result_of(*result));
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
        Op::Release { fence, is_operator } => Command::Release(Release {
            namespace: default_namespace(),
            permit: permit_id(*fence),
            principal: caller("admin"),
            operator: *is_operator,
            reason: None,
            salt: world.salt(),
        }),
        other => context::command(world, model, other),
    }
}

fn result_of(result: Result) -> CompletionResult {
    if result.is_committed {
        let evidence = result.evidence.map(|evidence| sha256(&[evidence]));
        CompletionResult::Committed { evidence }
    } else {
        CompletionResult::Aborted
    }
}

fn redeem(world: &mut World, model: &Model, step: (u64, &str, u8), wrong: Wrong) -> Redeem {
    let (fence, by, id) = step;
    let granted = model.grants.get(usize::try_from(fence).unwrap() - 1);
    let digest = granted.map_or_else(|| sha256(b""), |grant| asked_as_world(grant.asked).digest());
    Redeem {
        namespace: default_namespace(),
        permit: permit_id(fence),
        principal: caller(by),
        fence: Fence::new(fence + u64::from(wrong == Wrong::Fence)).unwrap(),
        request_digest: match wrong {
            Wrong::Bytes => sha256(b"other bytes"),
            Wrong::Nothing | Wrong::Fence => digest,
        },
        redemption_id: RedemptionId::new(format!("r{id}")).unwrap(),
        salt: world.salt(),
    }
}

fn authorize(world: &mut World, model: &Model, asking: &Asking) -> Authorize {
    let request = asked_as_world(asking.asked);
    let mut command = world.lookup(asking.by, "k", asking.end_ms, &request);
    command.idempotency_key = key(asking.key);
    command.wait_until = asking.wait_ms.map(time);
    command.prerequisites = asking.after.iter().map(|fence| permit_id(*fence)).collect();
    command.session = asking.session.map(session);
    if asking.freshness == Freshness::Lookup {
        return command;
    }
    let policy = model.activations.last().copied().unwrap_or_default();
    let surface = outline(model.policies[policy]);
    let declared = surface
        .iter()
        .find(|known| known.surface.as_str() == asking.asked.surface);
    let bounds = declared.map_or(&[][..], |declared| &declared.bounds);
    let stale = u64::from(asking.freshness == Freshness::OldVersion);
    let age_ms = if asking.freshness == Freshness::OldTime {
        1_001
    } else {
        0
    };
    command.evaluation = Some(Evaluation {
        policy_version: PolicyVersion::new(model.version() + stale).unwrap(),
        policy_digest: world::digest_of_policy(&policy_name(policy)),
        evaluator_version: 1,
        evaluated_at: time(model.now_ms - age_ms),
        facts: facts(model, asking),
        verdict: if asking.denies {
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
        claims: bounds.iter().map(|bound| request.claim(bound)).collect(),
    });
    command
}

fn facts(model: &Model, asking: &Asking) -> Facts {
    let surface = asking.asked.surface;
    let is_wrong = asking.freshness == Freshness::WrongFacts;
    let seen = |fence: &u64| {
        let grant = model.grant(*fence)?;
        Some(state(grant.state(model.now_ms)))
    };
    Facts {
        frozen: model.is_frozen(surface) != is_wrong,
        draining: model.is_draining(surface),
        session_closed: model.closed(asking.session),
        approvals: context::approvals(model, asking),
        prerequisites: asking.after.iter().map(seen).collect(),
        supersedes: model.replaced(asking.by, asking.key).map(permit_id),
    }
}
