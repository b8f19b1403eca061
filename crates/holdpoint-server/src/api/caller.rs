//! Who asks. Authentication `loopback`: a connection from this machine is believed the name that it
//! gives itself, with every role.
//!
//! Nothing here decides what a caller may do.

use std::net::SocketAddr;

use holdpoint_receipt::Caller;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use crate::listener::{Call, Peer};
use crate::roles::LOOPBACK;

/// The metadata key under which a caller names itself.
const METADATA_CALLER: &str = "holdpoint-caller";

/// The name of a caller that gives none.
const CALLER_DEFAULT: &str = "dev";

/// The caller of `request`, and the note that its connection has a call to answer: to be kept until
/// the answer is made.
///
/// # Errors
///
/// `UNAUTHENTICATED` if the connection comes from another machine or the name does not fit.
pub(super) fn authenticate<T>(request: &Request<T>) -> Result<(Caller, Option<Call>), Status> {
    let peer = request.extensions().get::<Peer>();
    let remote = peer.and_then(|peer| peer.tcp.remote_addr());
    let caller = identify(remote, request.metadata())?;
    Ok((caller, peer.map(|peer| peer.activity.begin())))
}

fn identify(remote: Option<SocketAddr>, metadata: &MetadataMap) -> Result<Caller, Status> {
    let unauthenticated = |message: String| Status::unauthenticated(message);
    if !remote.is_some_and(|remote| remote.ip().is_loopback()) {
        return Err(unauthenticated(
            "callers are only believed on loopback connections".to_owned(),
        ));
    }
    let mut values = metadata.get_all(METADATA_CALLER).iter();
    let name = match values.next().map(tonic::metadata::MetadataValue::to_str) {
        None => CALLER_DEFAULT,
        Some(Ok(name)) => name,
        Some(Err(_)) => {
            return Err(unauthenticated(format!(
                "`{METADATA_CALLER}` is not printable ASCII"
            )));
        }
    };
    if values.next().is_some() {
        return Err(unauthenticated(format!(
            "`{METADATA_CALLER}` is given more than once"
        )));
    }
    if name.is_empty() {
        return Err(unauthenticated(format!(
            "`{METADATA_CALLER}` is empty; leave it out or name one"
        )));
    }
    Caller::new(format!("{LOOPBACK}:{name}"))
        .map_err(|error| unauthenticated(format!("`{METADATA_CALLER}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(remote: &str, names: &[&str]) -> Result<String, String> {
        let mut metadata = MetadataMap::new();
        for name in names {
            metadata.append(METADATA_CALLER, name.parse().unwrap());
        }
        identify(remote.parse().ok(), &metadata)
            .map(|caller| caller.to_string())
            .map_err(|status| status.message().to_owned())
    }

    #[test]
    fn caller_on_loopback_is_the_name_that_it_gives_itself() {
        assert_eq!(check("127.0.0.1:9", &["ci-7"]).unwrap(), "loopback:ci-7");
        assert_eq!(check("[::1]:9", &[]).unwrap(), "loopback:dev");
    }

    #[test]
    fn caller_from_elsewhere_or_with_an_unfit_name_is_refused() {
        assert!(
            check("10.0.0.1:9", &["ci-7"])
                .unwrap_err()
                .contains("loopback")
        );
        assert!(check("", &[]).unwrap_err().contains("loopback"));
        assert!(
            check("127.0.0.1:9", &["a", "b"])
                .unwrap_err()
                .contains("more than once")
        );
        assert!(
            check("127.0.0.1:9", &[""])
                .unwrap_err()
                .contains("is empty")
        );
        let long = "x".repeat(Caller::BYTES_MAX);
        assert!(
            check("127.0.0.1:9", &[&long])
                .unwrap_err()
                .contains("at most 256")
        );
    }
}
