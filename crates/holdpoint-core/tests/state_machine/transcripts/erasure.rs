//! Erasing what was stored of a request, before retention does.

use expect_test::expect;
use holdpoint_core::Command;
use holdpoint_core::command::{CompletionResult, DecisionName, Erase};
use holdpoint_core::outcome::{ChangeOutcome, Outcome};

use crate::script::{check, outline};
use crate::world::{Asked, World, caller, default_namespace, put, step_time};

#[test]
fn what_a_permit_disclosed_is_erased_once_it_has_ended_and_every_retry_is_answered() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=1 ; end 60s
        erase 1
        redeem 1
        complete 1 committed
        erase 1
        wait 60s
        statements
        erase 1
        statements
        stated 4 kind permit_id request_digest previous
        erase 1
        erase leaf 2
        redeem 1
        complete 1 committed
        authorize k1 pay account=1 ; end 60s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: refused STILL_NEEDED
            5: fence=1 REDEEMED complete by +60s
            6: fence=1 COMMITTED
            7: refused STILL_NEEDED
            8: time +60s
            9: kept [0,1,2,3], disclosed [0,1,2,3] of 4
            10: done
            11: kept [0,1,2,3,4], disclosed [0,4] of 5
            12: kind=erased permit_id=pmt_5or34io6ta77cigfqtzx6mwcre request_digest=… previous=…
            13: done (replay)
            14: done (replay)
            15: fence=1 COMMITTED (replay)
            16: fence=1 COMMITTED (replay)
            17: PERMIT fence=1 COMMITTED v1 (replay)
        "#]],
    );
}

#[test]
fn permit_that_is_live_or_in_doubt_keeps_what_it_disclosed() {
    check(
        "
        put p pay account! ; for 100s
        activate p
        authorize k1 pay account=1 ; end 60s
        wait 70s
        erase 1
        redeem 1
        wait 70s
        get 1
        erase 1
        complete 1 aborted
        erase 1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +100s v1
            4: time +70s
            5: refused STILL_NEEDED
            6: fence=1 REDEEMED complete by +130s
            7: time +140s
            8: fence=1 REDEEMED complete by +130s IN DOUBT
            9: refused STILL_NEEDED
            10: fence=1 ABORTED
            11: done
        "#]],
    );
}

#[test]
fn permit_that_expired_unseen_is_erased_as_one_that_ended() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=1 ; end 60s
        wait 70s
        erase 1
        get 1
        authorize k2 pay account=1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: time +70s
            5: done
            6: fence=1 EXPIRED
            7: PERMIT fence=2 ISSUED until +80s v1
        "#]],
    );
}

#[test]
fn denial_is_erased_by_its_leaf() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=1 ; deny POLICY ; end 60s
        erase leaf 1
        wait 60s
        erase leaf 1
        stated 2 kind permit_id request_digest previous
        erase leaf 1
        erase leaf 2
        erase leaf 0
        erase leaf 9
        erase 7
        statements
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: DENY POLICY codes=TOO_LATE v1
            4: refused STILL_NEEDED
            5: time +60s
            6: done
            7: kind=erased permit_id=none request_digest=… previous=…
            8: done (replay)
            9: refused NOT_FOUND
            10: refused NOT_FOUND
            11: refused NOT_FOUND
            12: refused UNKNOWN_PERMIT
            13: kept [0,1,2], disclosed [0,2] of 3
        "#]],
    );
}

#[test]
fn request_that_waits_for_approval_is_no_longer_listed_once_it_is_erased() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=1 ; deny POLICY ; end 60s
        ask pay account=1 ; needs two x
        wait 60s
        listed
        erase leaf 1
        listed
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: DENY POLICY codes=TOO_LATE v1
            4: done
            5: time +60s
            6: 1 listed
            7: done
            8: 0 listed
        "#]],
    );
}

#[test]
fn outcome_after_an_erasure_can_be_erased_too_and_is_chained_to_it() {
    check(
        "
        put p pay account! ; release 30s
        activate p
        authorize k1 pay account=1 ; end 60s
        redeem 1
        wait 100s
        sweep
        get 1
        erase 1
        complete 1 aborted
        erase 1
        erase 1
        statements
        log
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: time +100s
            6: swept rows=1 released=1
            7: fence=1 RELEASED
            8: done
            9: fence=1 RELEASED
            10: done
            11: done (replay)
            12: kept [0,1,2,3,4,5,6], disclosed [0,6] of 7
            13: policy decision redeemed released erased completed erased
        "#]],
    );
}

#[test]
fn retention_takes_away_what_an_erasure_left() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=1 ; end 60s
        authorize k2 pay account=1 ; end 60s
        wait 70s
        erase 1
        erase leaf 2
        statements
        retain permits 30h disclosures 30h statements 30h
        wait 40h
        sweep all
        statements
        erase 1
        erase leaf 2
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: DENY BOUND_HELD [account/1 BOUND_HELD by fence=1] try again at +10s v1
            5: time +70s
            6: done
            7: done
            8: kept [0,1,2,3,4], disclosed [0,3,4] of 5
            9: done
            10: time +144070s
            11: swept rows=13
            12: kept [], disclosed [] of 5
            13: refused UNKNOWN_PERMIT
            14: refused NOT_FOUND
        "#]],
    );
}

#[test]
fn what_a_forgotten_permit_disclosed_is_erased_leaf_by_leaf() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=1 ; end 60s
        redeem 1
        complete 1 committed
        retain permits 30h
        wait 40h
        sweep all
        erase 1
        statements
        erase leaf 1
        erase leaf 2
        erase leaf 2
        statements
        stated 4 kind previous
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: fence=1 COMMITTED
            6: done
            7: time +144000s
            8: swept rows=2
            9: refused UNKNOWN_PERMIT
            10: kept [0,1,2,3], disclosed [0,1,2,3] of 4
            11: done
            12: done
            13: done (replay)
            14: kept [0,1,2,3,4,5], disclosed [0,3,4,5] of 6
            15: kind=erased previous=…
        "#]],
    );
}

/// Whether a row of the state has these bytes.
fn is_stored(world: &World, wanted: &[u8]) -> bool {
    let has = |bytes: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    world
        .state
        .iter()
        .any(|(key, value)| has(key.as_bytes()) || has(value))
}

#[test]
fn after_an_erasure_no_row_has_the_parameters_or_a_salt_and_the_permit_still_has_its_keys() {
    let mut world = World::new();
    world.one(put("p", outline("pay account!")));
    let activate = world.activate("p", None);
    world.one(activate);
    let said = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let asked = Asked {
        surface: "pay".to_owned(),
        params: vec![said("account", "bound-qzx"), said("memo", "param-qzx")],
    };
    let end_ms = world.clock_ms + 60_000;
    let mut attempt = world.lookup("caller-qzx", "key-qzx", end_ms, &asked);
    attempt.evaluation = world.permits(&asked);
    let mut salts = vec![attempt.salt];
    world.one(Command::Authorize(Box::new(attempt)));
    let redeem = world.redeem(1, "caller-qzx", "redemption-qzx");
    salts.push(redeem.salt);
    world.one(Command::Redeem(redeem));
    let committed = CompletionResult::Committed { evidence: None };
    let complete = world.complete(1, "caller-qzx", committed);
    salts.push(complete.salt);
    world.one(Command::Complete(complete));
    assert!(is_stored(&world, b"param-qzx"));
    assert!(salts.iter().all(|salt| is_stored(&world, salt.as_bytes())));

    world.clock_ms += 60_000;
    world.one(step_time(world.clock_ms));
    let erase = Command::Erase(Erase {
        namespace: default_namespace(),
        decision: DecisionName::Permit(world.permit(1).0),
        principal: caller("operator"),
        reason_commitment: None,
        salt: world.salt(),
    });
    let erased = world.one(erase);
    assert!(matches!(
        erased,
        Outcome::Changed(ChangeOutcome::Done { replay: false, .. })
    ));
    assert!(!is_stored(&world, b"param-qzx"));
    assert!(salts.iter().all(|salt| !is_stored(&world, salt.as_bytes())));
    // What retries and bounds still need, until retention takes it.
    for kept in ["caller-qzx", "key-qzx", "redemption-qzx", "bound-qzx"] {
        assert!(is_stored(&world, kept.as_bytes()), "{kept}");
    }
}
