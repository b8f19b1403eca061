//! Commands as a leader proposes them for whole lives on fresh keys.

use std::error::Error;

use holdpoint_core::command::{
    ActivatePolicy, ActivationMode, Authorize, Bootstrap, BoundClaim, Complete, CompletionResult,
    Evaluation, Facts, PutPolicy, Redeem, Retention, SetRetention, StepTime, Sweep, Verdict,
};
use holdpoint_core::limits::RETENTION_MS_MIN;
use holdpoint_core::outcome::{AuthorizeOutcome, Decided, StepOutcome};
use holdpoint_core::outline::{BoundKind, BoundOutline, Executor, PolicyOutline, SurfaceOutline};
use holdpoint_core::{Command, Outcome};
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::{
    BoundKey, Caller, ClusterId, ClusterTime, Digest, IdempotencyKey, Name, NodeId, PolicyVersion,
    RedemptionId, Salt, sha256,
};

/// How long a caller tries.
const TRIED_FOR_MS: u64 = 30_000;

/// How long a permit lives: the shortest life that a policy may give one.
const PERMIT_FOR_MS: u64 = holdpoint_core::limits::PERMIT_FOR_MS_MIN;

type Failure = Box<dyn Error>;

/// What stays the same in every life, and how many there were.
pub(crate) struct Lives {
    namespace: Name,
    surface: Name,
    caller: Caller,
    policy: Digest,
    bounds: Vec<BoundOutline>,
    next: u64,
}

impl Lives {
    /// A surface with every kind of bound: `once` and `exclusive` on fresh keys, a capacity and a
    /// budget on keys that many share.
    pub(crate) fn new() -> Result<Self, Failure> {
        let bound = |name: &str, kind, field: Option<&str>| -> Result<BoundOutline, Failure> {
            Ok(BoundOutline {
                name: Name::new(name)?,
                kind,
                template: format!("{name}/{{params.{name}}}"),
                field: field.map(str::to_owned),
            })
        };
        let budget = BoundKind::Budget {
            limit: 1 << 52,
            window_ms: 30 * 24 * 60 * 60 * 1_000,
        };
        let once = BoundKind::Once {
            kept_for_ms: Some(RETENTION_MS_MIN),
        };
        Ok(Self {
            namespace: Name::new("default")?,
            surface: Name::new("payment.execute")?,
            caller: Caller::new("bench")?,
            policy: sha256(b"history"),
            bounds: vec![
                bound("account", budget, Some("params.amount"))?,
                bound("invoice", once, None)?,
                bound("order", BoundKind::Exclusive, None)?,
                bound("pool", BoundKind::Capacity { limit: 100_000 }, None)?,
            ],
            next: 0,
        })
    }

    /// The commands that make a cluster with this surface, which keeps everything for the shortest
    /// retention.
    pub(crate) fn founding(&self, now_ms: u64) -> Result<Vec<Command>, Failure> {
        let node = NodeId::new(1)?;
        let outline = SurfaceOutline {
            surface: self.surface.clone(),
            actions: vec![Name::new("execute")?],
            bounds: self.bounds.clone(),
            executors: vec![Executor::Caller],
            permit_for_ms: PERMIT_FOR_MS,
            complete_within_ms: 600_000,
            honor_issued: false,
            offline: false,
            release_after_ms: None,
        };
        Ok(vec![
            Command::Bootstrap(Bootstrap {
                cluster: ClusterId::from_bytes([7; 16]),
                epoch: 0,
                voters: vec![node],
                is_dev: false,
            }),
            Self::step_time(now_ms)?,
            Command::PutPolicy(PutPolicy {
                namespace: self.namespace.clone(),
                digest: self.policy,
                bundle: b"history".to_vec(),
                outline: PolicyOutline {
                    surfaces: vec![outline],
                },
                principal: self.caller.clone(),
            }),
            Command::ActivatePolicy(ActivatePolicy {
                namespace: self.namespace.clone(),
                digest: self.policy,
                expected: PolicyVersion::default(),
                evaluator_version: 1,
                mode: ActivationMode::Refuse,
                principal: self.caller.clone(),
                salt: Salt::from_bytes([1; 32]),
            }),
            Command::SetRetention(SetRetention {
                namespace: self.namespace.clone(),
                retention: Retention {
                    permits_ms: Some(RETENTION_MS_MIN),
                    statements_ms: Some(RETENTION_MS_MIN),
                    disclosures_ms: Some(RETENTION_MS_MIN),
                    sessions_ms: Some(RETENTION_MS_MIN),
                },
            }),
        ])
    }

    /// So many attempts, each on keys of its own.
    pub(crate) fn authorize(&mut self, count: usize, now_ms: u64) -> Result<Vec<Command>, Failure> {
        (0..count).map(|_| self.attempt(now_ms)).collect()
    }

    fn attempt(&mut self, now_ms: u64) -> Result<Command, Failure> {
        let number = self.next;
        self.next = number.saturating_add(1);
        // Keys come in no order, as real ones do: a digest in front of the number.
        let scattered = sha256(&number.to_be_bytes());
        let request = format!("{{\"order\":\"{scattered}\",\"surface\":\"payment.execute\"}}");
        let claims: Result<Vec<BoundClaim>, Failure> = self
            .bounds
            .iter()
            .map(|bound| {
                let key = match bound.kind {
                    BoundKind::Exclusive | BoundKind::Once { .. } => {
                        format!("{}/{scattered}", bound.name)
                    }
                    BoundKind::Capacity { .. } | BoundKind::Budget { .. } => {
                        format!("{}/{}", bound.name, number % 1_000)
                    }
                };
                Ok(BoundClaim {
                    name: bound.name.clone(),
                    kind: bound.kind,
                    key: BoundKey::new(key)?,
                    amount: if bound.field.is_some() { 1_250 } else { 1 },
                })
            })
            .collect();
        let now = ClusterTime::new(now_ms)?;
        Ok(Command::Authorize(Box::new(Authorize {
            namespace: self.namespace.clone(),
            caller: self.caller.clone(),
            idempotency_key: IdempotencyKey::new(scattered.to_string())?,
            not_after: now.saturating_add(TRIED_FOR_MS),
            wait_until: None,
            request_digest: digest_of_canonical(request.as_bytes()),
            request: request.into_bytes(),
            surface: self.surface.clone(),
            action: Name::new("execute")?,
            actor: None,
            session: None,
            step: None,
            prerequisites: Vec::new(),
            evaluation: Some(Evaluation {
                policy_version: PolicyVersion::new(1)?,
                policy_digest: self.policy,
                evaluator_version: 1,
                evaluated_at: now,
                facts: Facts::default(),
                verdict: Verdict::Permit {
                    policies: vec!["allow".to_owned()],
                },
                claims: claims?,
            }),
            salt: Salt::from_bytes(*scattered.as_bytes()),
        })))
    }

    /// The only voter's word that it is so late.
    pub(crate) fn step_time(now_ms: u64) -> Result<Command, Failure> {
        let clocks = vec![(NodeId::new(1)?, ClusterTime::new(now_ms)?)];
        Ok(Command::StepTime(StepTime { clocks }))
    }

    /// A step of removing what is over.
    pub(crate) fn sweep(&self) -> Command {
        Command::Sweep(Sweep {
            namespace: self.namespace.clone(),
            salt: Salt::from_bytes([2; 32]),
        })
    }

    /// That every attempt was granted.
    pub(crate) fn require_granted(outcomes: &[Outcome]) -> Result<(), Failure> {
        for outcome in outcomes {
            let is_granted = matches!(
                outcome,
                Outcome::Authorized(AuthorizeOutcome::Decided(decision))
                    if matches!(decision.verdict, Decided::Permit(_))
            );
            if !is_granted {
                return Err(format!("no permit: {outcome:?}").into());
            }
        }
        Ok(())
    }

    /// The redemptions and the outcomes of what was granted.
    pub(crate) fn finish(
        &self,
        outcomes: &[Outcome],
    ) -> Result<(Vec<Command>, Vec<Command>), Failure> {
        let (mut redeems, mut completes) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            let Outcome::Authorized(AuthorizeOutcome::Decided(decision)) = outcome else {
                return Err(format!("no decision: {outcome:?}").into());
            };
            let Decided::Permit(permit) = &decision.verdict else {
                return Err(format!("no permit: {decision:?}").into());
            };
            let record = &permit.record;
            let salt = Salt::from_bytes(*record.request_digest.as_bytes());
            redeems.push(Command::Redeem(Redeem {
                namespace: self.namespace.clone(),
                permit: record.id,
                principal: self.caller.clone(),
                fence: record.fence,
                request_digest: record.request_digest,
                redemption_id: RedemptionId::new(record.request_digest.to_string())?,
                salt,
            }));
            completes.push(Command::Complete(Complete {
                namespace: self.namespace.clone(),
                permit: record.id,
                principal: self.caller.clone(),
                operator: false,
                result: CompletionResult::Committed { evidence: None },
                reason: None,
                salt,
            }));
        }
        Ok((redeems, completes))
    }

    /// That every outcome was recorded: a measurement of refusals would measure nothing.
    pub(crate) fn require_done(outcomes: &[Outcome]) -> Result<(), Failure> {
        for outcome in outcomes {
            let (Outcome::Redeemed(step) | Outcome::Completed(step)) = outcome else {
                return Err(format!("no step of a permit: {outcome:?}").into());
            };
            if !matches!(**step, StepOutcome::Done { .. }) {
                return Err(format!("refused: {outcome:?}").into());
            }
        }
        Ok(())
    }
}
