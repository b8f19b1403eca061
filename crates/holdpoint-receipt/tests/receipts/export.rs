//! A whole log, and everybody who might have changed it.

use holdpoint_receipt::export::{LogError, LogReport, LogVerifier, head_line, leaf_line, verify};
use holdpoint_receipt::keys::Epoch;
use holdpoint_receipt::merkle::leaf_of;
use holdpoint_receipt::names::Fence;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::statement::{Body, Place};
use holdpoint_receipt::{KeySet, Statement, sha256};
use proptest::prelude::*;

use crate::fixture::{
    Log, SIGNED_AT_S, cluster, epoch, key_set_of, namespace, node, revoked, secret_keys,
};
use crate::story::{COMPLETED, DENIED, PERMIT, REDEEMED, ROTATED, earlier, keys, note_of, story};

/// The line of a leaf, without its newline.
fn line_of(statement: &Statement) -> String {
    let text = statement.to_canonical();
    let hash = leaf_of(&statement.receipt_hash());
    leaf_line(&hash, Some(&text)).trim_end().to_owned()
}

/// The lines of a log, without their newlines.
fn lines_of(log: &Log) -> Vec<String> {
    let mut lines: Vec<String> = log.statements.iter().map(line_of).collect();
    lines.push(head_line(&note_of(log)).trim_end().to_owned());
    lines
}

fn found(lines: &[String], saved: &[Note]) -> Result<LogReport, LogError> {
    verify(lines, &keys(), saved)
}

/// What an operator whom every node obeys makes of the log: other statements, freshly numbered and
/// freshly signed.
fn rewritten(change: impl FnOnce(&mut Vec<Statement>)) -> Log {
    let mut statements = story().statements;
    change(&mut statements);
    for (statement, leaf) in statements.iter_mut().zip(0..) {
        let place = statement.place;
        statement.place = Place::new(leaf, place.log_index(), place.log_term(), 3).unwrap();
    }
    Log::of(statements)
}

/// Golden: an export as it is kept for years.
#[test]
fn exported_log_never_changes() {
    let lines = lines_of(&story());
    assert_eq!(lines.join("\n") + "\n", include_str!("golden/log.jsonl"));
}

#[test]
fn whole_log_verifies_under_its_head_and_agrees_with_every_earlier_checkpoint() {
    let log = story();
    let saved: Vec<Note> = (0..=log.statements.len())
        .map(|size| note_of(&earlier(&log, size)))
        .collect();
    let report = found(&lines_of(&log), &saved).unwrap();
    assert_eq!(report.head, log.head());
    assert_eq!((report.statement_count, report.absent_count), (12, 0));
    assert_eq!(report.saved_count, 13);
    let signers: Vec<u64> = report.signers.iter().map(|by| by.node.get()).collect();
    assert_eq!(signers, [1, 2]);
    let empty = Log::of(vec![]);
    assert_eq!(found(&lines_of(&empty), &[]).unwrap().statement_count, 0);
}

#[test]
fn statements_that_are_no_longer_stored_are_there_by_their_hashes() {
    let log = story();
    let mut lines = lines_of(&log);
    for leaf in [PERMIT, REDEEMED, DENIED] {
        let hash = leaf_of(&log.statements[leaf].receipt_hash());
        lines[leaf] = leaf_line(&hash, None).trim_end().to_owned();
    }
    let report = found(&lines, &[note_of(&earlier(&log, 9))]).unwrap();
    assert_eq!((report.statement_count, report.absent_count), (9, 3));
    let absent = report
        .absent
        .iter()
        .flat_map(|(first, last)| *first..=*last);
    let mut expected = [PERMIT, REDEEMED, DENIED].map(|leaf| leaf as u64);
    expected.sort_unstable();
    assert_eq!(absent.collect::<Vec<_>>(), expected);
    let forged = leaf_line(&sha256(b"another"), None);
    lines[REDEEMED] = forged.trim_end().to_owned();
    // What followed the true one follows nothing now.
    assert_eq!(found(&lines, &[]), Err(LogError::Link { leaf: 6 }));
}

#[test]
fn line_that_was_deleted_inserted_or_changed_is_found_under_the_head_alone() {
    let lines = lines_of(&story());
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        found(&lines, &[]).unwrap_err()
    };
    let deleted = with(&|lines| {
        lines.remove(DENIED);
    });
    assert_eq!(deleted, LogError::Place { leaf: 5, found: 6 });
    let doubled = with(&|lines| lines.insert(4, lines[3].clone()));
    assert_eq!(doubled, LogError::Place { leaf: 4, found: 3 });
    let swapped = with(&|lines| lines.swap(3, 4));
    assert_eq!(swapped, LogError::Place { leaf: 3, found: 4 });
    let cut = with(&|lines| {
        lines.remove(11);
    });
    assert_eq!(cut, LogError::Count { size: 12, leaf: 11 });
    let hash = leaf_line(&sha256(b"more"), None);
    let longer = with(&|lines| lines.insert(12, hash.trim_end().to_owned()));
    assert_eq!(longer, LogError::Count { size: 12, leaf: 12 });
    assert_eq!(with(&|lines| lines.truncate(12)), LogError::Whole);
    assert_eq!(
        with(&|lines| lines.push(lines[12].clone())),
        LogError::Whole
    );
    let changed = with(&|lines| lines[1] = lines[1].replace("4.14.1", "4.14.2"));
    assert_eq!(changed, LogError::Changed { leaf: 1 });
    // With its hash: only the head knows.
    let changed = rewritten(|statements| {
        let Body::Policy(policy) = &mut statements[1].body else {
            panic!("a policy")
        };
        policy.policy_digest = sha256(b"another bundle");
    });
    let changed = with(&|lines| lines[1] = line_of(&changed.statements[1]));
    let range = LogError::Root {
        leaves: 0..12,
        head: "signed head",
    };
    assert_eq!(changed, range);
    let spaced = with(&|lines| lines[4] = lines[4].replacen(',', ", ", 1));
    assert_eq!((spaced.code(), spaced.leaves()), ("LOG_LINE", Some(4..5)));
    let unknown = with(&|lines| lines[12] = lines[12].replace("log/1", "log/2"));
    assert_eq!(unknown, LogError::UnknownSchema);
    assert_eq!(verify::<&str>([], &keys(), &[]), Err(LogError::Whole));
}

/// Every node obeys and signs: only whoever saved one checkpoint can tell.
#[test]
fn rewritten_history_is_found_from_one_saved_checkpoint() {
    let saved = [note_of(&earlier(&story(), 9))];
    let seen = |log: &Log| {
        let error = found(&lines_of(log), &saved).unwrap_err();
        (error.code(), error.leaves())
    };
    let changed = rewritten(|statements| {
        let Body::Policy(policy) = &mut statements[1].body else {
            panic!("a policy")
        };
        policy.policy_digest = sha256(b"another bundle");
    });
    assert!(
        found(&lines_of(&changed), &[]).is_ok(),
        "the head is signed"
    );
    assert_eq!(seen(&changed), ("LOG_ROOT", Some(0..9)));
    // The approval that is taken back at the end, so that the later leaves hang together still.
    let deleted = rewritten(|statements| {
        statements.remove(DENIED);
        statements.remove(9);
        // The leaf that changed the keys must stand where it stood.
        statements.insert(1, statements[1].clone());
    });
    assert!(matches!(seen(&deleted).0, "LOG_ROOT" | "LOG_LINK"));
    let inserted = rewritten(|statements| {
        let again = statements[1].clone();
        statements.insert(ROTATED + 1, again);
    });
    assert_eq!(seen(&inserted).1.map(|leaves| leaves.start < 9), Some(true));
    let shortened = earlier(&story(), 8);
    let shorter = LogError::Shorter { size: 8, saved: 9 };
    assert_eq!(found(&lines_of(&shortened), &saved), Err(shorter));
    // A change behind the saved checkpoint is new history, which it says nothing about.
    let later = rewritten(|statements| {
        statements.truncate(10);
    });
    assert!(found(&lines_of(&later), &saved).is_ok());
}

#[test]
fn more_saved_checkpoints_say_better_where_the_log_was_changed() {
    let log = rewritten(|statements| {
        let Body::Approved(approval) = &mut statements[2].body else {
            panic!("an approval")
        };
        approval.subject_digest = sha256(b"another subject");
        statements.truncate(3);
    });
    let saved: Vec<Note> = [1, 2, 3]
        .map(|size| note_of(&earlier(&story(), size)))
        .to_vec();
    let error = found(&lines_of(&log), &saved).unwrap_err();
    assert_eq!(error.leaves(), Some(2..3));
    assert_eq!(
        error.to_string(),
        "a leaf from 2 up to 2 was changed: the lines lead to another root than the \
         saved checkpoint"
    );
}

#[test]
fn head_and_saved_checkpoints_of_another_log_are_refused() {
    let log = story();
    let lines = lines_of(&log);
    let misnamed = note_of(&log).to_string().replace("node-2.", "node-3.");
    let mut forged = lines.clone();
    let head = head_line(&misnamed.parse().unwrap());
    forged[12] = head.trim_end().to_owned();
    assert_eq!(found(&forged, &[]).unwrap_err().code(), "UNKNOWN_KEY");
    let other = Note::new(
        note_of(&log).text().replace("/default", "/other"),
        note_of(&log).signatures().to_vec(),
    );
    assert_eq!(found(&lines, &[other.unwrap()]), Err(LogError::Saved));
    let no_head = Note::new("no head\n".to_owned(), note_of(&log).signatures().to_vec());
    assert_eq!(found(&lines, &[no_head.unwrap()]), Err(LogError::Saved));
}

/// Keys that are too old, too new, or made up.
#[test]
fn statements_about_keys_must_be_those_of_the_published_set() {
    let lines = lines_of(&story());
    let under = |epochs: Vec<Epoch>| {
        let found = verify(&lines, &key_set_of(epochs), &[]);
        found.map(|_| ()).map_err(|error| error.code())
    };
    let rotated = vec![epoch(0, 1, &[1]), epoch(8, 2, &[1, 2, 3])];
    assert_eq!(under(rotated.clone()), Ok(()));
    // A set that was published later says the same of the past.
    let later = [rotated.clone(), vec![epoch(13, 2, &[1, 2])]].concat();
    assert_eq!(under(later), Ok(()));
    let marks = vec![revoked(3, 20, 12)];
    let marked = KeySet::new(cluster(), namespace(), rotated, marks).unwrap();
    assert!(verify(&lines, &marked, &[]).is_ok());
    let made_up = vec![epoch(0, 1, &[1]), epoch(8, 2, &[1, 2, 4])];
    assert_eq!(under(made_up), Err("LOG_KEYS_STATEMENT"));
    let moved = vec![epoch(0, 1, &[1]), epoch(9, 2, &[1, 2, 3])];
    assert_eq!(under(moved), Err("LOG_KEYS_STATEMENT"));
    let old = key_set_of(vec![epoch(0, 1, &[1])]);
    let error = verify(&lines, &old, &[]).unwrap_err();
    assert_eq!(error, LogError::KeysStatement { leaf: 7 });
}

#[test]
fn statement_of_another_log_or_that_follows_nothing_is_refused() {
    let check = |change: &dyn Fn(&mut Statement), at: usize, error: LogError| {
        let log = rewritten(|statements| change(&mut statements[at]));
        assert_eq!(found(&lines_of(&log), &[]), Err(error));
    };
    let foreign = |statement: &mut Statement| {
        statement.namespace = holdpoint_receipt::Name::new("other").unwrap();
    };
    check(&foreign, 1, LogError::OtherLog { leaf: 1 });
    let unlinked = |statement: &mut Statement| match &mut statement.body {
        Body::Redeemed { step, .. } | Body::Completed { step, .. } => {
            step.previous = sha256(b"nothing");
        }
        _ => panic!("a step"),
    };
    check(&unlinked, REDEEMED, LogError::Link { leaf: 4 });
    check(&unlinked, COMPLETED, LogError::Link { leaf: 6 });
    let moved = |statement: &mut Statement| {
        let Body::Redeemed { step, .. } = &mut statement.body else {
            panic!("a redemption")
        };
        step.fence = Fence::MAX;
    };
    // The completion names the redemption by its hash.
    check(&moved, REDEEMED, LogError::Link { leaf: 6 });
}

/// One stolen node key makes no head that counts.
#[test]
fn log_signed_by_one_stolen_key_is_refused() {
    let log = rewritten(|statements| statements.truncate(9));
    let head = log.head();
    let key = secret_keys(3);
    let forged = key.sign_head(&cluster(), node(3), &head, SIGNED_AT_S);
    let mut lines = lines_of(&log);
    let note = head.to_note(vec![forged]).unwrap();
    lines[9] = head_line(&note).trim_end().to_owned();
    let error = found(&lines, &[]).unwrap_err();
    assert_eq!(error.code(), "NOT_ENOUGH_SIGNATURES");
}

#[test]
fn every_changed_byte_of_an_exported_log_is_refused() {
    let text = lines_of(&story()).join("\n").into_bytes();
    for place in (0..text.len()).step_by(3) {
        let mut changed = text.clone();
        // One bit, another one in the next.
        changed[place] ^= 1 << (place % 8);
        let lines = changed.split(|byte| *byte == b'\n');
        assert!(verify(lines, &keys(), &[]).is_err(), "byte {place}");
    }
}

proptest! {
    #[test]
    fn every_replaced_byte_of_an_exported_log_is_refused(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut text = lines_of(&story()).join("\n").into_bytes();
        let place = place.index(text.len());
        prop_assume!(text[place] != byte);
        text[place] = byte;
        let lines = text.split(|byte| *byte == b'\n');
        prop_assert!(verify(lines, &keys(), &[]).is_err());
    }

    #[test]
    fn no_lines_make_the_verifier_of_logs_panic(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..5),
    ) {
        prop_assert!(verify(&lines, &keys(), &[]).is_err());
        let keys = keys();
        let mut verifier = LogVerifier::new(&keys, &[]).unwrap();
        for line in &lines {
            prop_assert!(verifier.push(line).is_err());
        }
    }
}
