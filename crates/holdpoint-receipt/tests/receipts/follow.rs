//! From trusted keys to later ones: only over the signatures of their own nodes.

use holdpoint_receipt::keys::{Epoch, FollowError};
use holdpoint_receipt::statement::{KeysChange, KeysStatement};
use holdpoint_receipt::{Body, KeySet, Receipt};

use crate::fixture::{Log, epoch, key_set_of, revoked, statement};

/// Leaf 0 opens the first epoch, leaf 1 the second, leaf 2 the third, each stated as published.
fn log_of(epochs: &[Epoch]) -> Log {
    let stated = (0_u64..).zip(epochs).map(|(leaf, newest)| {
        let published = key_set_of(epochs.to_vec()).as_of(leaf);
        let body = Body::Keys(KeysStatement {
            keys_digest: published.digest(),
            signers_needed: newest.signers_needed,
            tree_size_from: newest.tree_size_from,
            change: KeysChange::Rotated,
            node: None,
            caller_commitment: None,
        });
        statement(leaf, body)
    });
    Log::of(stated.collect())
}

fn epochs() -> Vec<Epoch> {
    vec![
        epoch(0, 2, &[1, 2, 3]),
        epoch(2, 2, &[2, 3, 4]),
        epoch(3, 2, &[3, 4, 5]),
    ]
}

/// The receipts of the statements at leaves 1 and 2, under heads that these have signed.
fn links(second: &[u8], third: &[u8]) -> Vec<Receipt> {
    let all = epochs();
    let (two, three) = (log_of(&all[..2]), log_of(&all));
    vec![two.receipt(1, second), three.receipt(2, third)]
}

fn trusted() -> KeySet {
    key_set_of(epochs()[..1].to_vec())
}

#[test]
fn keys_are_followed_over_each_handover() {
    let published = key_set_of(epochs());
    let links = links(&[2, 3], &[3, 4]);
    assert_eq!(trusted().follow(&published, &links), Ok(published.clone()));
    // What is known already is linked again, and what is not linked yet is not trusted yet.
    let two = key_set_of(epochs()[..2].to_vec());
    assert_eq!(two.follow(&published, &links), Ok(published.clone()));
    assert_eq!(trusted().follow(&published, &links[..1]), Ok(two));
    assert_eq!(trusted().follow(&published, &[]), Ok(trusted()));
}

#[test]
fn keys_that_too_few_of_either_side_signed_are_not_followed() {
    let published = key_set_of(epochs());
    let code = |second: &[u8], third: &[u8]| {
        let found = trusted().follow(&published, &links(second, third));
        match found.unwrap_err() {
            FollowError::Link { leaf, problem } => (leaf, problem.code()),
            other => panic!("{other}"),
        }
    };
    assert_eq!(code(&[2, 4], &[3, 4]), (1, "NOT_ENOUGH_SIGNATURES"));
    assert_eq!(code(&[1, 2], &[3, 4]), (1, "NOT_ENOUGH_SIGNATURES"));
    assert_eq!(code(&[2, 3], &[4, 5]), (2, "NOT_ENOUGH_SIGNATURES"));
    assert_eq!(code(&[2, 3], &[3, 6]), (2, "UNKNOWN_KEY"));
}

#[test]
fn set_that_the_statement_does_not_name_is_not_followed() {
    let links = links(&[2, 3], &[3, 4]);
    let mut forged = epochs();
    forged[1] = epoch(2, 2, &[2, 3, 9]);
    let found = trusted().follow(&key_set_of(forged), &links);
    assert_eq!(found, Err(FollowError::Statement { leaf: 1 }));
    let mut rewritten = epochs();
    rewritten[0] = epoch(0, 1, &[1, 2, 3]);
    let found = trusted().follow(&key_set_of(rewritten), &links);
    assert_eq!(found, Err(FollowError::Rewritten));
}

#[test]
fn marks_are_taken_and_never_given_up() {
    let marked = KeySet::new(
        *trusted().authority(),
        trusted().namespace().clone(),
        epochs()[..1].to_vec(),
        vec![revoked(1, 1, 1)],
    );
    let marked = marked.unwrap();
    assert_eq!(trusted().follow(&marked, &[]), Ok(marked.clone()));
    let found = marked.follow(&trusted(), &[]);
    assert_eq!(found, Err(FollowError::Rewritten));
}

/// Keys are marked after they have signed handovers; whoever has the first keys still gets to the last,
/// because more signed than had to.
#[test]
fn keys_are_followed_past_a_mark_where_enough_others_signed() {
    let mark = revoked(2, 9, 1);
    let (first, namespace) = (trusted(), trusted().namespace().clone());
    let published = KeySet::new(*first.authority(), namespace, epochs(), vec![mark]).unwrap();
    let with_more = links(&[1, 2, 3, 4], &[2, 3, 4, 5]);
    let found = first.follow(&published, &with_more);
    assert_eq!(found, Ok(published.clone()));
    let with_few = links(&[2, 3], &[3, 4]);
    let FollowError::Link { leaf, problem } = first.follow(&published, &with_few).unwrap_err()
    else {
        panic!("the link does not hold")
    };
    assert_eq!((leaf, problem.code()), (1, "NOT_ENOUGH_SIGNATURES"));
}
