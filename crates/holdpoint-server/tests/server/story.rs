//! One operation as a whole: its statements proved, single values opened, its request erased.

use holdpoint_proto::v1;
use holdpoint_proto::v1::chain_request::Subject as OfChain;
use holdpoint_proto::v1::disclose_request::Subject as OfOpening;
use holdpoint_proto::v1::erase_request::Subject as OfErasure;
use holdpoint_receipt::chain::{self, Chain, Standing};
use holdpoint_receipt::open::{self, Field};
use holdpoint_receipt::statement::{MemberSalt, Outcome, Salt, commit};
use holdpoint_receipt::{Body, KeySet, Request, Verified, verify};

use crate::approvals::{approve, asked, missing, payment, subject};
use crate::life::authorize;
use crate::support::{Dev, apply, by, echo, ended, now_ms, raw, redeem};

/// How long an attempt lives that is erased soon after.
const SHORT_MS: u64 = 1_500;

fn short(attempt: v1::AuthorizeRequest) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        not_after_ms: now_ms() + SHORT_MS,
        ..attempt
    }
}

fn id(answer: &v1::AuthorizeResponse) -> String {
    answer.permit.as_ref().unwrap().id.clone()
}

fn erasure_of(permit: &str) -> v1::EraseRequest {
    v1::EraseRequest {
        subject: Some(OfErasure::PermitId(permit.to_owned())),
        reason: "asked by its subject".to_owned(),
        ..Default::default()
    }
}

async fn erase(node: &Dev, call: v1::EraseRequest) -> v1::EraseResponse {
    node.history().erase(call).await.unwrap().into_inner()
}

/// Erases it as soon as its attempt is over.
async fn erased(node: &Dev, call: &v1::EraseRequest) -> v1::EraseResponse {
    let is_needed = |answer: &v1::EraseResponse| {
        let refusal = answer.refusal.as_ref();
        refusal.is_some_and(|refusal| refusal.reason_name == "STILL_NEEDED")
    };
    node.poll(|| erase(node, call.clone()), |answer| !is_needed(answer))
        .await
}

async fn chain_of(node: &Dev, subject: OfChain) -> v1::ChainResponse {
    let call = v1::ChainRequest {
        subject: Some(subject),
        ..Default::default()
    };
    node.history().chain(call).await.unwrap().into_inner()
}

fn verified(answer: &v1::ChainResponse, keys: &KeySet) -> Chain {
    assert_eq!(answer.refusal, None);
    let receipts = answer.receipts.iter();
    let receipts: Vec<Verified> = receipts
        .map(|receipt| verify(&receipt.file, keys).unwrap())
        .collect();
    chain::verify(receipts).unwrap()
}

async fn disclose(node: &Dev, subject: OfOpening, member: &str) -> v1::DiscloseResponse {
    let call = v1::DiscloseRequest {
        subject: Some(subject),
        member: member.to_owned(),
        ..Default::default()
    };
    node.history().disclose(call).await.unwrap().into_inner()
}

fn reason(refusal: Option<&v1::Refusal>) -> &str {
    &refusal.unwrap().reason_name
}

/// A permit that was redeemed and committed.
async fn committed(node: &Dev) -> String {
    let granted = authorize(node, short(echo("k1", "secret"))).await;
    node.gate().redeem(redeem(&granted, "r")).await.unwrap();
    let done = ended(&granted, v1::Completion::Committed);
    node.gate().complete(done).await.unwrap();
    id(&granted)
}

#[tokio::test(flavor = "multi_thread")]
async fn request_is_erased_once_nothing_needs_it_and_again_without_an_error() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let keys = node.keys().await;
    let live = id(&authorize(&node, echo("k0", "live")).await);
    for dry_run in [true, false] {
        let call = v1::EraseRequest {
            dry_run,
            ..erasure_of(&live)
        };
        let refused = erase(&node, call).await.refusal.unwrap();
        assert_eq!(refused.reason_name, "STILL_NEEDED");
        assert!(refused.sentence.contains("ISSUED"), "{refused:?}");
    }
    let permit = committed(&node).await;
    let dry = v1::EraseRequest {
        dry_run: true,
        ..erasure_of(&permit)
    };
    let would = erased(&node, &dry).await;
    assert_eq!(
        (would.refusal, would.replay, would.receipt),
        (None, false, None)
    );
    let first = erased(&node, &erasure_of(&permit)).await;
    assert_eq!((&first.refusal, first.replay), (&None, false));
    let erasure = verify(&first.receipt.as_ref().unwrap().file, &keys).unwrap();
    let Body::Erased(stated) = &erasure.statement().body else {
        panic!("{:?}", erasure.statement());
    };
    let salt = Salt::from_bytes(first.salt.as_slice().try_into().unwrap());
    let reason = commit(&salt, "reason_commitment", b"asked by its subject");
    assert_eq!(stated.reason_commitment, Some(reason));
    // The same again is no error, whatever the reason is now.
    let again = v1::EraseRequest {
        reason: "another".to_owned(),
        ..erasure_of(&permit)
    };
    let again = erase(&node, again).await;
    assert_eq!((&again.refusal, again.replay), (&None, true));
    let proved = verify(&again.receipt.unwrap().file, &keys).unwrap();
    assert_eq!(proved.receipt_hash(), erasure.receipt_hash());
    assert!(erase(&node, dry).await.replay);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_an_erased_request_is_told_when_it_went_and_what_says_so() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let keys = node.keys().await;
    let permit = committed(&node).await;
    let answer = erased(&node, &erasure_of(&permit)).await;
    let erasure = verify(&answer.receipt.unwrap().file, &keys).unwrap();
    let leaf = erasure.statement().place.leaf_index();
    let says = |told: Option<v1::Erasure>| {
        let told = told.unwrap();
        assert_eq!(told.leaf_index, leaf);
        assert_eq!(told.erased_at_ms, erasure.statement().issued_at.get());
        assert_eq!(told.receipt_hash, erasure.receipt_hash().as_bytes());
    };
    let why = v1::ExplainRequest {
        subject: Some(v1::explain_request::Subject::PermitId(permit.clone())),
        ..Default::default()
    };
    let why = node.history().explain(why).await.unwrap().into_inner();
    assert_eq!(reason(why.refusal.as_ref()), "ERASED");
    says(why.erasure);
    let read = v1::GetPermitRequest {
        permit_id: permit.clone(),
        ..Default::default()
    };
    let read = node.gate().get_permit(read).await.unwrap().into_inner();
    assert_eq!((read.refusal, read.request_canonical), (None, Vec::new()));
    says(read.erasure);
    let page = v1::ListDecisionsRequest::default();
    let page = node.history().list_decisions(page).await.unwrap();
    let page = page.into_inner();
    assert_eq!((page.decisions.len(), page.erased), (0, 1));
    says(page.erased_decisions[0].erasure.clone());
    let subject = OfOpening::PermitId(permit.clone());
    let shown = disclose(&node, subject, "caller_commitment").await;
    assert_eq!(reason(shown.refusal.as_ref()), "ERASED");
    says(shown.erasure);

    let story = chain_of(&node, OfChain::PermitId(permit)).await;
    let chain = verified(&story, &keys);
    assert_eq!(chain.standing(), Standing::Completed(Outcome::Committed));
    let last = chain.steps().last().unwrap();
    assert_eq!(last.receipt_hash(), erasure.receipt_hash());
    assert!(story.request_canonical.is_empty());
    says(story.erasure);
    // What is left to be opened is who erased it.
    let opened: Vec<_> = story.openings.iter().map(|it| it.leaf_index).collect();
    assert_eq!(opened, [leaf]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn denial_is_erased_by_its_leaf_when_its_attempt_is_over_and_not_before() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let keys = node.keys().await;
    let denied = authorize(&node, short(echo("k1", "this is forbidden"))).await;
    let denied = verify(&denied.receipt.unwrap().file, &keys).unwrap();
    let leaf = denied.statement().place.leaf_index();
    let call = v1::EraseRequest {
        subject: Some(OfErasure::LeafIndex(leaf)),
        ..Default::default()
    };
    let refused = erase(&node, call.clone()).await.refusal.unwrap();
    assert_eq!(refused.reason_name, "STILL_NEEDED");
    assert!(
        refused.sentence.contains("can be repeated until"),
        "{refused:?}"
    );
    assert_eq!(erased(&node, &call).await.refusal, None);
    let story = chain_of(&node, OfChain::LeafIndex(leaf)).await;
    let chain = verified(&story, &keys);
    assert_eq!(chain.standing(), Standing::Denied);
    assert_eq!(chain.steps().len(), 1);

    for (subject, wanted) in [
        (OfErasure::LeafIndex(0), "NOT_FOUND"),
        (OfErasure::LeafIndex(99), "NOT_FOUND"),
        (
            OfErasure::PermitId(format!("pmt_{}", "a".repeat(26))),
            "UNKNOWN_PERMIT",
        ),
    ] {
        let call = v1::EraseRequest {
            subject: Some(subject),
            ..Default::default()
        };
        assert_eq!(reason(erase(&node, call).await.refusal.as_ref()), wanted);
    }
    node.stop().await;
}

/// A payment that two approved, redeemed and committed by the clerk.
async fn paid(node: &Dev) -> String {
    let attempt = payment("k1", "INV-7", now_ms() + 60_000);
    let wanted = missing(&asked(node, &attempt).await);
    let shown = subject(node, &wanted.subject_digest).await;
    for approver in ["alice", "bob"] {
        let answer = approve(node, approver, &wanted.subject_digest, &shown).await;
        assert_eq!(answer.refusal, None);
    }
    let granted = asked(node, &attempt).await;
    assert_eq!(granted.decision(), v1::Decision::Permit, "{granted:?}");
    let redeeming = by("clerk", redeem(&granted, "r-1"));
    let done = node.gate().redeem(redeeming).await;
    assert_eq!(done.unwrap().into_inner().refusal, None);
    let committed = ended(&granted, v1::Completion::Committed);
    let done = node.gate().complete(by("clerk", committed)).await;
    assert_eq!(done.unwrap().into_inner().refusal, None);
    id(&granted)
}

#[tokio::test(flavor = "multi_thread")]
async fn story_has_the_approvals_and_opens_what_each_statement_commits_to() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let keys = node.keys().await;
    let permit = paid(&node).await;
    let story = chain_of(&node, OfChain::PermitId(permit)).await;
    let chain = verified(&story, &keys);
    assert_eq!((chain.approvals().len(), chain.steps().len()), (2, 2));
    assert!(chain.are_approvals_shown());
    assert_eq!((story.approvals_missing, &story.dispute), (0, &None));
    let request = Request::parse_canonical(&story.request_canonical).unwrap();
    open::request(chain.decision().statement(), &request).unwrap();
    let all: Vec<&Verified> = chain
        .approvals()
        .iter()
        .chain([chain.decision()])
        .chain(chain.steps())
        .collect();
    let mut seen = Vec::new();
    for opening in &story.openings {
        let statement = all
            .iter()
            .map(|receipt| receipt.statement())
            .find(|statement| statement.place.leaf_index() == opening.leaf_index)
            .unwrap();
        let field = Field::of_member(&opening.member).unwrap();
        let salt = MemberSalt::from_bytes(opening.salt.as_slice().try_into().unwrap());
        let value = opening.value.as_deref().unwrap();
        open::field(statement, &field, &salt, value.as_bytes()).unwrap();
        seen.push((
            statement.body.kind().to_string(),
            opening.member.as_str(),
            value,
        ));
    }
    for (kind, member, value) in [
        ("approved", "caller_commitment", "loopback:alice"),
        ("approved", "caller_commitment", "loopback:bob"),
        ("decision", "caller_commitment", "loopback:clerk"),
        ("decision", "idempotency_key_commitment", "k1"),
        ("redeemed", "redemption_commitment", "r-1"),
        ("completed", "caller_commitment", "loopback:clerk"),
    ] {
        assert!(
            seen.contains(&(kind.to_owned(), member, value)),
            "{kind} {member} {value}: {seen:?}"
        );
    }
    // The same from any of its statements.
    let last = chain.steps().last().unwrap().statement().place.leaf_index();
    let same = chain_of(&node, OfChain::LeafIndex(last)).await;
    assert_eq!(same.receipts, story.receipts);
    let nothing = chain_of(&node, OfChain::LeafIndex(0)).await;
    let refusal = nothing.refusal.unwrap();
    assert!(
        refusal.sentence.contains("`policy`") || refusal.sentence.contains("`keys`"),
        "{refusal:?}"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_of_one_member_opens_no_other() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let keys = node.keys().await;
    let granted = authorize(&node, apply("k1", "prod-eu")).await;
    let subject = || OfOpening::PermitId(id(&granted));
    let shown = disclose(&node, subject(), "bound.workspace").await;
    assert_eq!(shown.refusal, None);
    let opening = shown.opening.unwrap();
    assert_eq!(opening.value.as_deref(), Some("workspace/prod-eu"));
    let receipt = verify(&shown.receipt.unwrap().file, &keys).unwrap();
    let statement = receipt.statement();
    let handed: [u8; 32] = opening.salt.as_slice().try_into().unwrap();
    let value = b"workspace/prod-eu";
    let bound = Field::of_member("bound.workspace").unwrap();
    open::field(statement, &bound, &MemberSalt::from_bytes(handed), value).unwrap();
    // Neither as the salt of another member nor as the statement's own does it open anything else.
    for (member, value) in [
        ("caller_commitment", "loopback:dev"),
        ("idempotency_key_commitment", "k1"),
    ] {
        let field = Field::of_member(member).unwrap();
        let right = disclose(&node, subject(), member).await.opening.unwrap();
        assert_eq!(right.value.as_deref(), Some(value));
        let derived = Salt::from_bytes(handed).of_member(member);
        for salt in [MemberSalt::from_bytes(handed), derived] {
            assert_ne!(salt.as_bytes().as_slice(), right.salt);
            assert!(open::field(statement, &field, &salt, value.as_bytes()).is_err());
        }
    }
    for (member, wanted) in [
        ("reason_commitment", "NOT_FOUND"),
        ("inputs_digest", "NOT_FOUND"),
    ] {
        let shown = disclose(&node, subject(), member).await;
        assert_eq!(reason(shown.refusal.as_ref()), wanted);
        assert_eq!((shown.opening, shown.receipt), (None, None));
    }
    let unfit = v1::DiscloseRequest {
        subject: Some(subject()),
        member: "fence".to_owned(),
        ..Default::default()
    };
    let refused = node.history().disclose(unfit).await.unwrap_err();
    assert!(refused.message().contains("`fence`"), "{refused}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_statement_hides_is_kept_of_what_was_never_granted() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let attempt = raw(
        "never-stored-key",
        "demo.echo",
        r#"{"message":"forbidden"}"#,
    );
    let denied = authorize(&node, attempt).await;
    assert_eq!(denied.decision(), v1::Decision::Deny);
    // The salt is told to whoever knows the key; the key is not: no record leads from here to it.
    let shown = disclose(&node, OfOpening::LeafIndex(2), "idempotency_key_commitment").await;
    let opening = shown.opening.unwrap();
    assert_eq!((opening.value, opening.salt.len()), (None, 32));
    node.stop().await;
}
