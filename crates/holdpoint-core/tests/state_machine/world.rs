//! A state with a log before it: what tests apply entries to.

use holdpoint_core::command::{
    ActivatePolicy, ActivationMode, AnnounceNode, Authorize, Bootstrap, BoundClaim, Complete,
    CompletionResult, Evaluation, Facts, PutPolicy, Redeem, Release, Revoke, StepTime, Sweep,
    Verdict,
};
use holdpoint_core::outcome::{AuthorizeOutcome, Decided, Outcome};
use holdpoint_core::outline::{BoundOutline, PolicyOutline, SurfaceOutline};
use holdpoint_core::query::{LogHead, NamespaceQuery};
use holdpoint_core::record::SignerRecord;
use holdpoint_core::{
    Applied, Command, Entry, GroupId, Head, MapView, Query, View, apply, apply_membership, check,
    codec,
};
use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::request::digest_of_canonical;
use holdpoint_receipt::{
    BoundKey, Caller, ClusterId, ClusterTime, Digest, Fence, IdempotencyKey, Name, NodeId,
    NodeSecretKeys, PermitId, PolicyVersion, RedemptionId, Salt, SecretKey, TreeSize, sha256,
};

/// Where tests begin: transcripts show times relative to it.
pub(crate) const START_MS: u64 = 1_000_000;

pub(crate) const CLUSTER: ClusterId = ClusterId::from_bytes([7; 16]);

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn caller(text: &str) -> Caller {
    Caller::new(text).unwrap()
}

pub(crate) fn time(at_ms: u64) -> ClusterTime {
    ClusterTime::new(at_ms).unwrap()
}

pub(crate) fn node(id: u64) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(crate) fn default_namespace() -> Name {
    name("default")
}

pub(crate) fn digest_of_policy(policy: &str) -> Digest {
    sha256(policy.as_bytes())
}

pub(crate) fn bootstrap() -> Command {
    Command::Bootstrap(Bootstrap {
        cluster: CLUSTER,
        epoch: 0,
        voters: vec![node(1), node(2), node(3)],
        is_dev: false,
    })
}

pub(crate) fn step_time(to_ms: u64) -> Command {
    step_time_of(&[1, 3], to_ms)
}

/// The clocks of these voters, of which the last is fast.
pub(crate) fn step_time_of(voters: &[u64], to_ms: u64) -> Command {
    let clock = |(place, voter): (usize, &u64)| {
        let is_fast = place > 0 && place + 1 == voters.len();
        let ahead_ms = if is_fast { 7 } else { 0 };
        (node(*voter), time(to_ms.saturating_add(ahead_ms)))
    };
    let clocks = voters.iter().enumerate().map(clock).collect();
    Command::StepTime(StepTime { clocks })
}

/// The pair of keys with this number: the same numbers are the same keys.
pub(crate) fn secret_keys(number: u64) -> NodeSecretKeys {
    let secret = |role: u8| {
        let mut seed = [role; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        SecretKey::from_seed(&seed)
    };
    NodeSecretKeys::new(secret(1), secret(2)).unwrap()
}

/// A node that signs with the pair of keys with this number.
pub(crate) fn signer(id: u64, number: u64) -> SignerRecord {
    let public = secret_keys(number).public();
    SignerRecord {
        node: node(id),
        log_key: *public.log.as_bytes(),
        cosign_key: *public.cosign.as_bytes(),
    }
}

pub(crate) fn announce(id: u64, number: u64) -> AnnounceNode {
    let keys = signer(id, number);
    AnnounceNode {
        node: keys.node,
        incarnation: [u8::try_from(id).unwrap(); 16],
        log_key: keys.log_key,
        cosign_key: keys.cosign_key,
        feature_level_max: 2,
        evaluator_version: 1,
    }
}

pub(crate) fn put(policy: &str, surfaces: Vec<SurfaceOutline>) -> Command {
    Command::PutPolicy(PutPolicy {
        namespace: default_namespace(),
        digest: digest_of_policy(policy),
        bundle: policy.as_bytes().to_vec(),
        outline: PolicyOutline { surfaces },
        principal: caller("admin"),
    })
}

/// A request as tests say it: the core treats its bytes as opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) surface: String,
    /// `name=value` for each parameter. A bound's key is rendered from the parameter of its name.
    pub(crate) params: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        format!("{self:?}").into_bytes()
    }

    pub(crate) fn digest(&self) -> Digest {
        digest_of_canonical(&self.bytes())
    }

    fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What a claim charges: the summed parameter of a budget, 1 otherwise.
    fn amount(&self, bound: &BoundOutline) -> u64 {
        let Some(field) = &bound.field else { return 1 };
        self.param(field).map_or(0, |value| value.parse().unwrap())
    }

    pub(crate) fn claim(&self, bound: &BoundOutline) -> BoundClaim {
        let value = self.param(bound.name.as_str()).unwrap_or("-");
        BoundClaim {
            name: bound.name.clone(),
            kind: bound.kind,
            key: BoundKey::new(format!("{}/{value}", bound.name)).unwrap(),
            amount: self.amount(bound),
        }
    }
}

/// What stands in the log.
#[derive(Clone, Debug)]
pub(crate) enum Logged {
    /// The bytes of an entry of commands.
    Entry(Vec<u8>),
    /// The voters of a uniform membership.
    Membership(Vec<NodeId>),
}

impl Logged {
    /// Applies it.
    pub(crate) fn apply<V: View>(&self, view: &V, term: u64, index: u64) -> Applied
    where
        V::Error: std::fmt::Debug,
    {
        match self {
            Self::Entry(bytes) => {
                let entry = codec::decode_entry(bytes).unwrap();
                apply(view, term, index, &entry).unwrap()
            }
            Self::Membership(voters) => {
                apply_membership(view, GroupId::FIRST, term, index, voters).unwrap()
            }
        }
    }
}

/// A log being written, and the state after it.
pub(crate) struct World {
    pub(crate) state: MapView,
    /// The entries with their terms.
    pub(crate) log: Vec<(u64, Logged)>,
    pub(crate) clock_ms: u64,
    /// The term in which entries are proposed.
    pub(crate) term: u64,
    /// Whether every invariant is checked after every entry, which takes most of the time.
    pub(crate) is_checked: bool,
    salts: u8,
}

impl World {
    /// A bootstrapped cluster of three voters at [`START_MS`].
    pub(crate) fn new() -> Self {
        let mut world = Self {
            state: MapView::new(),
            log: Vec::new(),
            clock_ms: START_MS,
            term: 1,
            is_checked: true,
            salts: 0,
        };
        world.apply(vec![bootstrap(), step_time(START_MS)]);
        world
    }

    /// The note that these signers make of the head of `size` leaves, each a node and the number of its
    /// keys, or of one that claims another root.
    pub(crate) fn note(&self, size: u64, signers: &[(u64, u64)], is_forged: bool) -> Vec<u8> {
        let root = self.namespace().root_at(size).unwrap();
        let head = Checkpoint {
            origin: Origin::new(&CLUSTER, &default_namespace()),
            size: TreeSize::new(size).unwrap(),
            root: root.filter(|_| !is_forged).unwrap_or_else(|| sha256(b"")),
        };
        let lines = signers.iter().map(|(id, number)| {
            secret_keys(*number).sign_head(&CLUSTER, node(*id), &head, 1_700_000_000)
        });
        let note = head.to_note(lines.collect()).unwrap();
        note.to_string().into_bytes()
    }

    /// Applies one entry, through its bytes, and checks every invariant afterwards.
    pub(crate) fn apply(&mut self, commands: Vec<Command>) -> Applied {
        let entry = Entry {
            group: GroupId::FIRST,
            time: time(self.clock_ms),
            commands,
        };
        let bytes = codec::encode_entry(&entry).unwrap();
        assert_eq!(codec::decode_entry(&bytes).unwrap(), entry);
        let applied = self.append(Logged::Entry(bytes));
        assert_eq!(applied.outcomes.len(), entry.commands.len());
        for outcome in &applied.outcomes {
            let bytes = codec::encode_outcome(outcome).unwrap();
            assert_eq!(codec::decode_outcome(&bytes).unwrap(), *outcome);
        }
        applied
    }

    /// Applies a uniform membership.
    pub(crate) fn change_voters(&mut self, voters: &[u64]) -> Applied {
        let voters = voters.iter().map(|voter| node(*voter)).collect();
        self.append(Logged::Membership(voters))
    }

    fn append(&mut self, logged: Logged) -> Applied {
        let index = self.log.len() as u64 + 1;
        let before = self.head();
        let applied = logged.apply(&self.state, self.term, index);
        self.log.push((self.term, logged));
        self.state.commit(&applied.writes);
        if self.is_checked {
            check(&self.state, GroupId::FIRST).unwrap();
        }
        let has_moved = |head: &LogHead| head.size > 0 && Some(*head) != before;
        let head = self.head().filter(has_moved);
        let heads: Vec<LogHead> = applied.heads.iter().map(head_of).collect();
        assert_eq!(
            heads,
            head.into_iter().collect::<Vec<_>>(),
            "heads that moved"
        );
        applied
    }

    /// The head of the log; none before there is a namespace.
    fn head(&self) -> Option<LogHead> {
        let namespace = self.query().namespace(&default_namespace()).unwrap();
        namespace.map(|namespace| namespace.head().unwrap())
    }

    /// Applies an entry of one command.
    pub(crate) fn one(&mut self, command: Command) -> Outcome {
        self.apply(vec![command]).outcomes.pop().unwrap()
    }

    pub(crate) fn salt(&mut self) -> Salt {
        self.salts = self.salts.wrapping_add(1);
        Salt::from_bytes([self.salts; 32])
    }

    pub(crate) fn query(&self) -> Query<'_, MapView> {
        Query::new(&self.state, GroupId::FIRST)
    }

    pub(crate) fn namespace(&self) -> NamespaceQuery<'_, MapView> {
        let namespace = self.query().namespace(&default_namespace());
        namespace.unwrap().unwrap()
    }

    pub(crate) fn active(&self) -> Option<(PolicyVersion, Digest)> {
        let namespace = self
            .query()
            .namespace(&default_namespace())
            .unwrap()
            .unwrap();
        let active = namespace.record().active;
        active.map(|active| (active.version, active.digest))
    }

    /// The permit with this fence, or an id that no permit has.
    pub(crate) fn permit(&self, fence: u64) -> (PermitId, Option<Digest>) {
        let namespace = self
            .query()
            .namespace(&default_namespace())
            .unwrap()
            .unwrap();
        let permit = namespace
            .permit_by_fence(Fence::new(fence).unwrap())
            .unwrap();
        permit.map_or((PermitId::from_bytes([0; 16]), None), |permit| {
            (permit.record.id, Some(permit.record.request_digest))
        })
    }

    pub(crate) fn activate(&mut self, policy: &str, expected: Option<u64>) -> Command {
        let active = self.active().map_or(0, |(version, _)| version.get());
        Command::ActivatePolicy(ActivatePolicy {
            namespace: default_namespace(),
            digest: digest_of_policy(policy),
            expected: PolicyVersion::new(expected.unwrap_or(active)).unwrap(),
            evaluator_version: 1,
            mode: ActivationMode::Refuse,
            principal: caller("admin"),
            salt: self.salt(),
        })
    }

    /// An attempt without an evaluation.
    pub(crate) fn lookup(&mut self, by: &str, key: &str, end_ms: u64, asked: &Asked) -> Authorize {
        Authorize {
            namespace: default_namespace(),
            caller: caller(by),
            idempotency_key: IdempotencyKey::new(key).unwrap(),
            not_after: time(end_ms),
            wait_until: None,
            request: asked.bytes(),
            request_digest: asked.digest(),
            surface: name(&asked.surface),
            action: name("do"),
            actor: None,
            session: None,
            step: None,
            prerequisites: Vec::new(),
            evaluation: None,
            salt: self.salt(),
        }
    }

    /// An evaluation that permits `asked` under the active policy, now, without facts.
    pub(crate) fn permits(&self, asked: &Asked) -> Option<Evaluation> {
        let (version, digest) = self.active()?;
        let namespace = self
            .query()
            .namespace(&default_namespace())
            .unwrap()
            .unwrap();
        let surfaces = namespace.surfaces(&digest).unwrap();
        let surface = surfaces
            .iter()
            .find(|known| known.surface.as_str() == asked.surface);
        let claims = surface.map_or_else(Vec::new, |surface| {
            surface
                .bounds
                .iter()
                .map(|bound| asked.claim(bound))
                .collect()
        });
        Some(Evaluation {
            policy_version: version,
            policy_digest: digest,
            evaluator_version: 1,
            evaluated_at: time(self.clock_ms),
            facts: Facts::default(),
            verdict: Verdict::Permit {
                policies: vec!["allow".to_owned()],
            },
            claims,
        })
    }

    pub(crate) fn redeem(&mut self, fence: u64, by: &str, id: &str) -> Redeem {
        let (permit, digest) = self.permit(fence);
        Redeem {
            namespace: default_namespace(),
            permit,
            principal: caller(by),
            fence: Fence::new(fence).unwrap(),
            request_digest: digest.unwrap_or_else(|| sha256(b"")),
            redemption_id: RedemptionId::new(id).unwrap(),
            salt: self.salt(),
        }
    }

    pub(crate) fn complete(&mut self, fence: u64, by: &str, result: CompletionResult) -> Complete {
        Complete {
            namespace: default_namespace(),
            permit: self.permit(fence).0,
            principal: caller(by),
            operator: false,
            result,
            reason: None,
            salt: self.salt(),
        }
    }

    pub(crate) fn sweep(&mut self) -> Command {
        Command::Sweep(Sweep {
            namespace: default_namespace(),
            salt: self.salt(),
        })
    }

    pub(crate) fn release(&mut self, fence: u64, by: &str) -> Release {
        Release {
            namespace: default_namespace(),
            permit: self.permit(fence).0,
            principal: caller(by),
            operator: false,
            reason: None,
            salt: self.salt(),
        }
    }

    pub(crate) fn revoke(&mut self, fence: u64, by: &str) -> Revoke {
        Revoke {
            namespace: default_namespace(),
            permit: self.permit(fence).0,
            principal: caller(by),
            operator: false,
            salt: self.salt(),
        }
    }
}

fn head_of(head: &Head) -> LogHead {
    assert_eq!(head.namespace, default_namespace());
    LogHead {
        size: head.size,
        root: head.root,
    }
}

/// The fence that an outcome newly granted.
pub(crate) fn granted(outcome: &Outcome) -> Option<Fence> {
    match outcome {
        Outcome::Authorized(AuthorizeOutcome::Decided(decision)) => match &decision.verdict {
            Decided::Permit(permit) if !decision.replay => Some(permit.fence()),
            Decided::Permit(_) | Decided::Deny(_) => None,
        },
        _ => None,
    }
}
