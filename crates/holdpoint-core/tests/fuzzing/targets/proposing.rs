//! Commands made of choices: mostly such as a correct leader proposes, some that none would.

mod deciding;
mod policies;
mod settling;
mod signing;

use holdpoint_core::codec::{decode_command, encode_command};
use holdpoint_core::command::{Bootstrap, StepTime};
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::{Command, GroupId, MapView, Query};
use holdpoint_receipt::{
    Caller, ClusterId, ClusterTime, Fence, Name, NodeId, PermitId, Salt, SessionId,
};

use super::source::Source;

const CALLERS: &[&str] = &["alice", "bob", "carol"];
const SURFACES: &[&str] = &["pay", "ship"];
const SESSIONS: &[&str] = &["s1", "s2"];

pub(super) fn bootstrap() -> Vec<Command> {
    let voters = [1, 2, 3].map(|id| NodeId::new(id).expect("not zero"));
    let clocks = voters.iter().map(|voter| (*voter, time(1_000_000)));
    let clocks = clocks.collect();
    let begin = Bootstrap {
        cluster: ClusterId::from_bytes([7; 16]),
        epoch: 0,
        voters: voters.to_vec(),
        is_dev: false,
    };
    let step = StepTime { clocks };
    vec![Command::Bootstrap(begin), Command::StepTime(step)]
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn caller(source: &mut Source<'_>) -> Caller {
    Caller::new(source.pick(CALLERS)).expect("a caller")
}

fn session(source: &mut Source<'_>) -> SessionId {
    SessionId::new(source.pick(SESSIONS)).expect("a session")
}

fn time(at_ms: u64) -> ClusterTime {
    ClusterTime::new(at_ms).unwrap_or(ClusterTime::MAX)
}

fn salt(source: &mut Source<'_>) -> Salt {
    Salt::from_bytes([source.byte(); 32])
}

/// Proposes on the state that it sees, which earlier commands of the same entry may change.
pub(super) struct Leader<'a> {
    state: &'a MapView,
    namespace: NamespaceQuery<'a, MapView>,
    now_ms: u64,
}

impl<'a> Leader<'a> {
    pub(super) fn new(state: &'a MapView) -> Self {
        let query = Query::new(state, GroupId::FIRST);
        let namespace = query.namespace(&name("default"));
        let namespace = namespace.expect("the state is sound");
        Self {
            state,
            namespace: namespace.expect("the namespace exists from the start"),
            now_ms: query.now().expect("the state is sound").get(),
        }
    }

    pub(super) fn propose(&mut self, source: &mut Source<'_>) -> Command {
        let command = self.command(source);
        if !source.rarely(12) {
            return command;
        }
        Self::damaged(&command, source).unwrap_or(command)
    }

    fn command(&mut self, source: &mut Source<'_>) -> Command {
        let kind = source.byte();
        if kind >= 248 {
            return self.about_signers(source);
        }
        match kind % 32 {
            0 | 1 => Self::put(source),
            2 | 3 => self.activate(source),
            4..=12 => Command::Authorize(Box::new(self.authorize(source))),
            13 | 14 => self.redeem(source),
            15 | 16 => self.complete(source),
            17 => self.revoke(source),
            18 => self.release(source),
            19 | 20 => self.approve(source),
            21 => self.revoke_approval(source),
            22 => self.ask(source),
            23 => Self::close_session(source),
            24 => Self::freeze(source),
            25 => self.leave_queue(source),
            26 => Self::setting(source),
            27 | 28 => Self::sweep(source),
            29 | 30 => self.step_time(source),
            _ => decode_command(source.bytes(96)).unwrap_or_else(|_| Self::sweep(source)),
        }
    }

    /// `command` with some of its bytes changed, if that still is a command.
    fn damaged(command: &Command, source: &mut Source<'_>) -> Option<Command> {
        let mut bytes = encode_command(command).ok()?;
        for _ in 0..=source.below(3) {
            let place = usize::from(source.byte()) * 256 + usize::from(source.byte());
            let place = place % bytes.len();
            bytes[place] = source.byte();
        }
        decode_command(&bytes).ok()
    }

    fn step_time(&self, source: &mut Source<'_>) -> Command {
        let voters = [1, 2].map(|id| NodeId::new(id).expect("not zero"));
        let by_ms = match source.below(8) {
            0 => source.number(),
            1 => 90_000_000,
            2 => 3_600_000,
            3 => 60_000,
            _ => u64::from(source.byte()) * 100,
        };
        let to = time(self.now_ms.saturating_add(by_ms));
        let clocks = voters.map(|voter| (voter, to)).to_vec();
        Command::StepTime(StepTime { clocks })
    }

    /// One of the last permits, or one that there is not.
    fn permit(&self, source: &mut Source<'_>) -> (PermitId, Fence) {
        let back = source.below(6) as u64;
        let last = self.namespace.record().fence.get();
        let fence = Fence::new(last.saturating_sub(back).max(1)).expect("above zero");
        let permit = self.namespace.permit_by_fence(fence);
        let permit = permit.expect("the state is sound");
        let id = permit.map_or(PermitId::from_bytes([9; 16]), |permit| permit.record.id);
        (id, fence)
    }
}
