//! Every maximum and every period of this crate, named once, with its reason.

use std::time::Duration;

/// Commands that wait for their outcome at once. One more is refused as overloaded: it was never
/// appended. Sixteen full entries keep the pipeline busy.
pub const PROPOSALS_MAX: usize = 16 * ENTRY_COMMANDS_MAX;

/// Commands in one log entry.
pub const ENTRY_COMMANDS_MAX: usize = holdpoint_core::limits::ENTRY_COMMANDS_MAX;

/// Encoded bytes of one log entry.
pub const ENTRY_BYTES_MAX: usize = holdpoint_core::limits::ENTRY_BYTES_MAX;

/// How long a command waits for company while an earlier entry is on its way. With none on its way
/// it does not wait at all.
pub const LINGER: Duration = Duration::from_millis(1);

/// Entries proposed and not yet answered. Beyond it the batcher stops taking commands, so that
/// [`PROPOSALS_MAX`] is what callers meet.
pub const ENTRIES_IN_FLIGHT_MAX: usize = 64;

/// Read-index calls that wait at once. They share rounds, so this bounds memory and not work.
pub const READS_MAX: usize = 16_384;

/// The longest that any call on a group may wait.
pub const WAIT_MAX: Duration = Duration::from_mins(1);

/// Period of heartbeats. On networks better than a test machine's, 100 ms does.
pub const HEARTBEAT: Duration = Duration::from_millis(200);

/// The shortest election time-out.
pub const ELECTION_MIN: Duration = Duration::from_millis(600);

/// The longest election time-out; a leader's lease lasts as long.
pub const ELECTION_MAX: Duration = Duration::from_millis(1_200);

/// Entries applied since the last snapshot that make the next one due.
pub const SNAPSHOT_ENTRIES: u64 = 50_000;

/// Bytes of entries applied since the last snapshot that make the next one due.
pub const SNAPSHOT_BYTES: u64 = 256 * 1024 * 1024;

/// Entries kept behind a snapshot, so that a node that was away for a moment needs no snapshot.
pub const ENTRIES_KEPT: u64 = 10_000;

/// Bytes of one replication request, unless its one entry is longer.
pub const APPEND_BYTES_MAX: usize = 1024 * 1024;

/// Entries of one replication request.
pub const APPEND_ENTRIES_MAX: u64 = 256;

/// Memory for the recent log, kept for followers and apply: as bytes and decoded. What is not yet on disk
/// stays in any case.
pub const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of one frame between nodes: a full replication request and room for its envelope.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a file in one part of a snapshot.
pub const SNAPSHOT_CHUNK_BYTES: usize = 256 * 1024;

/// Bytes that a receiver lets a peer send ahead on one stream.
pub const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Bytes that a receiver lets a peer send ahead on one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// How long a connection to a peer may take to stand.
pub const CONNECT: Duration = Duration::from_millis(500);

/// How long one question to a peer may take.
pub const ASK: Duration = Duration::from_millis(600);

/// How long one answer inside a replication stream may take. openraft bounds none.
pub const APPEND_ANSWER: Duration = Duration::from_millis(1_500);

/// How long a peer may take over one part of a snapshot, and, at its end, over installing it.
pub const SNAPSHOT_STEP: Duration = Duration::from_mins(1);

/// Questions of other nodes in work at once, beside the log. One more is refused, and has had no effect.
pub const NODE_QUESTIONS_MAX: usize = 256;

/// Questions to other nodes that wait for their answer at once.
pub const NODE_QUESTIONS_ASKED_MAX: usize = 256;

/// How long this node may take over a question of another.
pub const NODE_ANSWER: Duration = Duration::from_secs(10);

/// Bytes of the proof in a snapshot.
pub const PROOF_BYTES_MAX: usize = 1024 * 1024;

/// Entries that a learner may lack to become a voter.
pub const PROMOTION_LAG_MAX: u64 = 256;

/// Silence of a member, in longest election time-outs, after which it does not count as there when the
/// set of voters changes.
pub const SILENT_AFTER_ELECTIONS: u32 = 2;

/// How often a leader tries to finish a change of the membership that an earlier one left half way.
pub const FINISHING_PERIOD: Duration = Duration::from_millis(200);

/// How long each such try may take.
pub const FINISHING: Duration = Duration::from_secs(5);

/// How often a change that waits for a learner looks how far it is.
pub const CATCH_UP_PERIOD: Duration = Duration::from_millis(20);

/// How often a node without data repeats its greeting while it waits for the others.
pub const GREETING_PERIOD: Duration = Duration::from_millis(200);

/// The longest that a node with data pauses between greetings to those that have not answered.
pub const GREETING_PERIOD_MAX: Duration = Duration::from_secs(5);

/// How long a node without data waits for the others before it says for whom.
pub const WAITING_TOLD_AFTER: Duration = Duration::from_secs(2);

/// How often it says that again.
pub const WAITING_TOLD_PERIOD: Duration = Duration::from_secs(30);

/// How long a node with data waits for the answers to its greeting before it takes part.
pub const GREETING_WAIT: Duration = Duration::from_millis(800);

/// How often a leader reads the voters' wall clocks.
pub const CLOCK_PERIOD: Duration = Duration::from_secs(1);

/// How soon a leader reads them again while no majority has answered.
pub const CLOCK_RETRY: Duration = Duration::from_millis(50);

/// Age up to which a reading of a voter's wall clock counts.
pub const CLOCK_READING_AGE: Duration = Duration::from_secs(5);

/// How far a leader's wall clock may be from the voters' median before it stops granting.
pub const SKEW_MS_MAX: u64 = holdpoint_core::limits::SKEW_MS_MAX;

/// How near to the median a voter's clock is to be for a leader whose own is off to let it lead.
/// Below the skew, so that leadership does not wander between clocks at its edge.
pub const SKEW_MS_NEAR: u64 = SKEW_MS_MAX / 2;

/// Part of the elapsed time by which steering may correct, in thousandths: 50 ms a second.
pub const STEERING_PER_MILLE: u32 = 50;

/// Pace of cluster time while it leads the voters' clocks by more than the skew, in thousandths of
/// real time. It may not go back, so it waits for them; that it does not stand still lets what is held
/// come free some day even if the clocks are wrong.
pub const LEADING_PER_MILLE: u32 = 100;

/// How far a majority's clocks must be ahead for a step of time: a gap that steering would take too
/// long to close, 20 s at its pace.
pub const STEP_FROM_MS: u64 = 1_000;

/// Entries without commands that one entry may need before it, to make up for a time without any where
/// a majority's clocks do not vouch for a step. With more to make up, a leader waits for them.
pub const CATCH_UP_ENTRIES_MAX: u64 = 24;

/// Rounds of readings in a row that must find a leader's clock off before it lets another voter lead.
/// It tries again after twice as many, and so on.
pub const CLOCK_HANDOVER_ROUNDS: u32 = 3;

/// How often a leader repeats in its log what is wrong with the clocks.
pub const CLOCK_TOLD_PERIOD: Duration = Duration::from_mins(1);

/// How long handing leadership over may take.
pub const HANDOVER: Duration = Duration::from_secs(2);

/// How long the rest of a shutdown may take.
pub const STOP: Duration = Duration::from_secs(5);

const _: () = assert!(
    APPEND_BYTES_MAX + ENTRY_BYTES_MAX < FRAME_BYTES_MAX,
    "a request fits a frame"
);
const _: () = assert!(
    PROOF_BYTES_MAX * 2 < FRAME_BYTES_MAX,
    "the head of a snapshot fits a frame"
);
const _: () = assert!(
    SNAPSHOT_CHUNK_BYTES < FRAME_BYTES_MAX,
    "a part of a snapshot fits a frame"
);
const _: () = assert!(
    HEARTBEAT.as_millis() * 3 <= ELECTION_MIN.as_millis(),
    "two heartbeats may be lost"
);
const _: () = assert!(
    ELECTION_MIN.as_millis() < ELECTION_MAX.as_millis(),
    "there is something to draw"
);
const _: () = assert!(
    STEERING_PER_MILLE < 1_000 && LEADING_PER_MILLE < 1_000,
    "cluster time never goes back"
);
const _: () = assert!(
    STEP_FROM_MS > 2 * SKEW_MS_MAX - 1,
    "clocks within the skew of each other make no step"
);
