//! The history of the race, in the form that `chaos/HISTORY.md` documents.
//!
//! It never guesses: an answer that did not come is a `timeout` unless the client knows that nothing will
//! take effect.

use std::sync::Mutex;
use std::time::Instant;

use chaos::history::{Answered, Bound, Event, Header, History, Mark, Op, Outcome, Proof};
use holdpoint_client::{
    CompleteError, Decided, Granted, Permit, Receipt, RedeemError, Redeemed, Refusal, Silence,
};
use holdpoint_receipt::{Digest, Reason};

/// Everybody asks as this caller.
const CALLER: &str = "dev";

/// A history that is being made.
pub(crate) struct Recording {
    began: Instant,
    events: Mutex<Vec<Event>>,
}

/// What a worker asks for, and when it began to.
pub(crate) struct Asked {
    op: Op,
    key: String,
    idem: String,
    /// Stands for the request digest: each attempt has a plan of its own, and nothing else differs.
    plan: Digest,
    permit: Option<String>,
    call_us: u64,
}

impl Recording {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            events: Mutex::default(),
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A worker is about to ask for a decision.
    pub(crate) fn asks(&self, key: &str, attempt: &str, plan: Digest) -> Asked {
        Asked {
            op: Op::Authorize,
            key: key.to_owned(),
            idem: attempt.to_owned(),
            plan,
            permit: None,
            call_us: self.now_us(),
        }
    }

    /// The worker that was granted `permit` is about to take its next step.
    pub(crate) fn goes_on(&self, granted: &Asked, op: Op, permit: &str) -> Asked {
        Asked {
            op,
            key: granted.key.clone(),
            // One guard redeems under one id.
            idem: format!("guard of {permit}"),
            plan: granted.plan,
            permit: Some(permit.to_owned()),
            call_us: self.now_us(),
        }
    }

    pub(crate) fn decided(&self, asked: &Asked, answer: &Result<Permit<Granted>, Refusal>) {
        let answer = match answer {
            Ok(permit) => Answered::Permit {
                permit: permit.id().to_string(),
                fence: permit.fence().get(),
                issued_at_ms: permit.issued_at().get(),
                expires_at_ms: permit.expires_at().get(),
                version: permit.policy_version().get(),
                receipt: permit.decision_receipt().map(proof),
            },
            Err(Refusal::Denied(denied)) => Answered::Deny {
                reason: denied.reason().to_string(),
                version: denied.policy_version().get(),
                receipt: Some(proof(denied.receipt())),
            },
            Err(Refusal::Silence(silence)) => silent(silence.decided(), silence),
        };
        self.note(asked, answer);
    }

    pub(crate) fn redeemed(&self, asked: &Asked, answer: &Result<Permit<Redeemed>, RedeemError>) {
        let answer = match answer {
            Ok(permit) => done(permit.receipt()),
            Err(RedeemError::Silence(open)) => silent(open.decided(), open.silence()),
            Err(error) => refused(error.reason()),
        };
        self.note(asked, answer);
    }

    pub(crate) fn completed(&self, asked: &Asked, answer: &Result<Receipt, CompleteError>) {
        let answer = match answer {
            Ok(receipt) => done(receipt),
            Err(CompleteError::Silence(open)) => silent(open.silence().decided(), open.silence()),
            Err(error) => refused(error.reason()),
        };
        self.note(asked, answer);
    }

    fn note(&self, asked: &Asked, answer: Answered) {
        let event = Event {
            client: CALLER.to_owned(),
            op: asked.op,
            namespace: "default".to_owned(),
            key: Some(asked.key.clone()),
            permit: asked.permit.clone(),
            digest: Some(asked.plan.to_string()),
            idem: Some(asked.idem.clone()),
            amount: None,
            outcome: (asked.op == Op::Complete).then_some(Outcome::Committed),
            bundle: None,
            leaf: None,
            call_us: asked.call_us,
            return_us: self.now_us(),
            node: None,
            answer,
        };
        self.events.lock().unwrap().push(event);
    }

    /// The leader was killed.
    pub(crate) fn killed(&self, node: u64) -> Mark {
        Mark::Fault {
            name: "kill".to_owned(),
            at_us: self.now_us(),
            proof: format!("the process of node {node}, which led, was killed and reaped"),
        }
    }

    /// All nodes run again.
    pub(crate) fn healed(&self) -> Mark {
        Mark::Healed {
            at_us: self.now_us(),
        }
    }

    /// What was recorded, of a run that `reproduce` makes again.
    pub(crate) fn history(&self, reproduce: &str, marks: Vec<Mark>) -> History {
        let bounds = [("workspace".to_owned(), Bound::Exclusive {})];
        let mut header = Header::new(reproduce, &[], bounds.into());
        header.faults = vec!["kill".to_owned()];
        // One namespace, whose policy was activated before the race, and no reads.
        header.not_asked = vec!["isolated".to_owned()];
        header.demands.activations_min = 0;
        History {
            header,
            events: std::mem::take(&mut self.events.lock().unwrap()),
            marks,
        }
    }
}

fn proof(receipt: &Receipt) -> Proof {
    let statement = receipt.statement();
    Proof {
        leaf: statement.place.leaf_index(),
        hash: statement.receipt_hash().to_string(),
        at_ms: statement.issued_at.get(),
        // The client believes no other.
        verifies: true,
    }
}

fn done(receipt: &Receipt) -> Answered {
    Answered::Done {
        version: None,
        receipt: Some(proof(receipt)),
    }
}

fn refused(reason: Reason) -> Answered {
    Answered::Refused {
        reason: reason.to_string(),
    }
}

fn silent(decided: Decided, silence: &Silence) -> Answered {
    match decided {
        Decided::Unknown => Answered::Timeout {},
        Decided::Never => Answered::Error {
            reason: silence.to_string(),
        },
    }
}
