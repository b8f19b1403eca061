//! Several nodes prove one log to each other, over stores in memory.

mod sim;

use std::sync::Arc;
use std::time::Duration;

use holdpoint_core::command::{Command, RotateKeys};
use holdpoint_receipt::{Caller, Salt, sha256};
use holdpoint_storage::{MemLog, StateStore as _, Syncs};

use super::error::SignError;
use super::heads::Head;
use super::nodes::Answer;
use super::signer::SignHead;
use super::{install, memory};
use sim::{GROUP, Sim, default, founded, freeze, freeze_by, id, keys, start};

fn signers(verified: &holdpoint_receipt::Verified) -> Vec<u64> {
    let signers = verified.signers().iter();
    signers.map(|signer| signer.node.get()).collect()
}

/// Polls until `holds` does.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let found = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn receipt_carries_exactly_as_many_signers_as_a_majority_has() {
    for (nodes, needed) in [(1, 1), (2, 2), (3, 2), (5, 3)] {
        let sim = start(nodes).await;
        let leaf = sim.state_something();
        let verified = sim.receipt(1, leaf).await;
        assert_eq!(verified.signers().len(), needed, "of {nodes}");
        assert_eq!(verified.signers_needed() as usize, needed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_does_not_lead_gets_its_proofs_from_who_does() {
    let sim = start(3).await;
    let leaf = sim.state_something();
    let at_leader = sim.receipt(1, leaf).await;
    let at_follower = sim.receipt(3, leaf).await;
    assert_eq!(at_leader.receipt_hash(), at_follower.receipt_hash());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_voter_away_stops_nothing_and_two_stop_all_proofs_until_one_is_back() {
    let sim = start(3).await;
    sim.cut(&[3]);
    let first = sim.state_something();
    assert_eq!(signers(&sim.receipt(1, first).await), [1, 2]);
    sim.cut(&[2, 3]);
    let second = sim.state_something();
    sim.no_receipt(1, second).await;
    sim.cut(&[2]);
    assert_eq!(signers(&sim.receipt(1, second).await), [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn round_asks_as_many_as_must_sign_and_everybody_once_in_a_while() {
    let sim = start(3).await;
    sim.asked.lock().unwrap().clear();
    let asked_of = |node| {
        let asked = sim.asked.lock().unwrap();
        asked.iter().filter(|(asked, _)| *asked == id(node)).count()
    };
    let both = async {
        while asked_of(3) == 0 || asked_of(2) <= 2 * asked_of(3) {
            let leaf = sim.state_something();
            assert_eq!(signers(&sim.receipt(1, leaf).await).len(), 2);
        }
    };
    let both = tokio::time::timeout(Duration::from_secs(20), both).await;
    both.expect("node 2 is asked in every round, node 3 in one of many");
}

#[tokio::test(flavor = "multi_thread")]
async fn signer_that_does_not_sign_is_asked_after_one_that_does() {
    let sim = start(3).await;
    sim.cut(&[2]);
    let first = sim.state_something();
    assert_eq!(signers(&sim.receipt(1, first).await), [1, 3]);
    // A round that asked everybody learns nothing of who is quick: more of them follow.
    let quick = async {
        loop {
            sim.asked.lock().unwrap().clear();
            let leaf = sim.state_something();
            assert_eq!(signers(&sim.receipt(1, leaf).await), [1, 3]);
            if *sim.asked.lock().unwrap() == [(id(3), leaf + 1)] {
                return;
            }
        }
    };
    let quick = tokio::time::timeout(Duration::from_secs(20), quick).await;
    quick.expect("node 3 is asked and node 2 is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_that_was_deposed_and_is_cut_off_proves_nothing() {
    let sim = start(3).await;
    sim.cut(&[1]);
    let leaf = sim.state_something();
    sim.no_receipt(1, leaf).await;
    sim.lead(Some(2));
    assert_eq!(signers(&sim.receipt(2, leaf).await), [2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn follower_with_another_history_is_left_out_and_stops_when_it_hears_of_the_proven_one() {
    let sim = start(3).await;
    // Node 3 was tampered with: it has a statement that nobody else has.
    sim.node(3).apply(freeze_by("loopback:intruder", true));
    let leaf = sim.state_something();
    assert_eq!(signers(&sim.receipt(1, leaf).await), [1, 2]);
    let standing = sim.node(3).cosigner().standing().clone();
    let diverged = async {
        // Not every round asks it; it hears of what is proven when one does.
        while standing.diverged().is_none() {
            let next = sim.state_something();
            assert_eq!(signers(&sim.receipt(1, next).await), [1, 2]);
        }
    };
    let deadline = Duration::from_secs(20);
    let diverged = tokio::time::timeout(deadline, diverged).await;
    diverged.expect("node 3 diverged");
    assert!(sim.node(1).cosigner().standing().diverged().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_with_another_history_proves_nothing_and_gives_leadership_up() {
    let sim = start(3).await;
    sim.node(1).apply(freeze_by("loopback:intruder", true));
    let leaf = sim.node(1).head().size - 1;
    sim.apply_on_others();
    sim.no_receipt(1, leaf).await;
    let diverged = sim.node(1).cosigner().standing().diverged();
    assert_eq!(diverged, Some(default()));
    assert!(sim.stepped_down.lock().unwrap().contains(&id(1)));
    // The others go on without it.
    sim.lead(Some(2));
    let leaf = sim.node(2).head().size - 1;
    let file = sim
        .node(2)
        .cosigner()
        .receipt(&default(), leaf)
        .await
        .unwrap();
    let verified = holdpoint_receipt::verify(&file, &sim.node(2).published()).unwrap();
    assert_eq!(signers(&verified), [2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_diverged_while_it_followed_gives_leadership_up_when_it_is_elected() {
    let sim = start(3).await;
    let leaf = sim.state_something();
    sim.receipt(1, leaf).await;
    let _diverged = sim.node(3).cosigner().standing().diverge(&default());
    sim.lead(Some(3));
    let leaf = sim.state_something();
    sim.no_receipt(3, leaf).await;
    assert!(sim.stepped_down.lock().unwrap().contains(&id(3)));
}

impl Sim {
    /// Nodes 2 and 3 apply what node 1 does not have.
    fn apply_on_others(&self) {
        for node in [2, 3] {
            self.node(node).apply(freeze(true));
            self.node(node).apply(freeze(false));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn round_after_a_larger_head_asks_everybody_for_one_at_least_as_large() {
    let sim = start(3).await;
    let first = sim.state_something();
    sim.receipt(1, first).await;
    // Node 2 has signed a larger head for another leader; node 3 is away.
    sim.cut(&[3]);
    let second = sim.state_something();
    let larger = sim.node(2).head();
    let asked = SignHead {
        namespace: default(),
        head: larger,
        epoch_from: sim.epoch_from(),
    };
    let answer = sim.ask(2, asked).await;
    assert!(matches!(answer, Answer::Signature(_)), "{answer:?}");
    let third = sim.state_something();
    assert_eq!(signers(&sim.receipt(1, second).await), [1, 2]);
    assert_eq!(signers(&sim.receipt(1, third).await), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn smaller_head_than_the_one_signed_is_refused_and_the_larger_one_is_named() {
    let sim = start(3).await;
    let small = sim.node(2).head();
    let leaf = sim.state_something();
    sim.receipt(1, leaf).await;
    let large = sim.node(2).head();
    let from = sim.epoch_from();
    let ask = |head: Head| SignHead {
        namespace: default(),
        head,
        epoch_from: from,
    };
    assert!(matches!(sim.ask(2, ask(large)).await, Answer::Signature(_)));
    assert_eq!(sim.ask(2, ask(small)).await, Answer::Larger(large));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_with_another_root_is_not_signed_and_is_counted_and_the_node_goes_on() {
    let sim = start(3).await;
    let own = sim.node(2).head();
    let other = Head {
        root: sha256(b"another history"),
        ..own
    };
    let ask = |head: Head| SignHead {
        namespace: default(),
        head,
        epoch_from: sim.epoch_from(),
    };
    assert_eq!(sim.ask(2, ask(other)).await, Answer::Mismatch(own.root));
    assert_eq!(sim.node(2).cosigner().standing().mismatches(), 1);
    assert!(matches!(sim.ask(2, ask(own)).await, Answer::Signature(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_that_is_not_applied_in_time_is_not_signed() {
    let sim = start(3).await;
    let beyond = Head {
        size: sim.node(2).head().size + 5,
        root: sha256(b"beyond"),
    };
    let asked = SignHead {
        namespace: default(),
        head: beyond,
        epoch_from: sim.epoch_from(),
    };
    assert_eq!(sim.ask(2, asked).await, Answer::NotYet(beyond.size - 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_that_is_later_than_a_nodes_clock_is_not_signed_by_it() {
    let sim = start(3).await;
    // Entries carry cluster time a little beyond zero: each moves it by a bounded step.
    *sim.node(2).clock.0.lock().unwrap() = 0;
    let leaf = sim.state_something();
    assert_eq!(signers(&sim.receipt(1, leaf).await), [1, 3]);
    let standing = sim.node(2).cosigner().standing().clone();
    until("node 2 says why it does not sign", || {
        matches!(standing.trouble(), Some(SignError::AheadOfClock { .. }))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_before_enough_nodes_are_announced() {
    let sim = founded(3);
    for node in 1..=3 {
        sim.run(node);
    }
    sim.lead(Some(1));
    sim.announce(1);
    sim.apply(&freeze(true));
    let leaf = sim.node(1).head().size - 1;
    sim.no_receipt(1, leaf).await;
    sim.announce(2);
    assert_eq!(signers(&sim.receipt(1, leaf).await), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_rotated_are_handed_over_before_anything_leaves_under_them() {
    let sim = start(3).await;
    let first = sim.state_something();
    sim.receipt(1, first).await;
    for node in [2, 3, 1] {
        let (old, new) = (keys(node, 0).public(), keys(node, 1));
        let public = new.public();
        sim.node(node).keys.add(new);
        sim.apply(&Command::RotateKeys(RotateKeys {
            node: id(node),
            log_key: *public.log.as_bytes(),
            cosign_key: *public.cosign.as_bytes(),
            expected_log_key: *old.log.as_bytes(),
            expected_cosign_key: *old.cosign.as_bytes(),
            principal: Caller::new("loopback:ops").unwrap(),
            salt: Salt::from_bytes([2; 32]),
        }));
        let leaf = sim.state_something();
        sim.receipt(1, leaf).await;
        assert!(sim.is_handed_over(), "the newest epoch was handed over");
    }
    // What was proved before the rotations verifies with the keys of today.
    assert_eq!(sim.receipt(1, first).await.signers().len(), 2);
    assert!(sim.node(1).published().epochs().len() >= 4);
}

impl Sim {
    fn epoch_from(&self) -> u64 {
        let epochs = self.node(1).published();
        epochs
            .epochs()
            .last()
            .map_or(0, |epoch| epoch.tree_size_from.get())
    }

    fn is_handed_over(&self) -> bool {
        let found = self.node(1).state().read(|view| {
            let state = holdpoint_core::Query::new(view, GROUP);
            let log = state.namespace(&default()).unwrap().unwrap();
            let epochs = log.epochs().unwrap();
            epochs
                .last()
                .is_some_and(|(_, epoch)| epoch.handover.is_some())
        });
        found.unwrap()
    }

    async fn ask(&self, node: u64, asked: SignHead) -> Answer {
        self.service_of(node).sign_head(asked, None).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_signs_nothing_after_a_start_before_a_majority_said_what_it_signed() {
    let sim = start(3).await;
    let leaf = sim.state_something();
    sim.receipt(1, leaf).await;
    sim.stop(2);
    sim.cut(&[2]);
    sim.run(2);
    let asked = SignHead {
        namespace: default(),
        head: sim.node(2).head(),
        epoch_from: sim.epoch_from(),
    };
    let answer = sim.ask(2, asked.clone()).await;
    assert_eq!(answer, Answer::Refused("starting".to_owned()));
    sim.cut(&[]);
    let ready = async {
        while !matches!(sim.ask(2, asked.clone()).await, Answer::Signature(_)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ready)
        .await
        .expect("it signs once a majority has answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn node_whose_memory_was_lost_does_not_sign_a_second_history() {
    let sim = start(3).await;
    sim.cut(&[3]);
    let leaf = sim.state_something();
    assert_eq!(signers(&sim.receipt(1, leaf).await), [1, 2]);
    let signed = sim.node(2).head();
    // Node 2 comes back with what it remembered lost, and with another tree of the same size.
    sim.stop(2);
    *sim.node(2).log.lock().unwrap() = Arc::new(MemLog::new(Syncs::AtOnce));
    sim.node(2).replace_state_with_a_fork();
    sim.run(2);
    let fork = sim.node(2).head();
    assert_eq!(fork.size, signed.size);
    assert_ne!(fork.root, signed.root);
    let asked = SignHead {
        namespace: default(),
        head: fork,
        epoch_from: sim.epoch_from(),
    };
    let refused = async {
        while sim.ask(2, asked.clone()).await == Answer::Refused("starting".to_owned()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sim.ask(2, asked.clone()).await
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), refused).await;
    assert_eq!(answer.unwrap(), Answer::Refused("diverged".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_remembered_on_disk_before_its_signature_leaves() {
    let sim = founded(1);
    sim.announce(1);
    let log = Arc::new(MemLog::new(Syncs::WhenTold));
    *sim.node(1).log.lock().unwrap() = Arc::clone(&log);
    sim.run(1);
    sim.lead(Some(1));
    let leaf = sim.state_something();
    let cosigner = sim.node(1).cosigner();
    let receipt = tokio::spawn(async move { cosigner.receipt(&default(), leaf).await });
    until("the head waits for the disk", || log.unsynced_count() > 0).await;
    assert!(!receipt.is_finished());
    // From here on everything is durable at once.
    while !receipt.is_finished() {
        log.sync();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    receipt.await.unwrap().unwrap();
    let head = sim.node(1).head();
    assert_eq!(
        memory::read(&log.crash(), GROUP, &default()).unwrap(),
        Some(head)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_round_serves_everybody_who_waits() {
    let sim = start(3).await;
    let leaves: Vec<u64> = (0..40).map(|_| sim.state_something()).collect();
    let cosigner = sim.node(1).cosigner();
    let before = cosigner.standing().rounds();
    let name = default();
    let files = leaves.iter().map(|leaf| cosigner.receipt(&name, *leaf));
    let files = futures_util::future::join_all(files).await;
    assert!(files.iter().all(Result::is_ok));
    assert!(
        cosigner.standing().rounds() - before <= 3,
        "not one a receipt"
    );
}

/// The proof of node 1 for a snapshot of what it has, which is proven.
fn snapshot_proof(sim: &Sim) -> Vec<u8> {
    let sizes = [(default(), sim.node(1).head().size)].into();
    let cosigner = sim.node(1).cosigner();
    let proof = sim.node(1).state().read(|view| {
        let state = holdpoint_core::Query::new(view, GROUP);
        install::prove(&state, &sizes, |name, size| {
            cosigner.heads.covering(name, size)
        })
    });
    proof.unwrap().unwrap().expect("the head is proven")
}

/// Whether node `to` takes the state of node `from` as a snapshot with this proof.
fn installs(sim: &Sim, from: u64, to: u64, proof: &[u8]) -> Result<(), String> {
    let (received, own) = (sim.node(from).state(), sim.node(to).state());
    let log = Arc::clone(&sim.node(to).log.lock().unwrap());
    let checked = received.read(|received| {
        own.read(|own| {
            let received = holdpoint_core::Query::new(received, GROUP);
            let own = holdpoint_core::Query::new(own, GROUP);
            install::check(&sim::cluster(), proof, &received, &own, |name| {
                memory::read(&*log, GROUP, name).unwrap()
            })
        })
    });
    checked.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_is_taken_with_its_proof_and_a_forged_one_is_refused_and_says_why() {
    let sim = start(3).await;
    let leaf = sim.state_something();
    sim.receipt(1, leaf).await;
    let proof = snapshot_proof(&sim);
    assert_eq!(installs(&sim, 1, 2, &proof), Ok(()));
    // Nothing proves it.
    let refused = installs(&sim, 1, 2, &[]).unwrap_err();
    assert!(refused.contains("no proven head"), "{refused}");
    // The statements that this node has are not in it.
    sim.node(3).replace_state_with_a_fork();
    let refused = installs(&sim, 3, 2, &proof).unwrap_err();
    assert!(refused.contains("are not those of this node"), "{refused}");
    // It goes on from this node's own past, but not to the proven head.
    let next = sim.state_something();
    sim.receipt(1, next).await;
    let newer = snapshot_proof(&sim);
    sim.node(1)
        .apply(freeze_by("loopback:intruder", !sim.node(1).is_frozen()));
    let refused = installs(&sim, 1, 2, &newer).unwrap_err();
    assert!(
        refused.contains("does not lead to its proven head"),
        "{refused}"
    );
}
