//! Asks the gate before an irreversible action, and believes nothing that it has not checked.
//!
//! ```no_run
//! use holdpoint_client::{Gate, NothingHappened, Operation, Permit, Redeemed, Refusal};
//!
//! # async fn transfer(permit: &Permit<Redeemed>) -> Result<(), NothingHappened> { Ok(()) }
//! # async fn pay() -> Result<(), Box<dyn std::error::Error>> {
//! // Any subset of the nodes; the rest is learned.
//! let gate = Gate::connect(["127.0.0.1:7411", "127.0.0.1:7421"]).await?;
//! let operation = Operation::new("payment.execute")
//!     .param("amount_minor", 1250)
//!     .param("invoice", "INV-7")
//!     .key("INV-7/attempt-1");
//! match gate.authorize(&operation).await {
//!     Ok(permit) => {
//!         let redeemed = permit.redeem().await?; // the commit point; consumes the permit
//!         let result = transfer(&redeemed).await; // cannot be called without a redeemed permit
//!         redeemed.complete(result.into()).await?;
//!     }
//!     // A decision: the reason, a receipt, and when a new attempt can succeed.
//!     Err(Refusal::Denied(denied)) => println!("{denied}"),
//!     // No decision, or none that is known. The same operation again is a retry.
//!     Err(Refusal::Silence(silence)) => println!("{silence}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! * [`Gate::authorize`] repeats one attempt, with the same idempotency key, at one node after another
//!   until the deadline. A dead or black-holed node costs the first call a share of its deadline, and
//!   later calls nothing.
//! * A [`Permit`] is a guard. [`Permit::redeem`] consumes a `Permit<Granted>` and gives a
//!   `Permit<Redeemed>`; only that can be committed or aborted. Nothing answers with a boolean.
//! * Every receipt is verified on this host, and compared with the very request that was asked, before
//!   anything in the answer is believed.
//! * What is not known is not guessed: an error that leaves something open says so, and holds what is
//!   needed to find out.
//!
//! Code that uses it is tested with a gate in memory: the feature `testkit` has it.
//!
//! This crate never invents a permit, never changes a request between two submissions of an attempt,
//! never persists anything, and never trusts a node's word where a receipt could prove it. It cannot
//! see what an executor really does: the executor's honesty about its bytes
//! ([`Permit::redeem_with`]) is its own.

mod allowance;
mod approvals;
mod attempt;
mod authorize;
mod believe;
mod call;
mod clock;
mod connection;
mod endpoints;
mod erase;
mod failure;
mod fault;
mod gate;
mod history;
mod info;
mod keys;
mod log;
mod members;
mod operate;
mod operation;
mod outcome;
mod permit;
mod permits;
mod pinned;
mod policy;
mod random;
mod read;
mod refusal;
mod retry;
mod status;
mod steps;
mod story;
mod stream;
#[cfg(feature = "testkit")]
pub mod testkit;
#[cfg(not(feature = "testkit"))]
#[path = "no_testkit.rs"]
mod testkit;
mod watch;

pub use approvals::{
    Approval, ApprovalAnswer, ApprovalState, ApprovalSubject, Approvals, MissingApproval,
    PendingRequest, SubjectBytes,
};
pub use authorize::Authorize;
pub use believe::{AnswerError, Receipt};
pub use endpoints::{Address, AddressError};
pub use erase::{Erasure, ErasureAnswer};
pub use failure::Refused;
pub use fault::{Decided, Fault, NodeFault};
pub use gate::{
    ATTEMPT_FOR_DEFAULT, ATTEMPT_FOR_MAX, CallError, ConnectError, DEADLINE_DEFAULT, DEADLINE_MAX,
    Gate, GateBuilder,
};
pub use history::{
    DecidingPolicy, DecisionOf, DecisionPage, ErasedDecision, Explanation, RecordedDecision,
    UsedApproval,
};
pub use info::{Bound, PermitInfo, PermitState};
pub use keys::{KeyList, KeyMark, KeysChanged, NodeKeys, NodeSigning, SignerEpoch};
pub use log::{LogExport, LogHead, LogLeaf, LogProof};
pub use members::{MemberChange, MembersAnswer};
pub use operate::{Changed, ClosedSession, FreezeAnswer, Retention, RetentionReading};
pub use operation::{Operation, OperationError, ParamValue};
pub use outcome::{NothingHappened, Outcome};
pub use permit::{
    AdoptError, CompleteError, CompleteSilence, Granted, Permit, PermitHandle, PermitReading,
    RedeemError, RedeemSilence, Redeemed,
};
pub use permits::{PermitFilter, Permits};
pub use policy::{
    Activation, ActivationMode, ActivationOutcome, BundleFile, PendingActivation, PolicyActivated,
    PolicyBundle, PolicyList, PolicyPut, PutPolicyError, ShadowDifference, ShadowReport,
    StoredPolicy,
};
pub use random::RandomnessError;
pub use read::{OperationReading, ReceiptOf};
pub use refusal::{
    AttemptName, Denied, Refusal, RefusedBound, Silence, SilenceCause, WaitingPlace,
};
pub use status::{
    AuditReport, ClusterStatus, Member, NodeAnswer, NodeReport, PolicyInForce, Reach, StatusError,
    WitnessReport,
};
pub use story::{Disclosed, Opening, Story};
pub use watch::{Watch, WatchEnded, WatchFilter, Watched};

/// Compiles the snippets of the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
