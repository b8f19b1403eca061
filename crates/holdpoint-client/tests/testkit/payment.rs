//! The payment of the README against every answer that can be lost: the money moves at most once.

use std::sync::Mutex;

use holdpoint_client::testkit::{Call, Testbed, Twist};
use holdpoint_client::{
    CompleteError, Gate, NothingHappened, Operation, Permit, RedeemError, Redeemed, Refusal,
};
use holdpoint_receipt::Reason;

use crate::payment;

/// Money that moved, by fence.
#[derive(Default)]
struct Bank(Mutex<Vec<u64>>);

impl Bank {
    fn transfer(&self, permit: &Permit<Redeemed>) -> Result<(), NothingHappened> {
        let fence = permit.fence().get();
        let mut moved = self.0.lock().unwrap();
        // A downstream that remembers the highest fence refuses a stale writer.
        if moved.last().is_some_and(|last| *last >= fence) {
            return Err(NothingHappened);
        }
        moved.push(fence);
        Ok(())
    }

    fn transfers(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Why a payment is not known to be made and recorded.
#[derive(Debug)]
enum NotPaid {
    Denied,
    AskAgain,
    InDoubt,
}

/// The code under test, as production has it.
async fn pay(gate: &Gate, operation: &Operation, bank: &Bank) -> Result<(), NotPaid> {
    let permit = match gate.authorize(operation).await {
        Ok(permit) => permit,
        Err(Refusal::Denied(_)) => return Err(NotPaid::Denied),
        Err(Refusal::Silence(_)) => return Err(NotPaid::AskAgain),
    };
    let redeemed = match permit.redeem().await {
        Ok(redeemed) => redeemed,
        Err(RedeemError::Silence(open)) => open.retry().await.map_err(|_| NotPaid::InDoubt)?,
        Err(RedeemError::Refused(_) | RedeemError::InDoubt(_)) => return Err(NotPaid::InDoubt),
    };
    let result = bank.transfer(&redeemed);
    match redeemed.complete(result.into()).await {
        Ok(_) => Ok(()),
        Err(CompleteError::Silence(open)) => {
            open.retry().await.map(drop).map_err(|_| NotPaid::InDoubt)
        }
        Err(CompleteError::Refused(_)) => Err(NotPaid::InDoubt),
    }
}

#[tokio::test]
async fn money_moves_once_whichever_answer_is_lost() {
    let calls = [Call::Authorize, Call::Redeem, Call::Complete];
    let twists = [
        Twist::LoseAnswer,
        Twist::LoseRequest,
        Twist::BreakConnection,
        Twist::ChangeLeader,
    ];
    for call in calls {
        for twist in &twists {
            let bed = Testbed::starter().unwrap();
            let (gate, bank) = (bed.gate("billing"), Bank::default());
            let operation = payment("INV-7", 2_500).key("INV-7/attempt-1");
            bed.next(call, twist.clone());
            if let Err(error) = pay(&gate, &operation, &bank).await {
                assert!(matches!(error, NotPaid::AskAgain), "{call} {twist:?}");
                pay(&gate, &operation, &bank).await.unwrap();
            }
            assert_eq!(bank.transfers(), 1, "{call} {twist:?}");
            // Neither a retry nor a new attempt moves it again.
            pay(&gate, &operation, &bank).await.unwrap_err();
            let anew = payment("INV-7", 2_500).key("INV-7/attempt-2");
            let refused = pay(&gate, &anew, &bank).await;
            assert!(matches!(refused, Err(NotPaid::Denied)), "{refused:?}");
            assert_eq!(bank.transfers(), 1, "{call} {twist:?}");
        }
    }
}

#[tokio::test]
async fn redeem_that_stays_silent_moves_no_money_and_is_in_doubt() {
    let bed = Testbed::starter().unwrap();
    let (gate, bank) = (bed.gate("billing"), Bank::default());
    bed.next(Call::Redeem, Twist::LoseAnswer)
        .next(Call::Redeem, Twist::Refuse(Reason::NoQuorum));
    let operation = payment("INV-7", 2_500).key("INV-7/attempt-1");
    let first = pay(&gate, &operation, &bank).await;
    assert!(matches!(first, Err(NotPaid::InDoubt)), "{first:?}");
    // The process that comes after it did not send that redeem, so it must not act on it.
    let second = pay(&gate, &operation, &bank).await;
    assert!(matches!(second, Err(NotPaid::InDoubt)), "{second:?}");
    assert_eq!(bank.transfers(), 0);
}
