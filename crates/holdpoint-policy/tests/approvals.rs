//! Which approvals count, for what, and which of them a verdict uses.
#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share fail like tests"
)]

use std::path::Path;

use expect_test::expect;
use holdpoint_policy::{
    Approval, Bundle, Evaluation, Facts, Input, Policy, Subject, Verdict, directory, starter,
};
use holdpoint_receipt::request::Params;
use holdpoint_receipt::{Caller, Name, Reason, Request, sha256_domain};
use proptest::prelude::*;

/// 2026-11-24T10:00:00Z, a Tuesday.
const NOW_MS: u64 = 1_795_514_400_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

fn bundle() -> Bundle {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/cicd-terraform");
    directory::read(&folder).unwrap()
}

fn policy() -> Policy {
    Policy::load(&bundle()).unwrap()
}

/// The bundle with some replacements.
fn edited(edits: &[(&str, &str, &str)]) -> Policy {
    let bundle = bundle();
    let files = bundle.files().map(|(path, content)| {
        let mut text = String::from_utf8(content.to_vec()).unwrap();
        for (_, from, to) in edits.iter().filter(|(there, ..)| *there == path) {
            assert!(text.contains(from), "`{from}` is not in {path}");
            text = text.replacen(from, to, 1);
        }
        (path.to_owned(), text)
    });
    Policy::load(&Bundle::new(files).unwrap()).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn caller(text: &str) -> Caller {
    Caller::new(format!("loopback:{text}")).unwrap()
}

/// An apply in production: needs `plan-review` (one of platform: dan, eve).
fn apply_as(asks: &str, plan: &str, commit: &str, destroys: u32) -> Request {
    let params = format!(
        r#"{{"workspace":"shop-prod-net","planDigest":"{plan}","planCreatedAt":"2026-11-24T09:00:00Z",
            "stateLineage":"L1","stateSerial":7,"observedSerial":7,"commit":"{commit}","adds":2,"changes":1,
            "destroys":{destroys},"replaces":0,"touches":["aws_vpc"]}}"#
    );
    Request {
        namespace: name("default"),
        caller: caller(asks),
        actor: None,
        surface: name("infra.apply"),
        action: name("apply"),
        params: Params::parse(params.as_bytes()).unwrap(),
        session: None,
        step: None,
        prerequisites: Vec::new(),
    }
}

fn apply(plan: &str) -> Request {
    apply_as("shop-deploy", plan, "c1", 0)
}

fn subject(policy: &Policy, request: &Request, quorum: &str) -> Subject {
    let subjects = policy.subjects(request).unwrap().into_iter();
    subjects
        .filter(|subject| subject.quorum.as_str() == quorum)
        .collect::<Vec<_>>()
        .remove(0)
}

fn given(subject: &Subject, by: &str, given_at_ms: u64) -> Approval {
    Approval {
        quorum: subject.quorum.clone(),
        subject: subject.digest,
        approver: caller(by),
        given_at_ms,
    }
}

fn evaluate(policy: &Policy, request: &Request, approvals: &[Approval]) -> Evaluation {
    let facts = Facts {
        approvals: approvals.to_vec(),
        ..Facts::default()
    };
    policy.evaluate(Input {
        request,
        now_ms: NOW_MS,
        facts: &facts,
    })
}

/// The decision, its policies or what is missing, and the approvals that it uses.
fn show(evaluation: &Evaluation) -> String {
    match evaluation {
        Evaluation::Silence(silence) => format!("SILENCE {}: {}", silence.reason, silence.sentence),
        Evaluation::Decided(decided) => {
            let (word, policies) = match &decided.verdict {
                Verdict::Permit { policies } => ("PERMIT", policies),
                Verdict::Deny { policies, .. } => ("DENY", policies),
            };
            let policies: Vec<&str> = policies.iter().map(Name::as_str).collect();
            let used = decided.used.iter();
            let used: Vec<String> = used
                .map(|used| format!("{} by {} spent {}", used.quorum, used.approver, used.spent))
                .collect();
            format!("{word} {policies:?} uses {used:?}")
        }
    }
}

fn check(policy: &Policy, request: &Request, approvals: &[Approval], expected: &str) {
    assert_eq!(show(&evaluate(policy, request, approvals)), expected);
}

const REVIEWED: &str =
    r#"PERMIT ["tf.reviewed-plan"] uses ["plan-review by loopback:dan spent true"]"#;
const NOT_REVIEWED: &str =
    "SILENCE APPROVAL_REQUIRED: approvals are missing: `plan-review` (0 of 1)";

#[test]
fn subject_is_the_canonical_form_of_exactly_the_bound_fields() {
    let subject = subject(&policy(), &apply("sha256:p1"), "plan-review");
    expect![[
        r#"{"action":"apply","binds":{"params.planDigest":"sha256:p1","params.stateLineage":"L1","params.stateSerial":7,"resource":"Workspace::\"shop-prod-net\""},"namespace":"default","quorum":"plan-review","surface":"infra.apply"}"#
    ]]
    .assert_eq(&subject.bytes);
    let bytes = subject.bytes.as_bytes();
    assert_eq!(
        subject.digest,
        sha256_domain("holdpoint/approval/v1", &[bytes])
    );
    assert_eq!(
        (subject.min, subject.max_age_ms, subject.spent),
        (1, 4 * HOUR_MS, true)
    );
    assert!(subject.excludes_requester);
}

#[test]
fn subject_binds_the_whole_request_and_the_caller_where_the_quorum_says_so() {
    let (policy, request) = (policy(), apply("sha256:p1"));
    let bound = subject(&policy, &request, "break-glass");
    expect![[
        r#"{"action":"apply","binds":{"action":"apply","caller":"loopback:shop-deploy","request":"REQUEST","resource":"Workspace::\"shop-prod-net\""},"namespace":"default","quorum":"break-glass","surface":"infra.apply"}"#
    ]]
    .assert_eq(&bound.bytes.replace(&request.digest().to_string(), "REQUEST"));
    let other = apply_as("shop-deploy", "sha256:p1", "c2", 0);
    assert_ne!(bound.digest, subject(&policy, &other, "break-glass").digest);
}

#[test]
fn parameter_that_is_left_out_is_bound_as_null() {
    let policy = edited(&[
        (
            "schema.cedarschema",
            "commit: String,\n  adds",
            "commit?: String,\n  adds",
        ),
        (
            "surfaces.yaml",
            "binds: [resource, params.planDigest], max",
            "binds: [params.commit], max",
        ),
    ]);
    let mut request = apply("sha256:p1");
    let members = request.params.as_json().as_object().unwrap().clone();
    let without = members.into_iter().filter(|(name, _)| name != "commit");
    request.params = Params::from_json(holdpoint_receipt::Json::object(without)).unwrap();
    let bytes = subject(&policy, &request, "security-review").bytes;
    assert!(
        bytes.contains(r#""binds":{"params.commit":null}"#),
        "{bytes}"
    );
}

#[test]
fn approval_counts_for_the_bytes_that_were_approved_and_for_no_others() {
    let (policy, request) = (policy(), apply("sha256:p1"));
    let approved = given(
        &subject(&policy, &request, "plan-review"),
        "dan",
        NOW_MS - HOUR_MS,
    );
    check(&policy, &request, std::slice::from_ref(&approved), REVIEWED);
    check(
        &policy,
        &apply("sha256:p2"),
        std::slice::from_ref(&approved),
        NOT_REVIEWED,
    );
    let of_another_quorum = Approval {
        quorum: name("security-review"),
        ..approved
    };
    check(&policy, &request, &[of_another_quorum], NOT_REVIEWED);
}

#[test]
fn identical_plan_keeps_its_approval_where_only_bound_fields_count() {
    let (policy, request) = (policy(), apply("sha256:p1"));
    let approved = given(&subject(&policy, &request, "plan-review"), "dan", NOW_MS);
    let again = apply_as("shop-deploy", "sha256:p1", "another-commit", 0);
    assert_ne!(request.digest(), again.digest());
    check(&policy, &again, &[approved], REVIEWED);
}

#[test]
fn approval_ends_with_its_age_to_the_millisecond() {
    let (policy, request) = (policy(), apply("sha256:p1"));
    let subject = subject(&policy, &request, "plan-review");
    let age = subject.max_age_ms;
    for (given_at_ms, expected) in [
        (NOW_MS - age + 1, REVIEWED),
        (NOW_MS - age, NOT_REVIEWED),
        (NOW_MS - age - MINUTE_MS, NOT_REVIEWED),
        (NOW_MS, REVIEWED),
        (NOW_MS + 1, NOT_REVIEWED),
        (u64::MAX, NOT_REVIEWED),
        (0, NOT_REVIEWED),
    ] {
        check(
            &policy,
            &request,
            &[given(&subject, "dan", given_at_ms)],
            expected,
        );
    }
}

#[test]
fn one_person_is_one_approver_however_many_callers_it_has() {
    let policy = edited(&[(
        "surfaces.yaml",
        "  loopback:bob: 'Human::\"bob\"'\n",
        "  loopback:bob: 'Human::\"bob\"'\n  loopback:bob-laptop: 'Human::\"bob\"'\n",
    )]);
    let request = apply_as("shop-deploy", "sha256:p1", "c1", 3);
    let reviewed = given(&subject(&policy, &request, "plan-review"), "dan", NOW_MS);
    let destroy = subject(&policy, &request, "destroy-review");
    let lacking = "SILENCE APPROVAL_REQUIRED: approvals are missing: `destroy-review` (1 of 2)";
    for second in ["bob", "bob-laptop"] {
        let twice = [
            reviewed.clone(),
            given(&destroy, "bob", NOW_MS - 1),
            given(&destroy, second, NOW_MS),
        ];
        check(&policy, &request, &twice, lacking);
    }
    let two = [
        reviewed,
        given(&destroy, "bob-laptop", NOW_MS),
        given(&destroy, "bob", NOW_MS - 1),
        given(&destroy, "ann", NOW_MS),
    ];
    check(
        &policy,
        &request,
        &two,
        r#"PERMIT ["tf.reviewed-plan"] uses ["destroy-review by loopback:ann spent true", "destroy-review by loopback:bob spent true", "plan-review by loopback:dan spent true"]"#,
    );
}

#[test]
fn requester_does_not_approve_its_own_request_where_it_is_excluded() {
    let as_humans = [(
        "surfaces.yaml",
        "  loopback:shop-deploy: 'Workload::\"gha:acme/shop:deploy\"'\n",
        "  loopback:shop-deploy: 'Workload::\"gha:acme/shop:deploy\"'\n  loopback:robot: 'Workload::\"gha:acme/shop:deploy\"'\n",
    )];
    let strict = edited(&as_humans);
    let request = apply("sha256:p1");
    let subject = subject(&strict, &request, "plan-review");
    // The workload is of the platform team itself; `robot` is another caller of the same entity.
    for own in ["shop-deploy", "robot"] {
        check(
            &strict,
            &request,
            &[given(&subject, own, NOW_MS)],
            NOT_REVIEWED,
        );
    }
    let lax = edited(&[
        as_humans[0],
        (
            "surfaces.yaml",
            "plan-review: { min: 1, from: 'Team::\"platform\"', exclude: [requester],",
            "plan-review: { min: 1, from: 'Team::\"platform\"',",
        ),
    ]);
    check(
        &lax,
        &request,
        &[given(&subject, "robot", NOW_MS)],
        r#"PERMIT ["tf.reviewed-plan"] uses ["plan-review by loopback:robot spent true"]"#,
    );
}

#[test]
fn approver_who_leaves_the_group_with_a_new_bundle_does_not_count_any_more() {
    let (policy, request) = (policy(), apply("sha256:p1"));
    let approved = given(&subject(&policy, &request, "plan-review"), "dan", NOW_MS);
    check(&policy, &request, std::slice::from_ref(&approved), REVIEWED);
    let left = edited(&[(
        "entities.json",
        r#""attrs": {"email": "dan@acme.test"}, "parents": [{"type": "Team", "id": "platform"}]"#,
        r#""attrs": {"email": "dan@acme.test"}, "parents": [{"type": "Team", "id": "sre"}]"#,
    )]);
    check(
        &left,
        &request,
        std::slice::from_ref(&approved),
        NOT_REVIEWED,
    );
    let unlisted = edited(&[("surfaces.yaml", "  loopback:dan: 'Human::\"dan\"'\n", "")]);
    check(&unlisted, &request, &[approved], NOT_REVIEWED);
}

#[test]
fn approvals_that_the_verdict_does_not_need_are_left_alone() {
    let policy = policy();
    let mut request = apply("sha256:p1");
    let mut members = request.params.as_json().as_object().unwrap().clone();
    members.insert(
        "workspace".to_owned(),
        holdpoint_receipt::Json::str("shop-dev"),
    );
    request.params = Params::from_json(holdpoint_receipt::Json::Object(members)).unwrap();
    let subjects = policy.subjects(&request).unwrap();
    let all: Vec<Approval> = subjects
        .iter()
        .flat_map(|subject| ["ann", "bob", "dan", "sec"].map(|by| given(subject, by, NOW_MS)))
        .collect();
    check(
        &policy,
        &request,
        &all,
        r#"PERMIT ["tf.nonprod-additive"] uses []"#,
    );
}

#[test]
fn earliest_approvals_are_used_and_names_break_ties() {
    let policy = policy();
    let request = apply("sha256:p1");
    let subject = subject(&policy, &request, "plan-review");
    let used = |approvals: &[Approval]| show(&evaluate(&policy, &request, approvals));
    let eve = r#"PERMIT ["tf.reviewed-plan"] uses ["plan-review by loopback:eve spent true"]"#;
    let (dan, tie) = (
        given(&subject, "dan", NOW_MS),
        given(&subject, "eve", NOW_MS),
    );
    let earlier = given(&subject, "eve", NOW_MS - 1);
    assert_eq!(used(&[dan.clone(), earlier.clone()]), eve);
    assert_eq!(used(&[earlier, dan.clone()]), eve);
    assert_eq!(used(&[tie.clone(), dan.clone()]), REVIEWED);
    assert_eq!(used(&[dan, tie]), REVIEWED);
}

#[test]
fn quorum_that_keeps_its_approvals_says_so() {
    let kept = edited(&[(
        "surfaces.yaml",
        "params.stateSerial], max_age: 4h }",
        "params.stateSerial], max_age: 4h, spent: false }",
    )]);
    let request = apply("sha256:p1");
    let approved = given(&subject(&kept, &request, "plan-review"), "dan", NOW_MS);
    let permitted =
        r#"PERMIT ["tf.reviewed-plan"] uses ["plan-review by loopback:dan spent false"]"#;
    check(&kept, &request, &[approved], permitted);
}

#[test]
fn denial_keeps_the_codes_that_its_approvals_leave() {
    let policy = policy();
    let mut request = apply_as("shop-deploy", "sha256:p1", "c1", 3);
    let mut members = request.params.as_json().as_object().unwrap().clone();
    members.insert("observedSerial".to_owned(), holdpoint_receipt::Json::Int(8));
    request.params = Params::from_json(holdpoint_receipt::Json::Object(members)).unwrap();
    check(
        &policy,
        &request,
        &[],
        r#"DENY ["tf.destroys", "tf.stale-state"] uses []"#,
    );
    let destroy = subject(&policy, &request, "destroy-review");
    let approved = [
        given(&destroy, "ann", NOW_MS),
        given(&destroy, "bob", NOW_MS),
    ];
    check(
        &policy,
        &request,
        &approved,
        r#"DENY ["tf.stale-state"] uses ["destroy-review by loopback:ann spent true", "destroy-review by loopback:bob spent true"]"#,
    );
}

#[test]
fn missing_quorum_says_what_to_approve_and_how_many_have() {
    let policy = policy();
    let request = apply_as("shop-deploy", "sha256:p1", "c1", 3);
    let destroy = subject(&policy, &request, "destroy-review");
    let Evaluation::Silence(silence) =
        evaluate(&policy, &request, &[given(&destroy, "ann", NOW_MS)])
    else {
        panic!("decided");
    };
    assert_eq!(silence.reason, Reason::ApprovalRequired);
    let missing: Vec<_> = silence
        .missing
        .iter()
        .map(|missing| (missing.quorum.as_str(), missing.have, missing.min))
        .collect();
    assert_eq!(missing, [("destroy-review", 1, 2), ("plan-review", 0, 1)]);
    assert_eq!(silence.missing[0].subject, destroy.bytes);
    assert_eq!(silence.missing[0].digest, destroy.digest);
}

#[test]
fn who_may_approve_is_said_with_its_reason() {
    let policy = policy();
    let said = |quorum: &str, approver: &str| {
        let asked = policy.may_approve(&name(quorum), &caller(approver), &caller("shop-deploy"));
        asked.map_or_else(|error| error.to_string(), |()| "may".to_owned())
    };
    expect![[r#"
        may
        the caller `loopback:ann` is Human::"ann", which is not in Team::"platform": quorum `plan-review` counts only those
        the caller `loopback:nobody` is not listed under `callers` of the active policy, so it approves nothing
        the caller `loopback:shop-deploy` asks for this itself, and quorum `plan-review` excludes the requester
        the active policy declares no quorum `plan-reviews`
    "#]]
    .assert_eq(&format!(
        "{}\n{}\n{}\n{}\n{}\n",
        said("plan-review", "dan"),
        said("plan-review", "ann"),
        said("plan-review", "nobody"),
        said("plan-review", "shop-deploy"),
        said("plan-reviews", "dan"),
    ));
}

/// Parameters have at most 64 KiB, but a quorum can bind one twice: as itself and as the resource.
#[test]
fn subject_beyond_the_longest_request_is_silence() {
    let files = starter::FILES.iter().map(|(path, text)| {
        let text = text
            .replace(
                "\nquorums:\n",
                "\nquorums:\n  large: { min: 1, from: 'Team::\"finance\"', binds: [resource, params.workspace], max_age: 1h }\n",
            )
            .replace("params: TerraformParams\n", "params: TerraformParams\n    approvals: [large]\n");
        (*path, text)
    });
    let policy = Policy::load(&Bundle::new(files).unwrap()).unwrap();
    let mut request = apply("sha256:p1");
    let mut ask = |bytes: usize| {
        let params = format!(
            r#"{{"workspace":"{}","plan_sha256":"{}"}}"#,
            "x".repeat(bytes),
            "0".repeat(64)
        );
        request.params = Params::parse(params.as_bytes()).unwrap();
        let evaluation = evaluate(&policy, &request, &[]);
        (
            policy.subjects(&request).map(|subjects| subjects.len()),
            show(&evaluation),
        )
    };
    assert_eq!(ask(36_000).0, Ok(1));
    let (subjects, said) = ask(37_000);
    assert_eq!(subjects.unwrap_err().reason, Reason::InvalidParams);
    expect!["SILENCE INVALID_PARAMS: what quorum `large` binds has 74142 bytes, at most 73728 can be approved"].assert_eq(&said);
}

#[test]
fn subjects_of_a_request_that_does_not_fit_are_silence() {
    let policy = policy();
    let mut request = apply("sha256:p1");
    request.surface = name("infra.aply");
    let refused = policy.subjects(&request).unwrap_err();
    assert_eq!(refused.reason, Reason::UnknownSurface);
}

proptest! {
    /// Whatever stands among the facts and in whatever order: the verdict can be found again from the
    /// approvals that it uses alone, and uses the same ones.
    #[test]
    fn verdict_is_found_again_from_what_it_uses(
        picks in proptest::collection::vec((0_usize..4, 0_usize..5, 0_u64..6, any::<bool>()), 0..14),
        destroys in 0_u32..2,
        seed in any::<proptest::sample::Index>(),
    ) {
        thread_local! {
            static POLICY: Policy = policy();
        }
        POLICY.with(|policy| {
            let request = apply_as("shop-deploy", "sha256:p1", "c1", destroys);
            let subjects = policy.subjects(&request).unwrap();
            let others = policy.subjects(&apply("sha256:other")).unwrap();
            let people = ["ann", "bob", "dan", "eve", "sec"];
            let mut facts: Vec<Approval> = picks
                .iter()
                .map(|(quorum, person, hours, other)| {
                    let subjects = if *other { &others } else { &subjects };
                    given(&subjects[*quorum], people[*person], NOW_MS - hours * HOUR_MS)
                })
                .collect();
            let first = evaluate(policy, &request, &facts);
            if !facts.is_empty() {
                let middle = seed.index(facts.len());
                facts.rotate_left(middle);
            }
            prop_assert_eq!(&evaluate(policy, &request, &facts), &first);
            if let Evaluation::Decided(decided) = &first {
                prop_assert!(decided.used.is_sorted());
                let used = facts.iter().filter(|fact| {
                    decided.used.iter().any(|used| {
                        (&used.quorum, used.subject, &used.approver)
                            == (&fact.quorum, fact.subject, &fact.approver)
                    })
                });
                let used: Vec<Approval> = used.cloned().collect();
                prop_assert_eq!(&evaluate(policy, &request, &used), &first);
            }
            Ok(())
        })?;
    }
}
