//! Attempts, and what they need: approvals and sessions.

use holdpoint_core::codec::records::Record;
use holdpoint_core::command::{
    ApprovalFact, ApprovalName, Approve, AskApproval, Authorize, BoundClaim, CloseSession,
    Evaluation, Facts, LeaveQueue, MissingApproval, RevokeApproval, Ticket, Verdict,
};
use holdpoint_core::outcome::{AuthorizeOutcome, Current, Outcome};
use holdpoint_core::outline::BoundKind;
use holdpoint_core::record::{ActivePolicy, ApprovalRecord};
use holdpoint_core::{Command, GroupId, Kind, look};
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::{
    BoundKey, Caller, Digest, IdempotencyKey, Name, PermitId, Reason, StepId, sha256,
};

use super::{Leader, SURFACES, Source, caller, name, salt, session, time};

const KEYS: &[&str] = &["k0", "k1", "k2", "k3", "k4", "k5"];
const QUORUMS: &[&str] = &["four-eyes", "owners"];

fn subject(source: &mut Source<'_>) -> Vec<u8> {
    vec![b'{', source.byte() % 3, b'}']
}

impl Leader<'_> {
    pub(super) fn authorize(&self, source: &mut Source<'_>) -> Authorize {
        let request = vec![b'r', source.byte() % 16];
        let end_ms = (self.now_ms / 300_000 + 1) * 300_000;
        let end_ms = match source.below(16) {
            0 => self.now_ms.saturating_add(source.number()),
            1 => self.now_ms,
            _ => end_ms,
        };
        let wait_ms = match source.below(4) {
            0 | 1 => None,
            2 => Some(end_ms),
            _ => Some(self.now_ms.saturating_add(source.number())),
        };
        let is_in_session = source.rarely(3);
        let count = if source.rarely(6) { source.below(3) } else { 0 };
        let prerequisites: Vec<PermitId> = (0..count).map(|_| self.permit(source).0).collect();
        let mut command = Authorize {
            namespace: name("default"),
            caller: caller(source),
            idempotency_key: IdempotencyKey::new(source.pick(KEYS)).expect("a key"),
            not_after: time(end_ms),
            wait_until: wait_ms.map(time),
            request_digest: digest_of_canonical(&request),
            surface: name(SURFACES[usize::from(request[1] & 1)]),
            request,
            action: name("do"),
            actor: None,
            session: is_in_session.then(|| session(source)),
            step: is_in_session.then(|| StepId::new("1").expect("a step")),
            prerequisites,
            evaluation: None,
            salt: salt(source),
        };
        if !source.rarely(10) {
            command.evaluation = self.evaluated(&command, source);
        }
        command
    }

    /// An evaluation of `command` on the state as it is.
    fn evaluated(&self, command: &Authorize, source: &mut Source<'_>) -> Option<Evaluation> {
        let outcome = look(self.state, GroupId::FIRST, command).expect("the state is sound");
        let current = match outcome {
            Outcome::Authorized(AuthorizeOutcome::NotCurrent { current, .. }) => current,
            _ => self.guessed(command)?,
        };
        let mut facts = current.facts;
        for _ in 0..source.below(3) {
            facts.approvals.extend(self.approval(source));
        }
        facts.approvals.sort();
        facts.approvals.dedup();
        if source.rarely(24) {
            facts.frozen = !facts.frozen;
        }
        let verdict = if source.rarely(8) {
            Verdict::Deny {
                reason: source.pick(&[Reason::Policy, Reason::NotPermitted, Reason::Granted]),
                codes: vec!["TOO_LATE".to_owned()],
                policies: Vec::new(),
            }
        } else {
            Verdict::Permit {
                policies: vec!["allow".to_owned()],
            }
        };
        let age_ms = source.pick(&[0, 0, 0, 1_000, 1_001]);
        Some(Evaluation {
            policy_version: current.policy.version,
            policy_digest: current.policy.digest,
            evaluator_version: 1,
            evaluated_at: time(self.now_ms.saturating_sub(age_ms)),
            facts,
            verdict,
            claims: self.claims(command, current.policy.digest, source),
        })
    }

    /// What holds, where a look has another answer.
    fn guessed(&self, command: &Authorize) -> Option<Current> {
        let facts = Facts {
            prerequisites: vec![None; command.prerequisites.len()],
            ..Facts::default()
        };
        Some(Current {
            now: time(self.now_ms),
            policy: self.namespace.record().active?,
            facts,
        })
    }

    fn claims(
        &self,
        command: &Authorize,
        digest: Digest,
        source: &mut Source<'_>,
    ) -> Vec<BoundClaim> {
        let surfaces = self.namespace.surfaces(&digest);
        let surfaces = surfaces.expect("the state is sound");
        let surface = surfaces
            .into_iter()
            .find(|known| known.surface == command.surface);
        let bounds = surface.map_or_else(Vec::new, |surface| surface.bounds);
        bounds
            .into_iter()
            .map(|bound| {
                let value = command.request[1] / 2 % 3;
                let is_budget = matches!(bound.kind, BoundKind::Budget { .. });
                let is_odd = source.rarely(40);
                BoundClaim {
                    key: BoundKey::new(format!("{}/{value}", bound.name)).expect("a key"),
                    name: bound.name,
                    kind: bound.kind,
                    amount: if is_budget || is_odd {
                        source.number()
                    } else {
                        1
                    },
                }
            })
            .collect()
    }

    /// An approval that was given at some time.
    fn approval(&self, source: &mut Source<'_>) -> Option<ApprovalFact> {
        let all: Vec<(ApprovalName, u64)> = self.approvals();
        let (name, leaf) = all.get(source.below(all.len()))?.clone();
        Some(ApprovalFact {
            name,
            leaf: leaf + u64::from(source.rarely(16)),
            spends: source.rarely(2),
        })
    }

    fn approvals(&self) -> Vec<(ApprovalName, u64)> {
        let rows = self.state.iter().filter_map(|(key, row)| {
            let parts = key.parts()?;
            if parts.kind != Kind::Approval {
                return None;
            }
            let mut texts = parts.rest.splitn(2, |byte| *byte == 0);
            let quorum = std::str::from_utf8(texts.next()?).ok()?;
            let (subject, approver) = texts.next()?.split_first_chunk()?;
            let approver = std::str::from_utf8(approver.strip_suffix(&[0])?).ok()?;
            let name = ApprovalName {
                quorum: Name::new(quorum).ok()?,
                subject: Digest::from_bytes(*subject),
                approver: Caller::new(approver).ok()?,
            };
            Some((name, ApprovalRecord::from_bytes(row).ok()?.leaf))
        });
        rows.collect()
    }

    fn active(&self, source: &mut Source<'_>) -> ActivePolicy {
        let other = ActivePolicy {
            version: holdpoint_receipt::PolicyVersion::default(),
            digest: sha256(b"other"),
        };
        let active = self.namespace.record().active;
        match active {
            Some(active) if !source.rarely(16) => active,
            _ => other,
        }
    }

    pub(super) fn approve(&self, source: &mut Source<'_>) -> Command {
        let name_of = ApprovalName {
            quorum: name(source.pick(QUORUMS)),
            subject: sha256(&subject(source)),
            approver: caller(source),
        };
        Command::Approve(Approve {
            namespace: name("default"),
            name: name_of,
            surface: name(source.pick(SURFACES)),
            policy: self.active(source),
            counts_for_ms: source.number(),
            salt: salt(source),
        })
    }

    pub(super) fn revoke_approval(&self, source: &mut Source<'_>) -> Command {
        let known = self.approval(source).map(|fact| fact.name);
        let guessed = ApprovalName {
            quorum: name(source.pick(QUORUMS)),
            subject: sha256(&subject(source)),
            approver: caller(source),
        };
        Command::RevokeApproval(RevokeApproval {
            namespace: name("default"),
            name: known.unwrap_or(guessed),
            principal: caller(source),
            operator: source.rarely(2),
            salt: salt(source),
        })
    }

    pub(super) fn ask(&self, source: &mut Source<'_>) -> Command {
        let request = vec![b'r', source.byte() % 16];
        let count = source.below(3);
        let mut missing: Vec<MissingApproval> = (0..count)
            .map(|_| {
                let subject = subject(source);
                MissingApproval {
                    quorum: name(source.pick(QUORUMS)),
                    digest: sha256(&subject),
                    subject,
                    needed: u32::from(source.byte() % 3),
                }
            })
            .collect();
        if !source.rarely(8) {
            missing.sort_by(|a, b| a.quorum.cmp(&b.quorum));
            missing.dedup_by(|a, b| a.quorum == b.quorum);
        }
        Command::AskApproval(Box::new(AskApproval {
            namespace: name("default"),
            request_digest: digest_of_canonical(&request),
            request,
            caller: caller(source),
            policy: self.active(source),
            missing,
        }))
    }

    pub(super) fn close_session(source: &mut Source<'_>) -> Command {
        Command::CloseSession(CloseSession {
            namespace: name("default"),
            session: session(source),
            principal: caller(source),
            operator: source.rarely(3),
            salt: salt(source),
        })
    }

    pub(super) fn leave_queue(&self, source: &mut Source<'_>) -> Command {
        let rows = self.state.iter().filter(|(key, _)| {
            let parts = key.parts();
            parts.is_some_and(|parts| parts.kind == Kind::Queue)
        });
        let tickets: Vec<Ticket> = rows
            .filter_map(|(_, row)| Ticket::from_bytes(row).ok())
            .collect();
        let count = source.below(3).min(tickets.len());
        let waiters = (0..count).map(|_| {
            let mut ticket = tickets[source.below(tickets.len())].clone();
            ticket.number += u64::from(source.rarely(16));
            ticket
        });
        Command::LeaveQueue(LeaveQueue {
            namespace: name("default"),
            waiters: waiters.collect(),
        })
    }
}
