//! What a gate is made of.

use std::sync::Arc;
use std::time::Duration;

use holdpoint_receipt::keys::KeySetError;
use holdpoint_receipt::{Caller, KeySet, Name, NameError};
use tonic::metadata::{Ascii, MetadataValue};

use super::{
    ATTEMPT_FOR_DEFAULT, ATTEMPT_FOR_MAX, CallError, DEADLINE_DEFAULT, DEADLINE_MAX, Gate, Shared,
};
use crate::call::Nodes;
use crate::clock::Clock;
use crate::connection::{Connection, Connections};
use crate::endpoints::{Address, AddressError, Endpoints};
use crate::operation::NAMESPACE_DEFAULT;
use crate::pinned::{Pinned, Published};

/// The caller's name where connections are believed because they come from this machine.
const CALLER_DEFAULT: &str = "dev";
/// What the server puts before such a name.
const CALLER_SCHEME: &str = "loopback";

/// Why a gate could not be connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No endpoint was given.
    #[error("no endpoint was given; name at least one `host:port`")]
    NoEndpoint,
    /// An endpoint is not one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The namespace does not fit.
    #[error("`namespace`: {0}")]
    Namespace(NameError),
    /// The caller's name does not fit.
    #[error("`{0}` cannot be the name of a caller: give 1 to 240 printable ASCII characters")]
    Caller(String),
    /// A duration is beyond its limits.
    #[error("`{what}` must be more than 0 and at most {max:?}")]
    Duration {
        /// Which.
        what: &'static str,
        /// Its maximum.
        max: Duration,
    },
    /// The keys are those of another namespace.
    #[error("the keys are those of namespace `{keys}`, the gate is for `{gate}`")]
    KeysOfOther {
        /// The namespace of the keys.
        keys: Name,
        /// The namespace of the gate.
        gate: Name,
    },
    /// No node gave its keys.
    #[error("the verification keys could not be fetched: {0}")]
    Keys(CallError),
    /// What a node gave as its keys is no key set.
    #[error("what the node gave as verification keys is not a key set: {0}")]
    KeySet(#[from] KeySetError),
}

/// Says what a [`Gate`] is made of.
#[derive(Clone, Debug)]
pub struct GateBuilder {
    endpoints: Vec<String>,
    namespace: String,
    caller: String,
    keys: Option<KeySet>,
    deadline: Duration,
    attempt_for: Duration,
}

impl GateBuilder {
    pub(super) fn new() -> Self {
        Self {
            endpoints: Vec::new(),
            namespace: NAMESPACE_DEFAULT.to_owned(),
            caller: CALLER_DEFAULT.to_owned(),
            keys: None,
            deadline: DEADLINE_DEFAULT,
            attempt_for: ATTEMPT_FOR_DEFAULT,
        }
    }

    /// Adds nodes, `host:port` each. Any subset of the cluster will do; the rest is learned. The first
    /// one is asked first.
    #[must_use]
    pub fn endpoints<E: AsRef<str>>(mut self, endpoints: impl IntoIterator<Item = E>) -> Self {
        self.endpoints
            .extend(endpoints.into_iter().map(|one| one.as_ref().to_owned()));
        self
    }

    /// The namespace, `default` unless said.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The caller's name, `dev` unless said.
    ///
    /// It is believed only where the server accepts connections from its own machine as
    /// authenticated; the caller is then `loopback:NAME`.
    #[must_use]
    pub fn caller(mut self, name: impl Into<String>) -> Self {
        self.caller = name.into();
        self
    }

    /// The verification keys, from a file that came by a way you trust (`holdpoint keys export`).
    ///
    /// Without this, the keys are fetched once from the first node that answers. That is worth less: it
    /// detects damage, a mixed-up cluster, and a node that changes its story later, but not an impostor
    /// who was there from the first connection on. Either way everything rests on that set: later keys
    /// are taken only where enough nodes of the earlier ones have signed them over, and what no such
    /// signatures reach ends in SILENCE with `RECEIPT_INVALID`.
    #[must_use]
    pub fn keys(mut self, keys: KeySet) -> Self {
        self.keys = Some(keys);
        self
    }

    /// How long each call may take, 5 s unless said, at most 60 s.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How far ahead of this machine's clock an attempt ends that does not say so itself, 5 min unless
    /// said, at most 10 min.
    ///
    /// The gate compares with its own clock and accepts at most 10 min, so leave room for the
    /// difference of the clocks in both directions.
    #[must_use]
    pub const fn attempt_for(mut self, attempt_for: Duration) -> Self {
        self.attempt_for = attempt_for;
        self
    }

    /// Builds the gate. Asks the nodes for their keys if none were given, and nothing otherwise: a
    /// gate with keys is built without a connection.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says which argument does not fit, or why no node gave its keys.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(self) -> Result<Gate, ConnectError> {
        let nodes = self.nodes()?;
        let caller = Caller::new(format!("{CALLER_SCHEME}:{}", self.caller));
        let caller = caller.map_err(|_| ConnectError::Caller(self.caller.clone()))?;
        let namespace = Name::new(self.namespace).map_err(ConnectError::Namespace)?;
        within("deadline", self.deadline, DEADLINE_MAX)?;
        within("attempt_for", self.attempt_for, ATTEMPT_FOR_MAX)?;
        let keys = match self.keys {
            Some(keys) => keys,
            None => KeySet::parse(
                &fetch_published(&nodes, self.deadline)
                    .await
                    .map_err(ConnectError::Keys)?
                    .file,
            )?,
        };
        if *keys.namespace() != namespace {
            let keys = keys.namespace().clone();
            return Err(ConnectError::KeysOfOther {
                keys,
                gate: namespace,
            });
        }
        let attempt_for = self.attempt_for;
        let keys = Pinned::new(keys);
        let shared = Shared {
            nodes: nodes.with_keys(keys.clone()),
            namespace,
            caller,
            keys,
            notes: Arc::default(),
            attempt_for,
        };
        Ok(Gate {
            shared: Arc::new(shared),
            deadline: self.deadline,
        })
    }

    /// The nodes alone, and how long to wait for them.
    pub(crate) fn to_nodes(&self) -> Result<(Nodes, Duration), ConnectError> {
        within("deadline", self.deadline, DEADLINE_MAX)?;
        Ok((self.nodes()?, self.deadline))
    }

    fn nodes(&self) -> Result<Nodes, ConnectError> {
        let addresses = self.endpoints.iter().map(|text| text.parse::<Address>());
        let mut addresses = addresses.collect::<Result<Vec<_>, _>>()?.into_iter();
        let first = addresses.next().ok_or(ConnectError::NoEndpoint)?;
        let refused = |_| ConnectError::Caller(self.caller.clone());
        let caller: MetadataValue<Ascii> = self.caller.parse().map_err(refused)?;
        if self.caller.is_empty() {
            return Err(ConnectError::Caller(String::new()));
        }
        Ok(Nodes::new(
            Clock::machine(),
            Endpoints::new(first, addresses),
            Connections::new(caller),
        ))
    }
}

/// A gate of a testbed, for the caller of this name, with the bed's own keys and clock.
#[cfg(feature = "testkit")]
pub(crate) fn of_bed(door: crate::testkit::Door, name: &str) -> Result<Gate, ConnectError> {
    let refused = || ConnectError::Caller(name.to_owned());
    let metadata: MetadataValue<Ascii> = name.parse().map_err(|_| refused())?;
    let caller = match name {
        "" => return Err(refused()),
        _ => Caller::new(format!("{CALLER_SCHEME}:{name}")).map_err(|_| refused())?,
    };
    let first = door.first().parse::<Address>()?;
    let (keys, clock) = (door.keys().clone(), Clock::Bed(door.clock().clone()));
    let namespace = keys.namespace().clone();
    let keys = Pinned::new(keys);
    let nodes = Nodes::new(
        clock,
        Endpoints::new(first, []),
        Connections::to_bed(metadata, door),
    );
    let shared = Shared {
        nodes: nodes.with_keys(keys.clone()),
        namespace,
        caller,
        keys,
        notes: Arc::default(),
        attempt_for: ATTEMPT_FOR_DEFAULT,
    };
    Ok(Gate {
        shared: Arc::new(shared),
        deadline: DEADLINE_DEFAULT,
    })
}

fn within(what: &'static str, given: Duration, max: Duration) -> Result<(), ConnectError> {
    if given.is_zero() || given > max {
        Err(ConnectError::Duration { what, max })
    } else {
        Ok(())
    }
}

/// Fetches the published keys from the first node that answers.
pub(crate) async fn fetch_published(
    nodes: &Nodes,
    deadline: Duration,
) -> Result<Published, CallError> {
    let ask = |connection: Arc<Connection>, budget| async move {
        Published::fetch(&connection, budget).await
    };
    Ok(nodes.call(deadline, ask).await?.answer)
}
