//! Who signs: epochs, their handovers, marks on keys.

use expect_test::expect;

use crate::script::check;

#[test]
fn first_epoch_opens_with_a_majority_and_signs_every_size_before_the_second() {
    check(
        "
        epochs
        rotate 1 11
        announce 1
        require 1
        epochs
        announce 2
        epochs
        stated 0 kind change node tree_size_from signers_needed caller_commitment
        announce 3
        epochs
        stated 1 kind change node tree_size_from signers_needed caller_commitment
        announce 3
        log
        ",
        &expect![[r#"
            1: no epoch
            2: refused UNKNOWN_NODE
            3: announced
            4: refused KEYS_PENDING
            5: no epoch
            6: announced
            7: 0: 2 of 1 2
            8: kind=keys change=founded node=none tree_size_from=0 signers_needed=2 caller_commitment=none
            9: announced
            10: 0: 2 of 1 2 | 2: 2 of 1 2 3 PENDING
            11: kind=keys change=announced node=3 tree_size_from=2 signers_needed=2 caller_commitment=none
            12: announced
            13: keys keys
        "#]],
    );
}

#[test]
fn announcing_all_voters_in_one_entry_opens_two_epochs_of_which_the_newest_is_handed_over() {
    check(
        "
        announce 1 2 3
        epochs
        retire 3
        hand over ; by 1
        hand over ; by 1 3
        hand over ; by 1 2
        hand over ; by 2 3
        epochs
        ",
        &expect![[r#"
            1: announced, announced, announced
            2: 0: 2 of 1 2 | 2: 2 of 1 2 3 PENDING
            3: refused KEYS_PENDING
            4: rejected: the note does not hand the log over: it is another head, or not signed by enough nodes of either epoch
            5: rejected: the note does not hand the log over: it is another head, or not signed by enough nodes of either epoch
            6: done
            7: done (replay)
            8: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over
        "#]],
    );
}

#[test]
fn note_of_other_signers_sizes_or_roots_hands_nothing_over() {
    check(
        "
        announce 1 2 3
        hand over ; by 1 2.22
        hand over ; by 1 2 ; forged
        hand over ; by 1 2 ; size 1
        put p pay account!
        activate p
        hand over 0 ; by 1 2
        hand over 7 ; by 1 2
        hand over ; by 1 2 3
        hand over ; by 1 2
        ",
        &expect![[r#"
            1: announced, announced, announced
            2: rejected: the note does not hand the log over: it is another head, or not signed by enough nodes of either epoch
            3: rejected: the note does not hand the log over: it is another head, or not signed by enough nodes of either epoch
            4: rejected: the note does not hand the log over: the head is of another epoch's size, or beyond the log
            5: put
            6: activated version=1
            7: rejected: the note does not hand the log over: there is no such epoch, or it is the first
            8: rejected: the note does not hand the log over: there is no such epoch, or it is the first
            9: done
            10: done (replay)
        "#]],
    );
}

#[test]
fn keys_that_rotate_are_handed_over_before_the_next_change_of_keys() {
    check(
        "
        announce 1 2 3
        hand over ; by 1 2
        rotate 3 33
        epochs
        rotate 2 22
        hand over ; by 1 2
        rotate 3 33
        rotate 3 34 ; from 3
        rotate 3 3
        rotate 3 2
        rotate 2 22
        hand over ; by 2 2.22
        hand over ; by 1 2 2.22
        epochs
        announce 2 ; keys 22
        announce 2
        rotate 9 99
        ",
        &expect![[r#"
            1: announced, announced, announced
            2: done
            3: done stated at 2
            4: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 2 of 1 2 3.33 PENDING
            5: refused KEYS_PENDING
            6: done
            7: done (replay)
            8: refused KEYS_MOVED
            9: refused KEYS_UNFIT
            10: refused KEYS_UNFIT
            11: done stated at 3
            12: rejected: the note does not hand the log over: it is another head, or not signed by enough nodes of either epoch
            13: done
            14: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 2 of 1 2 3.33 handed over | 4: 2 of 1 2.22 3.33 handed over
            15: announced
            16: rejected: node 2 is known under other keys
            17: refused UNKNOWN_NODE
        "#]],
    );
}

#[test]
fn node_that_is_retired_votes_and_does_not_sign_until_it_is_given_keys() {
    check(
        "
        announce 1 2 3
        hand over ; by 1 2
        retire 3
        stated 2 change node caller_commitment
        hand over ; by 1 2
        retire 3
        retire 2
        wait 5s
        announce 3
        epochs
        rotate 3 3
        epochs
        retire 9
        ",
        &expect![[r#"
            1: announced, announced, announced
            2: done
            3: done stated at 2
            4: change=retired node=3 caller_commitment=…
            5: done
            6: done (replay)
            7: refused TOO_FEW_SIGNERS
            8: time +5s
            9: announced
            10: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 2 of 1 2 handed over
            11: done stated at 3
            12: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 2 of 1 2 handed over | 4: 2 of 1 2 3 PENDING
            13: refused UNKNOWN_NODE
        "#]],
    );
}

#[test]
fn keys_that_are_marked_sign_no_more_and_cannot_come_back() {
    check(
        "
        announce 1 2 3
        hand over ; by 1 2
        mark 3 33 ; to 1
        mark 3 3 ; to 3
        mark 3 3 ; to 1
        stated 2 change node tree_size_from
        epochs
        marks
        mark 3 3 ; to 2
        hand over ; by 1 3
        hand over ; by 1 2
        mark 3 3 ; to 0
        marks
        stated 3 change node tree_size_from
        announce 3
        rotate 3 3
        rotate 3 33
        mark 2 2 ; to 1
        hand over ; by 1 2
        mark 2 2 ; to 1
        hand over ; by 1 2
        hand over ; by 1 3.33
        epochs
        ",
        &expect![[r#"
            1: announced, announced, announced
            2: done
            3: refused UNKNOWN_KEY
            4: rejected: a head of 3 leaves, and the log has 2
            5: done stated at 2
            6: change=revoked node=3 tree_size_from=3
            7: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 2 of 1 2 PENDING
            8: [3 to 1 at 2]
            9: done (replay)
            10: rejected: the note does not hand the log over: it is another head, or not signed by enough nodes of either epoch
            11: done
            12: done stated at 3
            13: [3 to 1 at 2, 3 to 0 at 3]
            14: change=revoked node=3 tree_size_from=3
            15: announced
            16: refused KEYS_UNFIT
            17: done stated at 4
            18: refused KEYS_PENDING
            19: done
            20: done stated at 5
            21: rejected: the note does not hand the log over: it is another head, or not signed by enough nodes of either epoch
            22: done
            23: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 2 of 1 2 handed over | 5: 2 of 1 2 3.33 handed over | 6: 2 of 1 3.33 handed over
        "#]],
    );
}

#[test]
fn marks_on_keys_of_the_past_change_nobody_who_signs() {
    check(
        "
        announce 1 2 3
        hand over ; by 1 2
        rotate 3 33
        hand over ; by 1 2
        mark 3 3 ; to 2
        epochs
        stated 3 change tree_size_from signers_needed
        mark 3 3 ; to 3
        ",
        &expect![[r#"
            1: announced, announced, announced
            2: done
            3: done stated at 2
            4: done
            5: done stated at 3
            6: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 2 of 1 2 3.33 handed over
            7: change=revoked tree_size_from=3 signers_needed=2
            8: done (replay)
        "#]],
    );
}

#[test]
fn more_signers_than_there_are_cannot_be_required_and_fewer_than_a_majority_never_count() {
    check(
        "
        announce 1 2 3
        hand over ; by 1 2
        require 0
        require 32
        require 4
        require 3
        epochs
        hand over ; by 1 2
        hand over ; by 1 2 3
        retire 3
        mark 3 3 ; to 1
        require 3
        require 1
        epochs
        hand over ; by 1 2
        hand over ; by 1 2 3
        require majority
        retire 3
        epochs
        ",
        &expect![[r#"
            1: announced, announced, announced
            2: done
            3: rejected: 0 signers; from 1 to 31 can be required
            4: rejected: 32 signers; from 1 to 31 can be required
            5: refused TOO_FEW_SIGNERS
            6: done stated at 2
            7: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 PENDING
            8: rejected: the note does not hand the log over: it is another head, or not signed by enough nodes of either epoch
            9: done
            10: refused TOO_FEW_SIGNERS
            11: refused TOO_FEW_SIGNERS
            12: done (replay)
            13: done stated at 3
            14: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 handed over | 4: 2 of 1 2 3 PENDING
            15: rejected: the note does not hand the log over: it is another head, or not signed by enough nodes of either epoch
            16: done
            17: done
            18: done stated at 4
            19: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 handed over | 4: 2 of 1 2 3 handed over | 5: 2 of 1 2 PENDING
        "#]],
    );
}

#[test]
fn membership_changes_who_signs_and_how_many_must() {
    check(
        "
        announce 1 2 3
        hand over ; by 1 2
        voters 1 2 3
        voters 1 2 3 4
        epochs
        announce 4
        epochs
        hand over ; by 1 2 3
        voters 4 5 6
        epochs
        announce 5
        epochs
        stated 4 change node
        hand over ; by 1 2 4 5
        hand over ; by 1 2 3 4 5
        announce 6
        epochs
        ",
        &expect![[r#"
            1: announced, announced, announced
            2: done
            3: no head
            4: head 3
            5: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 PENDING
            6: announced
            7: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 | 4: 3 of 1 2 3 4 PENDING
            8: done
            9: no head
            10: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 | 4: 3 of 1 2 3 4 handed over
            11: announced
            12: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 | 4: 3 of 1 2 3 4 handed over | 5: 2 of 4 5 PENDING
            13: change=announced node=5
            14: done
            15: done (replay)
            16: announced
            17: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 | 4: 3 of 1 2 3 4 handed over | 5: 2 of 4 5 handed over | 6: 2 of 4 5 6 PENDING
        "#]],
    );
}

#[test]
fn epochs_that_never_proved_anything_are_covered_by_the_newest() {
    check(
        "
        announce 1 2 3
        hand over ; by 1 2
        announce 4 5
        voters 1 2 3 4
        voters 1 2 3 4 5
        voters 3 4 5
        epochs
        hand over 4 ; by 1 2 3 ; size 4
        hand over ; by 4 5
        hand over ; by 3 4 5
        hand over ; by 2 3 4
        hand over 5 ; by 1 2 3 ; size 5
        epochs
        ",
        &expect![[r#"
            1: announced, announced, announced
            2: done
            3: announced, announced
            4: head 3
            5: head 4
            6: head 5
            7: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 4 | 4: 3 of 1 2 3 4 5 | 5: 2 of 3 4 5 PENDING
            8: done
            9: rejected: the note does not hand the log over: it is another head, or not signed by enough nodes of either epoch
            10: done
            11: done (replay)
            12: done (replay)
            13: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 4 | 4: 3 of 1 2 3 4 5 handed over | 5: 2 of 3 4 5 handed over
        "#]],
    );
}

#[test]
fn membership_that_leaves_too_few_signers_opens_no_epoch_until_they_announce_themselves() {
    check(
        "
        announce 1 2 3
        hand over ; by 1 2
        require 3
        hand over ; by 1 2 3
        voters 1 2
        epochs
        hand over ; by 1 2 3
        voters 7 8 9
        epochs
        voters 1 7
        announce 7
        epochs
        ",
        &expect![[r#"
            1: announced, announced, announced
            2: done
            3: done stated at 2
            4: done
            5: head 4
            6: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 handed over | 4: 2 of 1 2 PENDING
            7: done
            8: no head
            9: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 handed over | 4: 2 of 1 2 handed over
            10: no head
            11: announced
            12: 0: 2 of 1 2 | 2: 2 of 1 2 3 handed over | 3: 3 of 1 2 3 handed over | 4: 2 of 1 2 handed over | 5: 2 of 1 7 PENDING
        "#]],
    );
}

#[test]
fn keys_of_another_or_in_two_roles_are_not_announced() {
    check(
        "
        announce 1
        announce 2 ; keys 1
        announce 4 ; keys 44
        announce 3 ; keys 44
        announce 2
        announce 5 ; keys 2
        epochs
        ",
        &expect![[r#"
            1: announced
            2: rejected: the keys of node 2 are malformed, weak, or in use by another
            3: announced
            4: rejected: the keys of node 3 are malformed, weak, or in use by another
            5: announced
            6: rejected: the keys of node 5 are malformed, weak, or in use by another
            7: 0: 2 of 1 2
        "#]],
    );
}
