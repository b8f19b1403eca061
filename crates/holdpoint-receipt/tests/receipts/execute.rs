//! Execute mode: whether a receipt is a live permit for what is about to be done.

use holdpoint_receipt::statement::{Body, Verdict};
use holdpoint_receipt::verify::{Execution, Live, VerifyError};
use holdpoint_receipt::{Digest, Statement, sha256, verify_execute};

use crate::fixture::{
    Log, decision, grant, key_set, log, permit_receipt, request_digest, statement, time,
};

fn execution(digest: &Digest, now_ms: u64) -> Execution<'_> {
    Execution {
        request_digest: digest,
        now_ms,
        is_dev_accepted: false,
    }
}

fn at(now_ms: u64) -> Result<Live, VerifyError> {
    let file = permit_receipt().to_file();
    verify_execute(
        file.as_bytes(),
        &key_set(),
        &execution(&request_digest(), now_ms),
    )
}

#[test]
fn permit_is_live_until_the_moment_at_which_it_expires() {
    let end = grant().expires_at.get();
    let live = at(end - 1).unwrap();
    assert_eq!((live.left_ms(), *live.grant()), (1, grant()));
    assert_eq!(
        live.verified().statement().body.permit_id(),
        Some(grant().permit_id)
    );
    assert_eq!(at(end), Err(VerifyError::Expired { ago_ms: 0 }));
    assert_eq!(at(end + 5), Err(VerifyError::Expired { ago_ms: 5 }));
    assert_eq!(at(u64::MAX).unwrap_err().code(), "EXPIRED");
    assert!(at(0).is_ok(), "what is granted holds from then on");
}

/// The first check that fails is the answer, whatever else fails too.
#[test]
fn execute_mode_refuses_in_the_published_order() {
    let late = time(10_000_000).get();
    let other = sha256(b"other");
    let code = |file: &str, digest: &Digest, now_ms| {
        let found = verify_execute(file.as_bytes(), &key_set(), &execution(digest, now_ms));
        found.map(|_| ()).map_err(|error| error.code())
    };
    let permit = permit_receipt().to_file();
    let changed = permit.replacen("\"fence\":41", "\"fence\":42", 1);
    assert_eq!(code(&changed, &other, late), Err("RECEIPT_HASH_MISMATCH"));
    for leaf in 1..10 {
        let file = log().receipt(leaf, &[1]).to_file();
        assert_eq!(code(&file, &other, late), Err("WRONG_KIND"), "leaf {leaf}");
    }
    let dev = Statement {
        is_dev: true,
        ..statement(
            0,
            Body::Decision(Box::new(decision(Verdict::Permit(grant())))),
        )
    };
    let dev = Log::of(vec![dev]).receipt(0, &[1]).to_file();
    assert_eq!(code(&dev, &other, late), Err("DEV_MODE"));
    assert_eq!(code(&permit, &other, late), Err("BINDING_MISMATCH"));
    assert_eq!(code(&permit, &request_digest(), late), Err("EXPIRED"));
    let accepted = Execution {
        is_dev_accepted: true,
        ..execution(&other, 0)
    };
    let found = verify_execute(dev.as_bytes(), &key_set(), &accepted);
    assert_eq!(found.unwrap_err().code(), "BINDING_MISMATCH");
    let digest = request_digest();
    let accepted = Execution {
        request_digest: &digest,
        ..accepted
    };
    assert!(verify_execute(dev.as_bytes(), &key_set(), &accepted).is_ok());
}
