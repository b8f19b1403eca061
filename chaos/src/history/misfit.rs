//! Which events can be: every member that the operation needs, and an answer to its question.
//!
//! It never asks whether an answer is true, only whether it is one.

use super::{Answered, Event, Op};

/// Why an event is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The operation needs a member that is not there.
    #[error("`{op}` has no `{member}`: add what the client asked for")]
    Missing {
        /// The operation.
        op: &'static str,
        /// The member.
        member: &'static str,
    },
    /// The answer is none to this question.
    #[error(
        "`{answer}` is no answer to `{op}`: a lost answer is `timeout`, one without effect `error`"
    )]
    Answer {
        /// The operation.
        op: &'static str,
        /// The answer.
        answer: &'static str,
    },
    /// Time ran backward.
    #[error("`return_us` {return_us} lies before `call_us` {call_us}: both are of one clock")]
    Times {
        /// When it was asked.
        call_us: u64,
        /// When it was answered.
        return_us: u64,
    },
    /// A permit that never lives.
    #[error("permit `{permit}` expires at {expires_at_ms}, not after its issue at {issued_at_ms}")]
    Life {
        /// The permit.
        permit: String,
        /// From when on it lives.
        issued_at_ms: u64,
        /// Until when.
        expires_at_ms: u64,
    },
    /// A digest that is none.
    #[error("`{member}` `{text}` is no digest: give 64 lower-case hexadecimal digits")]
    Digest {
        /// The member.
        member: &'static str,
        /// What stands there.
        text: String,
    },
}

impl Event {
    /// Whether every member is there and fits the others.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn check(&self) -> Result<(), Misfit> {
        if self.return_us < self.call_us {
            return Err(Misfit::Times {
                call_us: self.call_us,
                return_us: self.return_us,
            });
        }
        self.check_members()?;
        self.check_answer()?;
        self.check_digests()
    }

    fn check_members(&self) -> Result<(), Misfit> {
        let (key, permit) = (self.key.is_some(), self.permit.is_some());
        let (digest, idem) = (self.digest.is_some(), self.idem.is_some());
        let needed: &[(&'static str, bool)] = match self.op {
            Op::Authorize => &[("key", key), ("digest", digest), ("idem", idem)],
            Op::Redeem => &[
                ("key", key),
                ("permit", permit),
                ("digest", digest),
                ("idem", idem),
            ],
            Op::Complete => &[
                ("key", key),
                ("permit", permit),
                ("outcome", self.outcome.is_some()),
            ],
            Op::Revoke => &[("key", key), ("permit", permit)],
            Op::Activate => &[("bundle", self.bundle.is_some())],
            Op::Read => match self.answer {
                Answered::State { .. } => &[("key", key), ("permit", permit)],
                Answered::Absent {} => &[("permit` or `leaf", permit || self.leaf.is_some())],
                _ => &[],
            },
        };
        match needed.iter().find(|(_, is_there)| !is_there) {
            Some((member, _)) => Err(Misfit::Missing {
                op: self.op.as_str(),
                member,
            }),
            None => Ok(()),
        }
    }

    fn check_answer(&self) -> Result<(), Misfit> {
        let fits = match &self.answer {
            Answered::Timeout {} | Answered::Error { .. } => true,
            Answered::Permit {
                permit,
                issued_at_ms,
                expires_at_ms,
                ..
            } => {
                if issued_at_ms >= expires_at_ms {
                    return Err(Misfit::Life {
                        permit: permit.clone(),
                        issued_at_ms: *issued_at_ms,
                        expires_at_ms: *expires_at_ms,
                    });
                }
                self.op == Op::Authorize
            }
            Answered::Deny { .. } => self.op == Op::Authorize,
            Answered::Done { version, .. } => match self.op {
                Op::Activate => version.is_some(),
                Op::Redeem | Op::Complete | Op::Revoke => version.is_none(),
                Op::Authorize | Op::Read => false,
            },
            Answered::Refused { .. } => !matches!(self.op, Op::Authorize | Op::Read),
            Answered::State { .. }
            | Answered::Absent {}
            | Answered::Version { .. }
            | Answered::Leaf { .. }
            | Answered::Head { .. } => self.op == Op::Read,
        };
        if fits {
            return Ok(());
        }
        Err(Misfit::Answer {
            op: self.op.as_str(),
            answer: self.answer.as_str(),
        })
    }

    fn check_digests(&self) -> Result<(), Misfit> {
        let answered = match &self.answer {
            Answered::Leaf { hash, .. } => Some(("hash", hash)),
            Answered::Head { root, .. } => Some(("root", root)),
            answer => answer.receipt().map(|receipt| ("hash", &receipt.hash)),
        };
        let asked = [
            self.digest.as_ref().map(|text| ("digest", text)),
            self.bundle.as_ref().map(|text| ("bundle", text)),
            answered,
        ];
        for (member, text) in asked.into_iter().flatten() {
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if text.len() != 64 || !text.bytes().all(is_digit) {
                return Err(Misfit::Digest {
                    member,
                    text: text.clone(),
                });
            }
        }
        Ok(())
    }
}
