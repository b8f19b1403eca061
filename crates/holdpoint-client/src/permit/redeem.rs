//! The commit point: a granted permit becomes a redeemed one.

use std::fmt;

use holdpoint_receipt::{Digest, PermitId, Reason};

use super::{Granted, Permit, PermitHandle, Redeemed, Watch, digest_with};
use crate::call::NoAnswer;
use crate::failure::Refused;
use crate::fault::Decided;
use crate::refusal::Silence;
use crate::steps::Redemption;

/// Why a permit is not redeemed by this guard. Nothing may be executed on any of these.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// The gate refused. The permit is gone as far as this guard is concerned; a new attempt takes
    /// a new key.
    #[error("the permit cannot be redeemed: {0}")]
    Refused(Refused),
    /// It is redeemed under the redemption id of this guard, and the right to act on that is not
    /// this guard's: another guard of the same redemption has it, or the redeem did not come from
    /// this process. Treat the permit as in doubt.
    #[error(
        "permit {0} is redeemed, but the right to act on it was handed out before: it is in doubt"
    )]
    InDoubt(PermitId),
    /// No answer came, or none that can be believed. [`RedeemSilence::retry`] asks again under the
    /// same redemption id.
    #[error(transparent)]
    Silence(RedeemSilence),
}

impl RedeemError {
    /// The reason, from the one registry.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Refused(refused) => refused.reason,
            Self::InDoubt(_) => Reason::AlreadyRedeemed,
            Self::Silence(open) => open.silence.reason(),
        }
    }
}

/// A redeem without an answer: the permit, and what is needed to find out.
///
/// If it is dropped, a permit that was redeemed stays in doubt.
#[derive(Debug)]
#[must_use = "a redeem without an answer may have been carried out; retry it"]
pub struct RedeemSilence {
    permit: Permit<Granted>,
    digest: Digest,
    silence: Silence,
}

impl RedeemSilence {
    /// Why there is no answer.
    #[must_use]
    pub const fn silence(&self) -> &Silence {
        &self.silence
    }

    /// Whether the permit may have been redeemed.
    #[must_use]
    pub fn decided(&self) -> Decided {
        if self.permit.stage.redemption.is_submitted() {
            Decided::Unknown
        } else {
            Decided::Never
        }
    }

    /// What names this redemption.
    #[must_use]
    pub fn handle(&self) -> PermitHandle {
        self.permit.handle()
    }

    /// Asks again under the same redemption id, which finds the redemption if there is one.
    ///
    /// # Errors
    ///
    /// As for [`Permit::redeem`].
    ///
    /// # Cancellation
    ///
    /// As for [`Permit::redeem`].
    pub async fn retry(self) -> Result<Permit<Redeemed>, RedeemError> {
        self.permit.redeem_as(self.digest).await
    }

    /// Gives it up without a warning, as [`Permit::set_aside`] does.
    pub fn set_aside(self) {
        self.permit.set_aside();
    }
}

impl fmt::Display for RedeemSilence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "permit {}: {}", self.permit.facts.id, self.silence)?;
        match self.decided() {
            Decided::Never => f.write_str("; it was not redeemed"),
            Decided::Unknown => f.write_str("; it may have been redeemed, a retry finds out"),
        }
    }
}

impl std::error::Error for RedeemSilence {}

impl Permit<Granted> {
    /// Redeems the permit for the request as it was granted: the commit point.
    ///
    /// Asks until the gate's deadline, always under this guard's redemption id. Where the request
    /// binds bytes by their digest, [`Permit::redeem_with`] is the one to use: it checks the bytes at
    /// hand.
    ///
    /// # Errors
    ///
    /// [`RedeemError::Refused`] is final. [`RedeemError::Silence`] may have redeemed the permit.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the redeem, and the guard with it. With a
    /// [`Permit::handle`] taken before, [`crate::Gate::resume`] goes on with the same redemption.
    pub async fn redeem(self) -> Result<Permit<Redeemed>, RedeemError> {
        let digest = self.facts.request_digest;
        self.redeem_as(digest).await
    }

    /// Redeems the permit for the bytes at hand: their digests take the place of the request's
    /// parameters `NAME_sha256`.
    ///
    /// If the bytes are not those that the permit was granted for, the gate refuses with
    /// `REQUEST_MISMATCH`.
    ///
    /// # Errors
    ///
    /// As for [`Permit::redeem`].
    ///
    /// # Cancellation
    ///
    /// As for [`Permit::redeem`].
    pub async fn redeem_with<N: AsRef<str>>(
        self,
        inputs: impl IntoIterator<Item = (N, Digest)>,
    ) -> Result<Permit<Redeemed>, RedeemError> {
        match digest_with(&self.facts.request, inputs) {
            Some(digest) => self.redeem_as(digest).await,
            None => Err(RedeemError::Refused(Refused {
                reason: Reason::RequestMismatch,
                sentence: "the bound inputs do not fit into the parameters of a request".to_owned(),
                decided: Decided::Never,
            })),
        }
    }

    async fn redeem_as(self, digest: Digest) -> Result<Permit<Redeemed>, RedeemError> {
        let redemption = &self.stage.redemption;
        let was_submitted = redemption.submitting();
        let answered = match self
            .gate
            .redeem_once(&self.facts, redemption.id(), digest)
            .await
        {
            Ok(answered) => answered,
            Err(NoAnswer::Refused(refused)) => {
                self.stage.watch.settled();
                return Err(RedeemError::Refused(refused));
            }
            Err(NoAnswer::Unanswered(unanswered)) => {
                if !was_submitted && unanswered.decided == Decided::Never {
                    redemption.had_no_effect();
                }
                let silence = Silence::unanswered(unanswered, None);
                let open = RedeemSilence {
                    permit: self,
                    digest,
                    silence,
                };
                return Err(RedeemError::Silence(open));
            }
        };
        let is_ours = was_submitted || answered.earlier == Decided::Unknown;
        let Redemption {
            receipt,
            complete_by,
            is_replay,
        } = answered.answer;
        let may_act = (is_ours || !is_replay) && redemption.take();
        self.stage.watch.settled();
        if !may_act {
            return Err(RedeemError::InDoubt(self.facts.id));
        }
        let stage = Redeemed {
            receipt,
            complete_by,
            watch: Watch::redeemed(self.facts.id),
        };
        Ok(Permit {
            facts: self.facts,
            gate: self.gate,
            stage,
        })
    }
}
