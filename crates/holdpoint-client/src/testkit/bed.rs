//! What the gates of a testbed share, and what becomes of each submission.

use std::fmt;
use std::future::pending;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdpoint_proto::hint::with_leader_hint;
use holdpoint_receipt::{Caller, KeySet};
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

use super::clock::BedClock;
use super::link::Tag;
use super::refused::{Answer, Refused};
use super::script::{Call, Twist};
use super::world::World;

/// Names the caller, as the client sends it.
const CALLER_METADATA: &str = "holdpoint-caller";
/// What the gate puts before a name that it believes because it comes from its own machine.
const CALLER_SCHEME: &str = "loopback";

/// A cluster in memory with its clock and its script.
pub(super) struct Bed {
    pub(super) clock: BedClock,
    pub(super) keys: KeySet,
    /// Numbers calls.
    pub(super) calls: AtomicU64,
    /// Something was applied.
    pub(super) changed: Notify,
    world: Mutex<World>,
}

impl fmt::Debug for Bed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bed").finish_non_exhaustive()
    }
}

/// Who submits what, as the connection says it.
pub(super) struct Arrived<T> {
    pub(super) caller: Caller,
    pub(super) tag: Tag,
    pub(super) message: T,
}

/// What is to be done with one submission.
pub(super) enum Turn {
    /// It is acted upon, and answered.
    Answer,
    /// It is acted upon, denied with this code.
    Deny(String),
    /// It is acted upon, and this is all that is heard of it.
    ActAnd(Heard),
    /// Nothing is done, and this is the answer.
    Refuse(Refused),
    /// Nothing is done or heard.
    Lost,
}

/// What is heard of a submission that was acted upon and is not answered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Heard {
    /// Nothing, until the caller gives up.
    Nothing,
    /// That the connection broke.
    Broken,
    /// That the node does not lead any more.
    NotLeader,
}

impl Bed {
    pub(super) fn new(world: World, clock: BedClock) -> Self {
        Self {
            clock,
            keys: world.keys().clone(),
            calls: AtomicU64::new(0),
            changed: Notify::new(),
            world: Mutex::new(world),
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads who submits what.
    pub(super) fn arrived<T>(request: Request<T>) -> Result<Arrived<T>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        let tag = extensions.get::<Tag>().cloned();
        let tag = tag.ok_or_else(|| Status::internal("the call did not come from a gate of it"))?;
        let name = metadata.get(CALLER_METADATA);
        let name = name.and_then(|name| name.to_str().ok()).unwrap_or_default();
        let caller = Caller::new(format!("{CALLER_SCHEME}:{name}"))
            .map_err(|error| Status::unauthenticated(error.to_string()))?;
        Ok(Arrived {
            caller,
            tag,
            message,
        })
    }

    /// What the script has for a submission; refused outright where the node does not lead.
    pub(super) fn turn(&self, call: Option<Call>, tag: &Tag) -> Result<Turn, Status> {
        let mut world = self.world();
        if tag.node != world.leader_address() {
            let hint = world.leader_hint();
            let status = Status::failed_precondition("this node does not lead");
            return Err(with_leader_hint(status, &hint));
        }
        let (twist, before) = match call {
            Some(call) => world.script.submission(tag.call.number, call),
            None => (Twist::Answer, 0),
        };
        let is_first = before == 0;
        Ok(match twist {
            Twist::LoseAnswer if is_first => Turn::ActAnd(Heard::Nothing),
            Twist::LoseAnswer | Twist::LoseRequest => Turn::Lost,
            Twist::BreakConnection if is_first => Turn::ActAnd(Heard::Broken),
            Twist::ChangeLeader if is_first => Turn::ActAnd(Heard::NotLeader),
            Twist::Refuse(reason) => Turn::Refuse(Refused::never(reason)),
            Twist::Deny(code) => Turn::Deny(code),
            Twist::Delay(time) => {
                drop(world);
                if is_first {
                    self.clock.pass_to(self.clock.now().saturating_add(time));
                }
                Turn::Answer
            }
            Twist::Answer | Twist::BreakConnection | Twist::ChangeLeader => Turn::Answer,
        })
    }

    /// Carries one submission out as the script has it.
    pub(super) async fn serve<T, A: Answer>(
        self: &Arc<Self>,
        call: Option<Call>,
        request: Request<T>,
        act: impl FnOnce(&mut World, Caller, T) -> Result<Result<A, Refused>, Status> + Send,
    ) -> Result<Response<A>, Status>
    where
        T: Send,
    {
        let Arrived {
            caller,
            tag,
            message,
        } = Self::arrived(request)?;
        let heard = match self.turn(call, &tag)? {
            Turn::Answer | Turn::Deny(_) => None,
            Turn::ActAnd(heard) => Some(heard),
            Turn::Refuse(refused) => return Ok(Response::new(A::refused(refused))),
            Turn::Lost => return Err(self.unheard(&tag, Heard::Nothing).await),
        };
        let answer = {
            let mut world = self.world();
            match world.catch_up() {
                Ok(()) => act(&mut world, caller, message)?,
                Err(refused) => Err(refused),
            }
        };
        self.changed.notify_waiters();
        match heard {
            Some(heard) => Err(self.unheard(&tag, heard).await),
            None => Ok(Response::new(answer.unwrap_or_else(A::refused))),
        }
    }

    /// What is heard instead of an answer. Waiting for nothing takes the whole time that there is.
    pub(super) async fn unheard(&self, tag: &Tag, heard: Heard) -> Status {
        match heard {
            Heard::Nothing => {
                self.clock.pass_to(tag.call.give_up_at);
                pending().await
            }
            Heard::Broken => Status::unavailable("the connection broke (scripted)"),
            Heard::NotLeader => {
                let mut world = self.world();
                world.change_leader();
                let status = Status::unavailable("this node does not lead any more");
                with_leader_hint(status, &world.leader_hint())
            }
        }
    }
}
