//! The code of docs/testing.md. A test below compares: what stands there is what runs here.
use std::cell::Cell;
use std::time::Duration;

use holdpoint_client::testkit::{Call, Testbed, Twist};
use holdpoint_client::{
    CompleteError, Decided, Gate, NothingHappened, Operation, Permit, PermitFilter, RedeemError,
    Redeemed, Refusal,
};

/// Moves money. It takes a redeemed permit, so it cannot be called without one.
trait Bank {
    async fn transfer(&self, permit: &Permit<Redeemed>) -> Result<(), NothingHappened>;
}

/// What is known of a payment that was asked for.
#[derive(Debug, PartialEq)]
enum Payment {
    Made,
    Denied,
    /// Nobody knows yet. Asking again with the same operation finds out.
    AskAgain,
    /// It may have been made. Somebody has to look.
    InDoubt,
}

async fn pay(gate: &Gate, operation: &Operation, bank: &impl Bank) -> Payment {
    let permit = match gate.authorize(operation).await {
        Ok(permit) => permit,
        Err(Refusal::Denied(_)) => return Payment::Denied,
        Err(Refusal::Silence(_)) => return Payment::AskAgain,
    };
    let redeemed = match permit.redeem().await {
        Ok(redeemed) => redeemed,
        // It may be redeemed. Only a retry of this very redeem may go on.
        Err(RedeemError::Silence(open)) => match open.retry().await {
            Ok(redeemed) => redeemed,
            Err(_) => return Payment::InDoubt,
        },
        Err(RedeemError::Refused(_) | RedeemError::InDoubt(_)) => return Payment::InDoubt,
    };
    let result = bank.transfer(&redeemed).await;
    match redeemed.complete(result.into()).await {
        Ok(_) => Payment::Made,
        // Saying the same outcome again is harmless.
        Err(CompleteError::Silence(open)) => match open.retry().await {
            Ok(_) => Payment::Made,
            Err(_) => Payment::InDoubt,
        },
        Err(CompleteError::Refused(_)) => Payment::InDoubt,
    }
}

#[derive(Default)]
struct TestBank {
    transfers: Cell<u32>,
}

impl Bank for TestBank {
    async fn transfer(&self, _: &Permit<Redeemed>) -> Result<(), NothingHappened> {
        self.transfers.set(self.transfers.get() + 1);
        Ok(())
    }
}

fn invoice(number: u32) -> Operation {
    Operation::new("payment.execute")
        .param("account", "main")
        .param("amount_minor", 2500)
        .param("currency", "EUR")
        .param("invoice", format!("INV-{number}"))
}

#[tokio::test]
async fn lost_answers_move_the_money_once() {
    let bed = Testbed::starter().unwrap(); // or Testbed::from_directory("policy")
    let gate = bed.gate("billing"); // the caller is loopback:billing
    let bank = TestBank::default();
    let payment = invoice(7).key("INV-7/attempt-1");

    // The permit is granted, and nobody hears of it. Later the outcome is recorded, likewise.
    bed.next(Call::Authorize, Twist::LoseAnswer)
        .next(Call::Complete, Twist::LoseAnswer);
    assert_eq!(pay(&gate, &payment, &bank).await, Payment::AskAgain);
    assert_eq!(bank.transfers.get(), 0);

    // The same operation is the same attempt, and finds the permit.
    assert_eq!(pay(&gate, &payment, &bank).await, Payment::Made);
    assert_eq!(bank.transfers.get(), 1);

    // Another attempt at the same invoice is denied, whatever its key.
    let again = invoice(7).key("INV-7/attempt-2");
    assert_eq!(pay(&gate, &again, &bank).await, Payment::Denied);
    assert_eq!(bank.transfers.get(), 1);
}

#[tokio::test]
async fn silence_says_whether_anything_may_have_been_decided() {
    let bed = Testbed::starter().unwrap();
    let gate = bed.gate("billing");
    bed.next(Call::Authorize, Twist::LoseRequest);
    let Err(Refusal::Silence(silence)) = gate.authorize(&invoice(1)).await else {
        panic!("the request was lost");
    };
    // It was not, but the caller cannot know that.
    assert_eq!(silence.decided(), Decided::Unknown);
}

#[tokio::test]
async fn permits_end_and_forgotten_ones_are_in_doubt() {
    let bed = Testbed::starter().unwrap();
    let gate = bed.gate("worker");
    let step = |message: &str| Operation::new("demo.echo").param("message", message);

    let late = gate.authorize(&step("late")).await.unwrap();
    bed.advance(Duration::from_mins(5)).await.unwrap();
    let refused = late.redeem().await.unwrap_err();
    assert_eq!(refused.reason().as_str(), "EXPIRED");

    let crashed = gate.authorize(&step("crash")).await.unwrap();
    let crashed = crashed.redeem().await.unwrap();
    let id = crashed.id();
    crashed.leave_in_doubt();
    bed.advance(Duration::from_mins(10)).await.unwrap();
    let in_doubt = gate.permits(PermitFilter::InDoubt).next().await.unwrap();
    assert_eq!(in_doubt.map(|permit| permit.id), Some(id));
}

#[tokio::test]
async fn second_apply_waits_for_the_first() {
    let bed = Testbed::starter().unwrap();
    let gate = bed.gate("ci");
    let apply = |plan: &str| {
        Operation::new("infra.apply")
            .param("workspace", "prod-eu")
            .param("plan_sha256", plan.repeat(64))
    };
    let (first, second) = (apply("a"), apply("b"));
    let running = gate.authorize(&first).await.unwrap();
    let running = running.redeem().await.unwrap();

    let (permit, receipt) = tokio::join!(
        gate.authorize(&second).wait(Duration::from_mins(1)),
        running.commit(),
    );
    receipt.unwrap();
    permit.unwrap().set_aside();
}

#[test]
fn every_block_of_the_page_is_code_of_this_file() {
    let page = include_str!("../../../../docs/testing.md");
    let here = include_str!("page.rs");
    let blocks: Vec<&str> = page
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 4, "the page has {} blocks", blocks.len());
    for block in blocks {
        assert!(here.contains(block.trim_end()), "not in page.rs:\n{block}");
    }
}
