//! Every maximum of the process, with its reason.
//!
//! Limits of the state machine are in `holdpoint-core`, of a group of nodes in `holdpoint-raft`.

use std::time::Duration;

use holdpoint_core::limits::{BUNDLE_BYTES_MAX, REQUEST_BYTES_MAX, WAIT_OFFER_MS};

/// The wait of a request that names none.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(5);

/// The longest wait that a request may name.
pub const DEADLINE_MAX: Duration = Duration::from_mins(1);

/// How long a request waits for the cluster to have a leader before it is told that there is none.
///
/// As long as an election usually takes, so that a client rarely sees one.
pub const LEADER_WAIT: Duration = Duration::from_secs(2);

/// Attempts that wait for a decision at once. More are refused before anything is evaluated, and fewer
/// where so many would be late (`admit`).
///
/// Four clients with a thousand requests in flight each, at most 128 KiB a request.
pub const ASKING_MAX: usize = 4_096;

/// Redeems, completions and revocations that wait at once.
///
/// They have places of their own: a crowd that asks for new permits must never keep the holder of
/// a permit from settling it.
pub const SETTLING_MAX: usize = 2_048;

/// Calls that are held while their attempts wait for bounds. They hold none of [`ASKING_MAX`].
pub const WAITING_MAX: usize = 4_096;

/// How long an attempt keeps its place in the queues of its bounds after the last call that waited for
/// it has ended: long enough for a client to ask again.
pub const LEFT_FOR: Duration = Duration::from_secs(5);

/// The same for attempts that waited at an earlier leader. A client whose leader stands still notices
/// after up to 7 seconds, and has to find the next one then.
pub const RETURN_FOR: Duration = Duration::from_millis(WAIT_OFFER_MS);

/// How often the leader looks whether time alone has brought something about.
pub const HOUSEKEEPING: Duration = Duration::from_millis(100);

/// Streams of statements that one node serves at once.
pub const WATCHING_MAX: usize = 256;

/// Messages of one such stream that its client has not taken yet. Beyond it nothing is read.
pub const WATCH_AHEAD_MAX: usize = 32;

/// Statements that one such stream reads at once.
pub const WATCH_BATCH_MAX: u64 = 256;

/// The same for streams with receipts, each of which is made.
pub const WATCH_RECEIPTS_MAX: u64 = 32;

/// Exports of the log at once.
pub const EXPORTING_MAX: usize = 8;

/// Messages of an export that its client has not taken yet. Beyond it nothing is read.
pub const EXPORT_AHEAD_MAX: usize = 4;

/// Leaves that one message of an export has.
pub const EXPORT_BATCH_MAX: u64 = 1_024;

/// Bytes of statements after which such a message ends.
pub const EXPORT_BYTES_MAX: usize = 256 * 1024;

/// Leaves that one page of decisions looks at.
pub const DECISIONS_SCANNED_MAX: u64 = 4_096;

/// Decisions that wait for shadows to be asked about them. Beyond it they are skipped, and counted.
pub const SHADOW_QUEUE_MAX: usize = 1_024;

/// Differences that are kept of one shadow, the newest.
pub const SHADOW_DIFFERENCES_MAX: usize = 100;

/// Leaves that the audit of verdicts looks at before it looks at other namespaces.
pub const AUDIT_BATCH_MAX: u64 = 64;

/// Entries of the log whose decisions wait in memory to be audited, and their bytes in the log. What
/// comes beyond either is read from the state instead.
pub const AUDIT_FRESH_ENTRIES_MAX: usize = 1_024;
/// See [`AUDIT_FRESH_ENTRIES_MAX`].
pub const AUDIT_FRESH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Disputes that a node has found and not told the leader yet. Beyond it nothing else is audited.
pub const DISPUTES_FOUND_MAX: usize = 1_024;

/// Disputes that a node tells at once, and that a leader puts into the log at once.
pub const DISPUTES_TOLD_MAX: usize = 16;

/// Disputes that a leader has been told and not put into the log yet. Whoever disputes more repeats it.
pub const DISPUTES_ASKED_MAX: usize = 256;

/// Reads and policy changes that wait at once.
pub const READING_MAX: usize = 512;

/// Requests in flight on one `AuthorizeStream`. One more is refused, so that a single client cannot take
/// every place.
pub const STREAM_IN_FLIGHT_MAX: usize = 2_048;

/// Client connections open at once. More wait in the listener's queue.
pub const CONNECTIONS_MAX: usize = 1_024;

/// Connections of HTTP/1.1 among them. More are closed: whoever reads the public log comes again, and
/// must never take the places of those who ask for decisions.
pub const HTTP_CONNECTIONS_MAX: usize = 256;

/// Reads for HTTP/1.1 at once. More are told to come again.
pub const HTTP_READING_MAX: usize = 64;

/// How long such a read may take.
pub const HTTP_READ_WAIT: Duration = Duration::from_secs(5);

/// How long a connection may take to show what it speaks.
pub const OPENING_WAIT: Duration = Duration::from_secs(10);

/// How long a client of HTTP/1.1 may take for the head of its next request.
pub const HTTP_HEADER_WAIT: Duration = Duration::from_secs(10);

/// The longest head of a request of HTTP/1.1.
pub const HTTP_HEADER_BYTES_MAX: usize = 16 * 1024;

/// Witnesses that a cluster file may list.
pub const WITNESSES_MAX: usize = 8;

/// How often a witness is asked to sign the newest proven head.
pub const WITNESS_PERIOD: Duration = Duration::from_secs(1);

/// How long it may take to answer. It keeps nobody else waiting.
pub const WITNESS_WAIT: Duration = Duration::from_secs(5);

/// The longest answer that is read.
pub const WITNESS_ANSWER_BYTES_MAX: usize = 16 * 1024;

/// For how long a head that a witness signed is shown although a newer one is proven.
pub const WITNESSED_FOR: Duration = Duration::from_secs(5);

/// Connections that a witness serves at once. More wait in the listener's queue.
pub const WITNESS_CONNECTIONS_MAX: usize = 64;

/// How long the body of what is submitted to a witness may take.
pub const WITNESS_BODY_WAIT: Duration = Duration::from_secs(10);

/// Streams that one connection may have open at once.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 2_048;

/// The largest message of the gate's service: a full request in any spelling, and what goes with it.
pub const GATE_MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// The largest message of the policy's service: a bundle of 384 KiB with its paths and framing.
pub const POLICY_MESSAGE_BYTES_MAX: usize = 512 * 1024;

/// Policy evaluations that run at once. They use the processor only, so more would not be faster.
pub const EVALUATIONS_MAX: usize = 4;

/// Threads that read the state. Reads that miss the cache wait for the disk.
pub const READERS: usize = 2;

/// Times that an attempt is evaluated before the gate gives up because policy or facts keep moving.
pub const EVALUATIONS_PER_ATTEMPT_MAX: u32 = 3;

/// Compiled policies kept at once: the one in force, and its neighbours while it is being replaced.
pub const COMPILED_POLICIES_MAX: usize = 4;

/// The longest sentence that is made of what policies say to people.
pub const SENTENCE_BYTES_MAX: usize = 1_024;

/// Receipts that wait for one signature.
pub const SIGN_QUEUE_MAX: usize = ASKING_MAX + SETTLING_MAX + READING_MAX + WATCHING_MAX;

/// Receipts that one signature serves at once.
pub const SIGN_BATCH_MAX: usize = 1_024;

/// The longest cluster file.
pub const CLUSTER_FILE_BYTES_MAX: u64 = 256 * 1024;

/// How long the requests that are being answered may take once the node is told to stop.
pub const DRAIN: Duration = Duration::from_secs(5);

/// How long connections may take to close once everything is answered.
pub const CLOSE: Duration = Duration::from_millis(500);

/// How long a process that exits waits until its databases are closed.
pub const RELEASE: Duration = Duration::from_secs(5);

const _: () = assert!(DEADLINE_DEFAULT.as_millis() <= DEADLINE_MAX.as_millis());
const _: () = assert!(AUDIT_BATCH_MAX > 0, "the audit gets on");
const _: () = assert!(
    STREAM_IN_FLIGHT_MAX * 2 <= ASKING_MAX,
    "one stream leaves half of the places to others"
);
const _: () = assert!(
    HTTP_CONNECTIONS_MAX * 2 <= CONNECTIONS_MAX,
    "most places are left to those who ask for decisions"
);
const _: () = assert!(
    BUNDLE_BYTES_MAX < POLICY_MESSAGE_BYTES_MAX,
    "a full bundle fits a message"
);
const _: () = assert!(
    REQUEST_BYTES_MAX < GATE_MESSAGE_BYTES_MAX,
    "a full request fits a message"
);
