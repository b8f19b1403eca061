//! A closed loop through the client crate: so many requests in flight, each on a fresh exclusive key
//! (workload W1 of `benches/README.md`).
//!
//! It never starts or stops a node, and never counts an answer that did not verify as a decision.
#![expect(
    clippy::print_stdout,
    reason = "the measurement is this program's data"
)]

mod latency;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use holdpoint_client::{Gate, Operation, Refusal};
use holdpoint_receipt::{Digest, sha256};

/// Not measured: connections come up, caches fill.
const WARM_UP: Duration = Duration::from_secs(2);

/// What one task saw.
#[derive(Default)]
struct Seen {
    permits: Vec<Duration>,
    denials: u64,
    silences: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [endpoints, in_flight, seconds] = words.as_slice() else {
        eprintln!("usage: holdpoint-load ENDPOINT[,ENDPOINT…] IN_FLIGHT SECONDS");
        return ExitCode::from(2);
    };
    let (Ok(in_flight), Ok(seconds)) = (in_flight.parse::<usize>(), seconds.parse::<u64>()) else {
        eprintln!("error: `{in_flight}` and `{seconds}` must be whole numbers");
        return ExitCode::from(2);
    };
    match load(endpoints, in_flight, Duration::from_secs(seconds)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn load(
    endpoints: &str,
    in_flight: usize,
    measure: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    let gate = Gate::connect(endpoints.split(',')).await?;
    // Keys are fresh in every run, so that runs against one cluster do not meet.
    let run = sha256(format!("{:?}", std::time::SystemTime::now()).as_bytes());
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..in_flight)
        .map(|_| tokio::spawn(ask(gate.clone(), run, Arc::clone(&next), start, measure)))
        .collect();
    let mut all = Seen::default();
    for task in tasks {
        let seen = task.await?;
        all.permits.extend(seen.permits);
        all.denials = all.denials.saturating_add(seen.denials);
        all.silences = all.silences.saturating_add(seen.silences);
    }
    all.permits.sort_unstable();
    report(in_flight, measure, &all);
    Ok(())
}

/// Asks again and again until the time is over.
async fn ask(
    gate: Gate,
    run: Digest,
    next: Arc<AtomicU64>,
    start: Instant,
    measure: Duration,
) -> Seen {
    let mut seen = Seen::default();
    while start.elapsed() < WARM_UP.saturating_add(measure) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let plan = sha256(format!("{run}/{number}").as_bytes());
        let operation = Operation::new("infra.apply")
            .param("workspace", format!("w{number}-{run}"))
            .bind_sha256("plan", plan);
        let asked = Instant::now();
        let answer = gate.authorize(&operation).await;
        let counts = start.elapsed() >= WARM_UP;
        match answer {
            Ok(permit) => {
                permit.set_aside();
                if counts {
                    seen.permits.push(asked.elapsed());
                }
            }
            Err(Refusal::Denied(_)) => {
                seen.denials = seen.denials.saturating_add(u64::from(counts));
            }
            Err(Refusal::Silence(silence)) => {
                eprintln!("{silence}");
                seen.silences = seen.silences.saturating_add(u64::from(counts));
            }
        }
    }
    seen
}

fn report(in_flight: usize, measure: Duration, all: &Seen) {
    // In tenths, so that no floating point is needed to print it.
    let tenths = (all.permits.len() as u128)
        .saturating_mul(10_000)
        .checked_div(measure.as_millis())
        .unwrap_or_default();
    println!(
        "in flight {in_flight:>5}   permits/s {}.{}   p50 {:?}   p99 {:?}   denials {}   silences {}",
        tenths / 10,
        tenths % 10,
        latency::percentile(&all.permits, 50),
        latency::percentile(&all.permits, 99),
        all.denials,
        all.silences,
    );
}
