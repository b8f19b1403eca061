//! Every maximum of the state machine, with its reason.
//!
//! Changing one that [`crate::judge()`] compares with changes what a command means, so nodes of
//! different builds would drift apart: such a change needs a new command kind and a feature level.

use crate::command::Retention;
use holdpoint_receipt::{Actor, Fence, Name};

/// Commands in one entry. Beyond about this many, the processor is the limit and not the disk.
pub const ENTRY_COMMANDS_MAX: usize = 1_024;

/// Encoded bytes of one entry.
pub const ENTRY_BYTES_MAX: usize = 512 * 1024;

/// Bytes that decoding one value may claim. A guard against lengths that lie, above everything that
/// this crate encodes: a whole number claims its eight bytes also where it takes one, so an entry of
/// small numbers claims eight times its length. Were this less, entries could be committed that no
/// node can read.
pub const DECODE_BYTES_MAX: usize = 8 * ENTRY_BYTES_MAX;

/// Items of one encoded list. A longer one is neither written nor read.
pub const LIST_ITEMS_MAX: usize = 4_096;

/// Canonical bytes of one request: parameters of 64 KiB and the fields around them.
pub const REQUEST_BYTES_MAX: usize = holdpoint_receipt::request::REQUEST_BYTES_MAX;

/// Permits that one request may name as prerequisites.
pub const PREREQUISITES_MAX: usize = holdpoint_receipt::request::PREREQUISITES_MAX;

/// Bytes of one policy bundle.
pub const BUNDLE_BYTES_MAX: usize = 384 * 1024;

/// Bundles that one namespace keeps. Retention of bundles is a later feature; until then this
/// bounds what puts can fill.
pub const BUNDLES_MAX: u64 = 1_024;

/// Surfaces of one bundle.
pub const SURFACES_MAX: usize = 1_024;

/// Actions of one surface.
pub const ACTIONS_MAX: usize = 64;

/// Bounds of one surface, and so claims of one request: as many as a statement can name.
pub const BOUNDS_MAX: usize = holdpoint_receipt::statement::BOUNDS_MAX;

/// Executors that one surface names.
pub const EXECUTORS_MAX: usize = 64;

/// Codes, and ids of policies, that one decision names.
pub const POLICIES_MAX: usize = 64;

/// Bytes of one code, one policy id, one key template.
pub const WORD_BYTES_MAX: usize = 512;

/// The farthest that `not_after` may lie ahead: the retry horizon.
pub const RETRY_HORIZON_MS: u64 = 10 * 60 * 1_000;

/// The largest skew between wall clocks that the cluster tolerates.
pub const SKEW_MS_MAX: u64 = 500;

/// How far beyond the retry horizon `not_after` is still accepted: callers count from their own
/// clock, and cluster time may trail it by the largest skew and by what one entry may catch up.
pub const HORIZON_SLACK_MS: u64 = SKEW_MS_MAX + ENTRY_STEP_MS_MAX;

/// How long a record of an attempt is kept after its `not_after`: the largest skew, and a margin
/// for clients that count their deadline from the answer.
pub const ATTEMPT_KEPT_MS: u64 = SKEW_MS_MAX + 60 * 1_000;

/// The age up to which an evaluation counts as current.
pub const FACT_AGE_MS_MAX: u64 = 1_000;

/// The farthest that one entry moves cluster time. Larger steps are [`crate::command::StepTime`].
pub const ENTRY_STEP_MS_MAX: u64 = 5_000;

/// The shortest life of a permit.
pub const PERMIT_FOR_MS_MIN: u64 = 1_000;

/// The longest life of a permit.
pub const PERMIT_FOR_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// The longest time from its redemption until a permit is in doubt. Longer than a permit's life,
/// because effects such as large exports are.
pub const COMPLETE_WITHIN_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1_000;

/// Voters of a cluster.
pub const VOTERS_MAX: usize = 31;

/// Nodes that a cluster knows, voters or not, now or earlier.
pub const NODES_MAX: usize = 1_024;

/// The largest epoch of a cluster history.
pub const EPOCH_MAX: u64 = Fence::EPOCH_MAX;

/// Epochs of one namespace's log: changes of who signs its heads. A published key set holds them all
/// for ever, because an old receipt needs the keys of its time, and every change reads and hashes the
/// whole set.
///
/// At three changes a month this is 28 years. At the end nobody can change keys any more: announcements
/// are refused, and a change of membership goes on under the last epoch's signers.
pub const EPOCHS_MAX: u64 = 1_024;

/// The last of them, which only announcements and changes of membership may open: so that nodes can
/// still be replaced where an operator has used up all others.
pub const EPOCHS_KEPT_BACK: u64 = 64;

/// Marks on compromised keys in one namespace's log; a published key set holds them all.
pub const KEY_REVOCATIONS_MAX: usize = 1_024;

/// Expired permits that one entry lets go in a namespace for each of its commands there, besides
/// those that the commands meet. More than one, so that a backlog shrinks.
pub const EXPIRIES_PER_COMMAND: usize = 2;

/// Expired permits that one activation lets go. Beyond it the activation is refused and the next
/// attempt continues.
pub const ACTIVATION_EXPIRIES_MAX: usize = 1_000;

/// Rows of each kind that one sweep looks at.
pub const SWEEP_ROWS_MAX: usize = 256;

/// Expired permits that one claim lets go, so that it fits. Beyond it the next evaluation continues.
pub const CLAIM_EXPIRIES_MAX: usize = 256;

/// Issued permits that one refusal looks at, to say when enough of a budget is free.
pub const RETRY_ROWS_MAX: usize = 64;

/// The largest limit of a capacity or a budget, and the largest amount: what JSON keeps exactly.
pub const AMOUNT_MAX: u64 = (1 << 53) - 1;

/// The shortest window of a budget.
pub const WINDOW_MS_MIN: u64 = 60 * 1_000;

/// The longest window of a budget.
pub const WINDOW_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1_000;

/// The shortest time for which a committed effect counts.
pub const ONCE_KEPT_MS_MIN: u64 = 60 * 60 * 1_000;

/// The longest, short of for ever.
pub const ONCE_KEPT_MS_MAX: u64 = 10 * 366 * 24 * 60 * 60 * 1_000;

/// The longest time in doubt after which bounds are released.
pub const RELEASE_AFTER_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1_000;

/// The longest time for which an approval counts.
pub const APPROVAL_FOR_MS_MAX: u64 = 90 * 24 * 60 * 60 * 1_000;

/// Quorums of one surface.
pub const QUORUMS_MAX: usize = 8;

/// Approvals that one verdict uses.
pub const APPROVALS_MAX: usize = 64;

/// Canonical bytes of what one quorum binds.
pub const SUBJECT_BYTES_MAX: usize = REQUEST_BYTES_MAX;

/// How long a request is listed for approval after it was asked last.
pub const PENDING_KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

/// Requests that one namespace lists for approval.
pub const PENDING_MAX: u64 = 10_000;

/// Bytes of the requests that one namespace lists for approval, and of what is to be approved for
/// them. Whoever may ask can fill it, so it is far less than as many requests of the largest size.
pub const PENDING_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How long asking again for the same approvals changes nothing, so that a polling client writes
/// little.
pub const PENDING_REFRESH_MS: u64 = 60 * 1_000;

/// How long the same approval again is taken for a retry of the first, if that counts or a permit has
/// spent it. Afterwards it is given anew: at least as long as a client waits for an answer.
pub const APPROVAL_REPEAT_MS: u64 = ATTEMPT_KEPT_MS;

/// Surfaces that operators have frozen: fewer than a bundle can have, because the list is read for each
/// decision. Whoever has to stop more freezes the namespace.
pub const FROZEN_SURFACES_MAX: usize = 256;

/// How long what a waiting attempt wants is kept for it once it is free: for a client whose leader
/// stands still, longer than it takes to notice that and to find the next leader.
///
/// Who has gone away is taken out sooner, by [`crate::command::LeaveQueue`].
pub const WAIT_OFFER_MS: u64 = 10_000;

/// Attempts that wait for one bounded operation.
pub const WAITERS_PER_OPERATION_MAX: usize = 1_024;

/// Attempts that wait in one namespace.
pub const WAITERS_MAX: u64 = 10_000;

/// Ended tickets that one command takes out of the queues on its way. Sweeps take out the others.
pub const WAITERS_MET_MAX: usize = 64;

/// Tickets that are read at once on the way to the oldest live one, which mostly is the first.
pub const QUEUE_PAGE_MAX: usize = 16;

/// Attempts that one command takes out of their queues.
pub const LEAVES_MAX: usize = 256;

/// Activations of a bundle that one attempt to delete it looks at. Beyond it the deletion is refused
/// and the next attempt continues.
pub const DELETE_ROWS_MAX: usize = 256;

/// Bundles that are evaluated beside the active one.
pub const SHADOWS_MAX: usize = 2;

/// Statements that record outcomes which contradict one permit's. Beyond it they are only counted.
pub const CONFLICTS_STATED_MAX: usize = 8;

/// The shortest retention: a permit's longest life, and until the last record of an attempt that
/// names it has gone.
pub const RETENTION_MS_MIN: u64 =
    PERMIT_FOR_MS_MAX + RETRY_HORIZON_MS + HORIZON_SLACK_MS + ATTEMPT_KEPT_MS;

/// The longest retention, short of for ever.
pub const RETENTION_MS_MAX: u64 = 100 * 366 * 24 * 60 * 60 * 1_000;

/// How long a new namespace keeps what has ended.
pub const RETENTION_DEFAULT: Retention = Retention {
    permits_ms: Some(90 * 24 * 60 * 60 * 1_000),
    disclosures_ms: Some(90 * 24 * 60 * 60 * 1_000),
    statements_ms: None,
    sessions_ms: Some(90 * 24 * 60 * 60 * 1_000),
};

/// Rows of one page of a listing.
pub const PAGE_MAX: usize = 1_000;

/// The feature level that a new cluster starts with.
pub const FEATURE_LEVEL_FIRST: u32 = 1;

/// The highest feature level that this build can apply.
pub const FEATURE_LEVEL_MAX: u32 = 1;

const _: () = assert!(
    BUNDLE_BYTES_MAX < ENTRY_BYTES_MAX,
    "a full bundle fits one entry"
);
const _: () = assert!(
    REQUEST_BYTES_MAX < ENTRY_BYTES_MAX,
    "a full request fits one entry"
);
const _: () = assert!(
    8 * ENTRY_BYTES_MAX <= DECODE_BYTES_MAX,
    "a full entry decodes"
);
const _: () = assert!(
    ENTRY_COMMANDS_MAX <= LIST_ITEMS_MAX,
    "a full entry's list decodes"
);
const _: () = assert!(
    ATTEMPT_KEPT_MS > SKEW_MS_MAX,
    "a late retry meets its record"
);
const _: () = assert!(
    PERMIT_FOR_MS_MIN < PERMIT_FOR_MS_MAX,
    "a permit can have a life"
);
const _: () = assert!(EPOCHS_KEPT_BACK < EPOCHS_MAX, "keys can be changed");
const _: () = assert!(
    EXPIRIES_PER_COMMAND > 1,
    "a backlog of expired permits shrinks"
);
const _: () = assert!(
    FEATURE_LEVEL_FIRST <= FEATURE_LEVEL_MAX,
    "this build starts a cluster"
);
const _: () = assert!(
    Name::BYTES_MAX <= u8::MAX as usize,
    "a namespace's length is one byte"
);
const _: () = assert!(
    Actor::BYTES_MAX <= WORD_BYTES_MAX,
    "every word of a request fits"
);
