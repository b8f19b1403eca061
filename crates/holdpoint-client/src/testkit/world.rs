//! A cluster in memory: the state machine over a map, one signer, and time that the test moves.
//!
//! There is one place for everything that a real cluster spreads over nodes: a command is applied as
//! soon as it is proposed, to a state that nobody else changes meanwhile. So facts never move between
//! a verdict and its entry.

use std::collections::BTreeMap;
use std::time::Duration;

use holdpoint_core::command::{
    ActivatePolicy, ActivationMode, AnnounceNode, AttemptName, Bootstrap, Command, PutPolicy,
    StepTime, Sweep,
};
use holdpoint_core::limits::FEATURE_LEVEL_MAX;
use holdpoint_core::outcome::{ActivateOutcome, PutOutcome, Statement};
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::{ActivePolicy, ClockRecord, NamespaceRecord};
use holdpoint_core::{Entry, GroupId, MapView, Outcome, Query, apply};
use holdpoint_policy::{Bundle, EVALUATOR_VERSION, Policy};
use holdpoint_proto::{convert, v1};
use holdpoint_receipt::{Caller, ClusterTime, Digest, KeySet, Name, Reason, Salt, sha256_domain};

use super::clock::BedClock;
use super::notary::Notary;
use super::refused::{Refused, fault};
use super::script::Script;
use super::translate;

/// Separates the salts of a testbed from every other digest.
const SALT_DOMAIN: &str = "holdpoint/testkit/salt/v1";
/// Steps of a sweep that are taken at one time; each has hundreds of rows.
const SWEEPS_MAX: usize = 10_000;
/// Who puts the first bundle in force.
const FOUNDER: &str = "testkit:founder";

/// The state of a testbed.
pub(super) struct World {
    pub(super) script: Script,
    /// Policies that were in force, by their digests.
    pub(super) policies: BTreeMap<Digest, Policy>,
    /// Attempts whose calls are held, with how many calls each has.
    pub(super) parked: BTreeMap<AttemptName, u32>,
    view: MapView,
    clock: BedClock,
    notary: Notary,
    namespace: Name,
    index: u64,
    /// The term, which names the node that leads.
    term: u64,
    salts: u64,
}

impl World {
    /// A new cluster, in which `bundle` is in force.
    pub(super) fn found(bundle: &Bundle, policy: Policy, clock: BedClock) -> Result<Self, Refused> {
        let notary = Notary::new()?;
        let namespace = Name::new(convert::NAMESPACE_DEFAULT).map_err(|error| fault(&error))?;
        let mut world = Self {
            script: Script::default(),
            policies: BTreeMap::new(),
            parked: BTreeMap::new(),
            view: MapView::new(),
            clock,
            notary,
            namespace,
            index: 0,
            term: 1,
            salts: 0,
        };
        world.apply(Command::Bootstrap(Bootstrap {
            cluster: world.notary.cluster(),
            epoch: 0,
            voters: vec![world.notary.node()],
            is_dev: true,
        }))?;
        world.apply(Command::AnnounceNode(world.announcement()))?;
        let founder = Caller::new(FOUNDER).map_err(|error| fault(&error))?;
        let digest = world.put(bundle, policy, founder.clone())?;
        world.activate(digest, founder)?;
        Ok(world)
    }

    fn announcement(&self) -> AnnounceNode {
        let public = self.notary.public();
        AnnounceNode {
            node: self.notary.node(),
            incarnation: [1; 16],
            log_key: *public.log.as_bytes(),
            cosign_key: *public.cosign.as_bytes(),
            feature_level_max: FEATURE_LEVEL_MAX,
            evaluator_version: EVALUATOR_VERSION,
        }
    }

    /// Registers a bundle that has loaded.
    pub(super) fn put(
        &mut self,
        bundle: &Bundle,
        policy: Policy,
        principal: Caller,
    ) -> Result<Digest, Refused> {
        let digest = policy.digest();
        let command = PutPolicy {
            namespace: self.namespace.clone(),
            digest,
            bundle: bundle.encode(),
            outline: translate::outline(&policy),
            principal,
        };
        match self.propose(Command::PutPolicy(command))? {
            Outcome::PolicyPut(PutOutcome::Put { .. }) => {
                self.policies.insert(digest, policy);
                Ok(digest)
            }
            Outcome::PolicyPut(PutOutcome::Refused { reason }) => Err(Refused::never(reason)),
            other => Err(unexpected(&other)),
        }
    }

    /// Puts a registered bundle in force; refused while live permits stand in the way.
    pub(super) fn activate(&mut self, digest: Digest, principal: Caller) -> Result<(), Refused> {
        let expected = self.record()?.active.map(|active| active.version);
        let command = ActivatePolicy {
            namespace: self.namespace.clone(),
            digest,
            expected: expected.unwrap_or_default(),
            evaluator_version: EVALUATOR_VERSION,
            mode: ActivationMode::Refuse,
            principal,
            salt: self.salt(),
        };
        match self.propose(Command::ActivatePolicy(command))? {
            Outcome::Activated(ActivateOutcome::Activated { .. }) => Ok(()),
            Outcome::Activated(ActivateOutcome::Refused { reason, .. }) => {
                Err(Refused::never(reason))
            }
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn keys(&self) -> &KeySet {
        self.notary.keys()
    }

    /// Reads of the namespace.
    pub(super) fn log(&self) -> Result<NamespaceQuery<'_, MapView>, Refused> {
        let query = Query::new(&self.view, GroupId::FIRST);
        let log = query.namespace(&self.namespace)?;
        log.ok_or_else(|| Refused::never(Reason::UnknownNamespace))
    }

    fn record(&self) -> Result<NamespaceRecord, Refused> {
        Ok(self.log()?.record().clone())
    }

    /// The policy in force, loaded.
    pub(super) fn active(&self) -> Result<Option<(ActivePolicy, Policy)>, Refused> {
        let active = self.record()?.active;
        let loaded = |active: ActivePolicy| {
            let policy = self.policies.get(&active.digest)?.clone();
            Some((active, policy))
        };
        Ok(active.and_then(loaded))
    }

    /// Refuses a call that names another namespace than there is.
    pub(super) fn require(&self, namespace: &Name) -> Result<(), Refused> {
        if *namespace == self.namespace {
            Ok(())
        } else {
            Err(Refused::never(Reason::UnknownNamespace))
        }
    }

    /// A salt that no other command of this testbed has.
    pub(super) fn salt(&mut self) -> Salt {
        self.salts = self.salts.saturating_add(1);
        let drawn = sha256_domain(SALT_DOMAIN, &[&self.salts.to_be_bytes()]);
        Salt::from_bytes(*drawn.as_bytes())
    }

    /// Applies a command at the time that it is now.
    pub(super) fn propose(&mut self, command: Command) -> Result<Outcome, Refused> {
        self.move_time()?;
        self.apply(command)
    }

    fn apply(&mut self, command: Command) -> Result<Outcome, Refused> {
        self.index = self.index.saturating_add(1);
        let entry = Entry {
            group: GroupId::FIRST,
            time: self.wall(),
            commands: vec![command],
        };
        let mut applied = apply(&self.view, self.term, self.index, &entry)?;
        self.view.commit(&applied.writes);
        let outcome = applied.outcomes.pop();
        outcome.ok_or_else(|| fault(&"an entry has no outcome"))
    }

    /// What wall clocks show, as cluster time.
    pub(super) fn wall(&self) -> ClusterTime {
        let now_ms = u64::try_from(self.clock.wall().as_millis()).unwrap_or(u64::MAX);
        ClusterTime::new(now_ms).unwrap_or(ClusterTime::MAX)
    }

    /// Brings cluster time to what wall clocks show.
    fn move_time(&mut self) -> Result<(), Refused> {
        let wall = self.wall();
        if Query::new(&self.view, GroupId::FIRST).now()? >= wall {
            return Ok(());
        }
        let clocks = vec![(self.notary.node(), wall)];
        self.apply(Command::StepTime(StepTime { clocks }))?;
        Ok(())
    }

    /// Does what time has brought about, as the leader's housekeeping does.
    pub(super) fn catch_up(&mut self) -> Result<(), Refused> {
        self.move_time()?;
        for _ in 0..SWEEPS_MAX {
            if !self.log()?.is_sweep_due(self.wall())? {
                break;
            }
            let sweep = Sweep {
                namespace: self.namespace.clone(),
                salt: self.salt(),
            };
            self.apply(Command::Sweep(sweep))?;
        }
        Ok(())
    }

    /// When time brings something about next, as the testbed's clock counts.
    pub(super) fn next_due(&self) -> Result<Option<Duration>, Refused> {
        let due = self.log()?.next_due(self.wall())?;
        let due = due.filter(|due| *due > self.wall());
        Ok(due.map(|due| self.clock.since_began(Duration::from_millis(due.get()))))
    }

    /// Whether an attempt whose call is held may have its bounds now.
    pub(super) fn has_offer(&self) -> Result<bool, Refused> {
        let log = self.log()?;
        let clock = ClockRecord {
            now: self.wall(),
            term: self.term,
        };
        for attempt in self.parked.keys() {
            let waiter = log.waiter(attempt)?;
            if waiter.is_some_and(|waiter| waiter.offer.is_some() && waiter.is_live_at(clock)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The receipt of a statement, under the newest head.
    pub(super) fn receipt(&self, statement: &Statement) -> Result<v1::Receipt, Refused> {
        self.receipt_of(statement.leaf)
    }

    /// The receipt of the statement at `leaf`, under the newest head.
    pub(super) fn receipt_of(&self, leaf: u64) -> Result<v1::Receipt, Refused> {
        let file = self.notary.certify(&self.log()?, &self.namespace, leaf)?;
        Ok(v1::Receipt { file })
    }

    /// Another node leads from now on.
    pub(super) fn change_leader(&mut self) {
        self.term = self.term.saturating_add(1);
    }

    /// The node that leads. It is no real address, and nobody connects to it.
    pub(super) fn leader_address(&self) -> String {
        format!("node-{}.testkit:7400", self.term)
    }

    pub(super) fn leader_hint(&self) -> v1::LeaderHint {
        let leader = v1::NodeAddress {
            id: self.term,
            client: self.leader_address(),
        };
        v1::LeaderHint {
            nodes: vec![leader.clone()],
            leader: Some(leader),
            term: self.term,
        }
    }
}

/// The answer of another command than was asked.
pub(super) fn unexpected(outcome: &Outcome) -> Refused {
    match outcome {
        Outcome::Rejected(rejection) => {
            Refused::never(Reason::InvalidRequest).saying(rejection.to_string())
        }
        other => fault(&format_args!("unexpected outcome {other:?}")),
    }
}
