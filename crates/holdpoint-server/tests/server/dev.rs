//! One development node, from its first start to a receipt that verifies.

use holdpoint_server::config::DevOptions;
use holdpoint_server::dev;
use tokio_stream::StreamExt as _;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::{Dev, LONG, echo};
use holdpoint_proto::v1;
use holdpoint_receipt::verify;
use holdpoint_server::events::Event;

#[tokio::test(flavor = "multi_thread")]
async fn first_start_decides_and_a_second_start_keeps_the_state() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join(".holdpoint");
    let node = Dev::start(dir.clone()).await;
    assert!(matches!(
        node.events.first(),
        Some(Event::Opened { is_new: true, .. })
    ));
    assert!(
        node.events
            .iter()
            .any(|event| matches!(event, Event::PolicyInForce { .. }))
    );
    let first = node
        .gate()
        .authorize(echo("k1", "hello"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.decision(), v1::Decision::Permit, "{}", first.sentence);
    let receipt = first.receipt.unwrap().file;
    verify(&receipt, &node.keys().await).unwrap();
    for file in [
        "client.toml",
        "keys.json",
        "policy/bundle.yaml",
        "keys/log.key",
    ] {
        assert!(dir.join(file).exists(), "{file}");
    }
    node.stop().await;

    let node = Dev::start(dir).await;
    assert!(matches!(
        node.events.first(),
        Some(Event::Opened { is_new: false, .. })
    ));
    let mut retry = echo("k1", "hello");
    retry.not_after_ms = first.not_after_ms;
    let again = node.gate().authorize(retry).await.unwrap().into_inner();
    assert_eq!(again.decision(), v1::Decision::Permit, "{}", again.sentence);
    assert!(again.replay);
    assert_eq!(again.permit.unwrap().id, first.permit.unwrap().id);
    node.stop().await;
}

#[tokio::test]
async fn address_that_others_could_reach_is_refused_before_anything_is_made() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join(".holdpoint");
    let options = DevOptions {
        dir: dir.clone(),
        client: "0.0.0.0:0".parse().unwrap(),
        sealing: None,
    };
    let stopped = std::future::pending();
    let refused = dev(options, Box::new(|_| ()), stopped)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("`0.0.0.0:0` is not a loopback address"),
        "{refused}"
    );
    assert!(!dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_say_that_the_gate_serves() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let mut health = HealthClient::new(node.channel());
    let mut serves = async |service: &str| {
        let asked = HealthCheckRequest {
            service: service.to_owned(),
        };
        health
            .check(asked)
            .await
            .map(|answer| answer.into_inner().status())
    };
    let serving = async {
        while !matches!(
            serves("holdpoint.v1.Gate").await,
            Ok(ServingStatus::Serving)
        ) {
            tokio::task::yield_now().await;
        }
        assert!(matches!(serves("").await, Ok(ServingStatus::Serving)));
        assert!(serves("holdpoint.v1.Other").await.is_err());
    };
    tokio::time::timeout(LONG, serving).await.unwrap();
    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(node.channel());
    let answers = reflection
        .server_reflection_info(tokio_stream::iter([asked]))
        .await
        .unwrap();
    let answer = answers
        .into_inner()
        .next()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let MessageResponse::ListServicesResponse(listed) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = listed
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for name in ["Gate", "Policy", "Cluster", "Keys"] {
        assert!(names.contains(&format!("holdpoint.v1.{name}")), "{names:?}");
    }
    node.stop().await;
}
