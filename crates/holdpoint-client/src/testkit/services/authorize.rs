//! Authorize, which may be held while the bounds are.

use std::time::Duration;

use holdpoint_core::limits::{RETRY_HORIZON_MS, SKEW_MS_MAX};
use holdpoint_proto::convert::Draft;
use holdpoint_proto::v1;
use holdpoint_receipt::{Caller, ClusterTime, IdempotencyKey};
use tonic::{Request, Response, Status};

use super::{Service, invalid, unfit};
use crate::testkit::bed::{Arrived, Bed, Heard, Turn};
use crate::testkit::deciding::{Asked, Step};
use crate::testkit::refused::{Answer as _, Refused};
use crate::testkit::script::Call;
use crate::testkit::world::World;

/// How long a call is held in real time until it is refused: nobody moves the testbed's clock.
const HELD_MAX: Duration = Duration::from_secs(30);
/// What such a call is told.
const NOBODY_MOVES: &str = "the call has waited for 30 s of real time: let another future move the \
                            clock (`Testbed::advance`) or free the bounds while it waits";

impl Service {
    pub(super) async fn attempt(
        &self,
        request: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        let bed = &self.bed;
        let Arrived {
            caller,
            tag,
            message,
        } = Bed::arrived(request)?;
        let budget = Duration::from_millis(message.deadline_ms.into());
        let mut asked = read(caller, message)?;
        let heard = match bed.turn(Some(Call::Authorize), &tag)? {
            Turn::Answer => None,
            Turn::Deny(code) => {
                asked.denied = Some(code);
                None
            }
            Turn::ActAnd(heard) => Some(heard),
            Turn::Refuse(refused) => {
                return Ok(Response::new(v1::AuthorizeResponse::refused(refused)));
            }
            Turn::Lost => return Err(bed.unheard(&tag, Heard::Nothing).await),
        };
        // The node gives up a little earlier than the client does, so that it can say so.
        let until = bed.clock.now().saturating_add(budget);
        let answer = self.settle(&asked, until).await?;
        match heard {
            Some(heard) => Err(bed.unheard(&tag, heard).await),
            None => Ok(Response::new(answer)),
        }
    }

    /// Decides, and holds the call while the attempt waits.
    async fn settle(
        &self,
        asked: &Asked,
        until: Duration,
    ) -> Result<v1::AuthorizeResponse, Status> {
        let bed = &self.bed;
        let seat = Seat::take(self, asked);
        loop {
            // From here on, what happens is heard.
            let changed = bed.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let step = {
                let mut world = bed.world();
                within_horizon(&world, asked)?;
                world.catch_up().and_then(|()| world.decide(asked))
            };
            let waiting = match step {
                Ok(Step::Answer(answer)) => {
                    drop(seat);
                    bed.changed.notify_waiters();
                    return Ok(*answer);
                }
                Ok(Step::Waits(waiting)) => waiting,
                Err(refused) => return Ok(v1::AuthorizeResponse::refused(refused)),
            };
            if bed.clock.now() >= until {
                let refused = Refused::still_waits(waiting);
                return Ok(v1::AuthorizeResponse::refused(refused));
            }
            let ends = bed
                .clock
                .since_began(Duration::from_millis(waiting.until_ms));
            tokio::select! {
                biased;
                () = changed => (),
                () = bed.clock.reached(ends.min(until)) => (),
                () = tokio::time::sleep(HELD_MAX) => {
                    return Err(Status::invalid_argument(NOBODY_MOVES));
                }
            }
        }
    }
}

/// That the attempt does not end too far ahead.
fn within_horizon(world: &World, asked: &Asked) -> Result<(), Status> {
    let horizon = RETRY_HORIZON_MS.saturating_add(SKEW_MS_MAX);
    let horizon = world.wall().saturating_add(horizon);
    if asked.not_after > horizon {
        let problem = format_args!("is too far ahead; give at most `{}`", horizon.get());
        return Err(unfit("not_after_ms", problem));
    }
    Ok(())
}

fn read(caller: Caller, message: v1::AuthorizeRequest) -> Result<Asked, Status> {
    let time = |field, ms| ClusterTime::new(ms).map_err(|error| unfit(field, error));
    let operation = message
        .operation
        .ok_or_else(|| unfit("operation", "is missing"))?;
    let draft = Draft::parse(operation, caller.clone()).map_err(|error| invalid(&error))?;
    let idempotency_key = IdempotencyKey::new(message.idempotency_key)
        .map_err(|error| unfit("idempotency_key", error))?;
    let not_after = time("not_after_ms", message.not_after_ms)?;
    let wait_until = match message.wait_until_ms {
        0 => None,
        ms => Some(time("wait_until_ms", ms)?),
    };
    if wait_until.is_some_and(|until| until > not_after) {
        return Err(unfit("wait_until_ms", "is after `not_after_ms`"));
    }
    Ok(Asked {
        caller,
        draft,
        idempotency_key,
        not_after,
        wait_until,
        denied: None,
    })
}

/// Says that the call of an attempt is there, however it ends.
struct Seat<'a> {
    service: &'a Service,
    asked: &'a Asked,
}

impl<'a> Seat<'a> {
    fn take(service: &'a Service, asked: &'a Asked) -> Self {
        let mut world = service.bed.world();
        *world.parked.entry(asked.name()).or_default() += 1;
        Self { service, asked }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let name = self.asked.name();
        let mut world = self.service.bed.world();
        if let Some(count) = world.parked.get_mut(&name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                world.parked.remove(&name);
            }
        }
    }
}
