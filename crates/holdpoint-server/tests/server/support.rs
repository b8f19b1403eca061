//! Nodes in this process, on ports of the system's choice, in folders that go away.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use holdpoint_proto::v1;
use holdpoint_proto::v1::cluster_client::ClusterClient;
use holdpoint_proto::v1::gate_client::GateClient;
use holdpoint_proto::v1::keys_client::KeysClient;
use holdpoint_proto::v1::policy_client::PolicyClient;
use holdpoint_receipt::KeySet;
use holdpoint_server::config::DevOptions;
use holdpoint_server::events::Event;
use holdpoint_server::{RunError, dev};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// Longer than anything here takes on a loaded machine; reaching it fails the test.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A development node in this process.
#[derive(Debug)]
pub(crate) struct Dev {
    pub(crate) address: String,
    pub(crate) events: Vec<Event>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), RunError>>,
}

impl Dev {
    /// Starts a node in `dir` and waits until it is ready.
    pub(crate) async fn start(dir: PathBuf) -> Self {
        let client = "127.0.0.1:0".parse().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (told, events) = mpsc::channel();
        let listener = Box::new(move |event| {
            let _ = told.send(event);
        });
        let stopped = async {
            let _ = stopped.await;
        };
        let running = tokio::spawn(dev(DevOptions { dir, client }, listener, stopped));
        let events = tokio::task::spawn_blocking(move || {
            let mut seen = Vec::new();
            loop {
                let Ok(event) = events.recv_timeout(LONG) else {
                    return None;
                };
                let is_ready = matches!(event, Event::Ready { .. });
                seen.push(event);
                if is_ready {
                    return Some(seen);
                }
            }
        });
        let Some(events) = events.await.unwrap() else {
            panic!("the node did not become ready: {:?}", running.await);
        };
        let address = events.iter().find_map(|event| match event {
            Event::Listening { client, .. } => Some(client.to_string()),
            _ => None,
        });
        Self {
            address: address.unwrap(),
            events,
            stop,
            running,
        }
    }

    /// Why a node does not start in `dir`.
    pub(crate) async fn refused(dir: PathBuf) -> String {
        let client = "127.0.0.1:0".parse().unwrap();
        let stopped = std::future::pending();
        let started = dev(DevOptions { dir, client }, Box::new(|_| ()), stopped);
        let refused = tokio::time::timeout(LONG, started).await.unwrap();
        refused.unwrap_err().to_string()
    }

    /// Stops it in good order.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(LONG, self.running)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    pub(crate) fn channel(&self) -> Channel {
        channel(&self.address)
    }

    pub(crate) fn gate(&self) -> GateClient<Channel> {
        GateClient::new(self.channel())
    }

    pub(crate) fn policy(&self) -> PolicyClient<Channel> {
        PolicyClient::new(self.channel())
    }

    pub(crate) fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel())
    }

    pub(crate) async fn keys(&self) -> KeySet {
        keys(self.channel()).await
    }
}

pub(crate) fn channel(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy()
}

pub(crate) async fn keys(channel: Channel) -> KeySet {
    let exported = KeysClient::new(channel)
        .export(v1::ExportKeysRequest { deadline_ms: 0 })
        .await;
    KeySet::parse(&exported.unwrap().into_inner().keys_json).unwrap()
}

/// An attempt on the surface that the starter bundle has for trying things out.
pub(crate) fn echo(key: &str, message: &str) -> v1::AuthorizeRequest {
    raw(key, "demo.echo", &format!(r#"{{"message":"{message}"}}"#))
}

/// An attempt on any surface with any parameters.
pub(crate) fn raw(key: &str, surface: &str, params: &str) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        operation: Some(v1::Operation {
            surface: surface.to_owned(),
            params_json: params.as_bytes().to_vec(),
            ..v1::Operation::default()
        }),
        idempotency_key: key.to_owned(),
        not_after_ms: 0,
        deadline_ms: 10_000,
        wait_until_ms: 0,
    }
}
