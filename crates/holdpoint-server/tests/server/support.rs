//! Nodes in this process, on ports of the system's choice, in folders that go away.

use std::future::Future;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use holdpoint_proto::v1;
use holdpoint_proto::v1::approvals_client::ApprovalsClient;
use holdpoint_proto::v1::cluster_client::ClusterClient;
use holdpoint_proto::v1::gate_client::GateClient;
use holdpoint_proto::v1::history_client::HistoryClient;
use holdpoint_proto::v1::keys_client::KeysClient;
use holdpoint_proto::v1::policy_client::PolicyClient;
use holdpoint_receipt::KeySet;
use holdpoint_server::config::DevOptions;
use holdpoint_server::events::Event;
use holdpoint_server::{RunError, dev, until_released};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// How often a state that must come is looked for.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// Longer than anything here takes on a loaded machine; reaching it fails the test.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A development node in this process.
#[derive(Debug)]
pub(crate) struct Dev {
    pub(crate) address: String,
    pub(crate) events: Vec<Event>,
    dir: PathBuf,
    stop: Option<oneshot::Sender<()>>,
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
        let data_dir = dir.clone();
        let stopped = async {
            let _ = stopped.await;
        };
        let running = tokio::spawn(dev(
            DevOptions {
                dir,
                client,
                sealing: None,
            },
            listener,
            stopped,
        ));
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
            dir: data_dir,
            stop: Some(stop),
            running,
        }
    }

    /// Why a node does not start in `dir`.
    pub(crate) async fn refused(dir: PathBuf) -> String {
        let client = "127.0.0.1:0".parse().unwrap();
        let stopped = std::future::pending();
        let started = dev(
            DevOptions {
                dir,
                client,
                sealing: None,
            },
            Box::new(|_| ()),
            stopped,
        );
        let refused = tokio::time::timeout(LONG, started).await.unwrap();
        refused.unwrap_err().to_string()
    }

    /// Stops it in good order.
    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        tokio::time::timeout(LONG, &mut self.running)
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

    pub(crate) fn approvals(&self) -> ApprovalsClient<Channel> {
        ApprovalsClient::new(self.channel())
    }

    pub(crate) fn history(&self) -> HistoryClient<Channel> {
        HistoryClient::new(self.channel())
    }

    pub(crate) async fn keys(&self) -> KeySet {
        keys(self.channel()).await
    }

    pub(crate) async fn status(&self) -> v1::StatusResponse {
        let status = self.cluster().status(v1::StatusRequest {}).await;
        status.unwrap().into_inner()
    }

    /// Waits until the node's status is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&v1::StatusResponse) -> bool) {
        let reached = async {
            while !wanted(&self.status().await) {
                tokio::time::sleep(POLL).await;
            }
        };
        let reached = tokio::time::timeout(LONG, reached).await;
        assert!(reached.is_ok(), "{:?}", self.status().await);
    }

    /// Stores the starter bundle with a surfaces file that is changed.
    pub(crate) async fn put(&self, change: impl Fn(String) -> String) -> Vec<u8> {
        self.put_files(starter(change)).await
    }

    /// Stores a bundle.
    pub(crate) async fn put_files(&self, files: Vec<v1::BundleFile>) -> Vec<u8> {
        let put = v1::PutPolicyRequest {
            files,
            ..Default::default()
        };
        let put = self.policy().put(put).await.unwrap().into_inner();
        assert!(put.refusal.is_none(), "{put:?}");
        put.digest
    }

    /// Puts a stored bundle in force.
    pub(crate) async fn activate(
        &self,
        digest: &[u8],
        expected: u64,
        mode: v1::ActivationMode,
    ) -> v1::ActivatePolicyResponse {
        let activate = v1::ActivatePolicyRequest {
            digest: digest.to_vec(),
            expected_version: expected,
            mode: mode.into(),
            ..Default::default()
        };
        self.policy().activate(activate).await.unwrap().into_inner()
    }

    /// Asks again and again until the answer is as wanted.
    pub(crate) async fn poll<T, F: Future<Output = T>>(
        &self,
        ask: impl Fn() -> F,
        wanted: impl Fn(&T) -> bool,
    ) -> T {
        let reached = async {
            loop {
                let answer = ask().await;
                if wanted(&answer) {
                    return answer;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let reached = tokio::time::timeout(LONG, reached).await;
        reached.expect("the answer is as wanted in time")
    }
}

/// The files of the starter bundle, with a surfaces file that is changed.
pub(crate) fn starter(change: impl Fn(String) -> String) -> Vec<v1::BundleFile> {
    let files = holdpoint_policy::starter::FILES.iter();
    let files = files.map(|(path, content)| {
        let content = if *path == "surfaces.yaml" {
            change((*content).to_owned())
        } else {
            (*content).to_owned()
        };
        v1::BundleFile {
            path: (*path).to_owned(),
            content: content.into_bytes(),
        }
    });
    files.collect()
}

/// The same without one of its files of tests, which knows what is changed.
pub(crate) fn untested(mut files: Vec<v1::BundleFile>, tests: &str) -> Vec<v1::BundleFile> {
    files.retain(|file| file.path != tests);
    let manifest = files.iter_mut().find(|file| file.path == "bundle.yaml");
    let manifest = manifest.unwrap();
    let text = String::from_utf8(manifest.content.clone()).unwrap();
    manifest.content = text.replace(&format!("{tests}, "), "").into_bytes();
    files
}

/// A call in the name of a caller.
pub(crate) fn by<T>(caller: &str, call: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(call);
    let name = caller.parse().unwrap();
    request.metadata_mut().insert("holdpoint-caller", name);
    request
}

/// Milliseconds of this machine's clock.
pub(crate) fn now_ms() -> u64 {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// An attempt that may wait for its bounds for so long, and ends two minutes from now.
pub(crate) fn patient(attempt: v1::AuthorizeRequest, wait_ms: u64) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        not_after_ms: now_ms() + 120_000,
        wait_until_ms: now_ms() + wait_ms,
        deadline_ms: 60_000,
        ..attempt
    }
}

/// An apply of a workspace by a plan of its own.
pub(crate) fn apply(key: &str, workspace: &str) -> v1::AuthorizeRequest {
    let plan = holdpoint_receipt::sha256(key.as_bytes());
    let params = format!(r#"{{"workspace":"{workspace}","plan_sha256":"{plan}"}}"#);
    raw(key, "infra.apply", &params)
}

/// What an executor shows of a permit.
pub(crate) fn redeem(answer: &v1::AuthorizeResponse, redemption_id: &str) -> v1::RedeemRequest {
    let permit = answer.permit.as_ref().unwrap();
    v1::RedeemRequest {
        permit_id: permit.id.clone(),
        fence: permit.fence,
        request_digest: answer.request_digest.clone(),
        redemption_id: redemption_id.to_owned(),
        ..Default::default()
    }
}

/// How a permit ended.
pub(crate) fn ended(
    answer: &v1::AuthorizeResponse,
    completion: v1::Completion,
) -> v1::CompleteRequest {
    v1::CompleteRequest {
        permit_id: answer.permit.as_ref().unwrap().id.clone(),
        completion: completion.into(),
        ..Default::default()
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

impl Drop for Dev {
    /// Stops the node if the test has not, and waits for its store: one that is at work when the process
    /// exits aborts it.
    fn drop(&mut self) {
        drop(self.stop.take());
        until_released(&self.dir);
    }
}
