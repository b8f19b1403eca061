//! Single parts of a decision, each by itself: what one of them costs, and not what a cluster does.
//!
//! `holdpoint-load` says what all of them together cost; this says where to look.
#![expect(
    clippy::unwrap_used,
    reason = "a part that does not work is not measured"
)]

#[path = "../src/history/lives.rs"]
mod lives;

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use holdpoint_core::codec::{decode_entry, encode_entry};
use holdpoint_core::outcome::AuthorizeOutcome;
use holdpoint_core::{Command, Entry, GroupId, MapView, Outcome, apply};
use holdpoint_policy::{Bundle, Facts, Input, Policy, directory};
use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::merkle::{Frontier, leaf_of, prove_inclusion, verify_inclusion};
use holdpoint_receipt::verify::verify_head_signature;
use holdpoint_receipt::{
    Caller, ClusterId, ClusterTime, Digest, Name, NodeId, NodeSecretKeys, Params, Request,
    SecretKey, Statement, TreeSize, sha256,
};
use holdpoint_storage::{
    DataDir, FaultLatch, Identity, Incarnation, LogOptions, LogStore as _, wait,
};

use lives::Lives;

/// Commands in one entry, as many as a busy leader batches.
const PER_ENTRY: usize = 64;
const NOW_MS: u64 = 1_800_000_000_000;

/// A state machine in memory.
struct Machine {
    view: MapView,
    index: u64,
    lives: Lives,
}

impl Machine {
    fn founded() -> Self {
        let lives = Lives::new().unwrap();
        let founding = lives.founding(NOW_MS).unwrap();
        let mut machine = Self {
            view: MapView::new(),
            index: 0,
            lives,
        };
        for command in founding {
            machine.apply(&entry(vec![command]));
        }
        machine
    }

    fn apply(&mut self, entry: &Entry) -> Vec<Outcome> {
        self.index += 1;
        let applied = apply(&self.view, 1, self.index, entry).unwrap();
        self.view.commit(&applied.writes);
        applied.outcomes
    }

    fn authorize(&mut self) -> Entry {
        entry(self.lives.authorize(PER_ENTRY, NOW_MS).unwrap())
    }
}

fn entry(commands: Vec<Command>) -> Entry {
    Entry {
        group: GroupId::FIRST,
        time: ClusterTime::new(NOW_MS).unwrap(),
        commands,
    }
}

/// What `judge` says to whole entries: 64 attempts on fresh keys, their redemptions and outcomes.
fn judge(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judge");
    group.throughput(Throughput::Elements(PER_ENTRY as u64));
    group.bench_function("64 authorize", |bencher| {
        let mut machine = Machine::founded();
        let next = |machine: &mut Machine| machine.authorize();
        bencher.iter_custom(|rounds| {
            let mut spent = std::time::Duration::ZERO;
            for _ in 0..rounds {
                let entry = next(&mut machine);
                let begun = std::time::Instant::now();
                let outcomes = machine.apply(&entry);
                spent += begun.elapsed();
                Lives::require_granted(&outcomes).unwrap();
            }
            spent
        });
    });
    group.bench_function("64 lives, and a sweep", |bencher| {
        let mut machine = Machine::founded();
        bencher.iter(|| {
            let authorize = machine.authorize();
            let outcomes = machine.apply(&authorize);
            let (redeems, completes) = machine.lives.finish(&outcomes).unwrap();
            for commands in [redeems, completes] {
                Lives::require_done(&machine.apply(&entry(commands))).unwrap();
            }
            let time = Lives::step_time(NOW_MS).unwrap();
            let sweep = machine.lives.sweep();
            machine.apply(&entry(vec![time, sweep]))
        });
    });
    group.finish();
}

fn codec(criterion: &mut Criterion) {
    let entry = Machine::founded().authorize();
    let bytes = encode_entry(&entry).unwrap();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(PER_ENTRY as u64));
    group.bench_function("encode an entry of 64", |bencher| {
        bencher.iter(|| encode_entry(black_box(&entry)).unwrap());
    });
    group.bench_function("decode an entry of 64", |bencher| {
        bencher.iter(|| decode_entry(black_box(&bytes)).unwrap());
    });
    group.finish();
}

/// A request as the load generator asks.
fn asked() -> Request {
    let plan = sha256(b"plan");
    let params = format!(
        "{{\"key\":\"c0-0123456789abcdef\",\"plan_sha256\":\"{plan}\",\"environment\":\"staging\",\
         \"commit\":\"commit-7\",\"adds\":12,\"destroys\":0}}"
    );
    Request {
        namespace: Name::new("default").unwrap(),
        caller: Caller::new("loopback:bench").unwrap(),
        actor: None,
        surface: Name::new("job.run").unwrap(),
        action: Name::new("run").unwrap(),
        params: Params::parse(params.as_bytes()).unwrap(),
        session: None,
        step: None,
        prerequisites: Vec::new(),
    }
}

fn request(criterion: &mut Criterion) {
    let request = asked();
    let canonical = request.to_canonical();
    let params = request.params.as_json().to_canonical();
    criterion.bench_function("request/parse parameters", |bencher| {
        bencher.iter(|| Params::parse(black_box(params.as_bytes())).unwrap());
    });
    criterion.bench_function("request/canonical form and digest", |bencher| {
        bencher.iter(|| black_box(&request).digest());
    });
    criterion.bench_function("request/parse the canonical form", |bencher| {
        bencher.iter(|| Request::parse_canonical(black_box(canonical.as_bytes())).unwrap());
    });
}

fn policy(criterion: &mut Criterion) {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let policy = Policy::load(&directory::read(&bundle).unwrap()).unwrap();
    let (request, facts) = (asked(), Facts::default());
    let evaluate = || {
        policy.evaluate(Input {
            request: black_box(&request),
            now_ms: NOW_MS,
            facts: &facts,
        })
    };
    let evaluation = evaluate();
    assert!(
        matches!(&evaluation, holdpoint_policy::Evaluation::Decided(decided) if decided.verdict.is_permit()),
        "{evaluation:?}"
    );
    criterion.bench_function("policy/evaluate, 20 policies", |bencher| {
        bencher.iter(evaluate);
    });
}

/// The bundle of the benches with `count` surfaces in place of its own, each with an action of its own,
/// all under the eight policies of `job.run` and every fourth under one more.
fn with_surfaces(bundle: &Bundle, count: usize) -> Bundle {
    let text = |path: &str| str::from_utf8(bundle.file(path).unwrap()).unwrap();
    let (types, _) = text("schema.cedarschema").split_once("action \"").unwrap();
    let mut schema = format!("{types}action jobs;\n");
    let mut surfaces =
        String::from("callers: { 'loopback:bench': 'Caller::\"bench\"' }\nsurfaces:\n");
    let shared = text("policies/job.cedar");
    let mut policies = shared.replace(
        "action == Action::\"job.run\"",
        "action in Action::\"jobs\"",
    );
    for number in 0..count {
        writeln!(
            schema,
            "action \"j{number}\" in [jobs] appliesTo {{ principal: Caller, resource: Job, context: JobContext }};"
        )
        .unwrap();
        writeln!(
            surfaces,
            "  j{number}: {{ principal: Caller, actions: {{ run: j{number} }}, resource: 'Job::\"{{params.key}}\"', \
             resource_must_exist: false, params: JobParams, executors: [caller], \
             bounds: [{{ name: job, exclusive: 'j{number}/{{params.key}}' }}], permit_for: 10m, \
             complete_within: 10m }}"
        )
        .unwrap();
        if number % 4 == 0 {
            writeln!(
                policies,
                "@id(\"o{number}\")@reason(\"-\")permit(principal,action==Action::\"j{number}\",resource)\
                 when{{context.params.adds==1}};"
            )
            .unwrap();
        }
    }
    let manifest = text("bundle.yaml").replace(", policies/others.cedar", "");
    let files = [
        ("bundle.yaml", manifest),
        ("schema.cedarschema", schema),
        ("surfaces.yaml", surfaces),
        ("policies/job.cedar", policies),
        ("entities.json", text("entities.json").to_owned()),
    ];
    Bundle::new(files).unwrap()
}

/// That it costs the same however many surfaces there are.
fn surfaces(criterion: &mut Criterion) {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let bundle = directory::read(&bundle).unwrap();
    let mut group = criterion.benchmark_group("policy, among surfaces");
    for count in [10, 100, 1_000] {
        let policy = Policy::load(&with_surfaces(&bundle, count)).unwrap();
        let request = Request {
            surface: Name::new(format!("j{}", count / 2 - 1)).unwrap(),
            ..asked()
        };
        let facts = Facts::default();
        group.bench_function(format!("evaluate, {count} surfaces"), |bencher| {
            bencher.iter(|| {
                policy.evaluate(Input {
                    request: black_box(&request),
                    now_ms: NOW_MS,
                    facts: &facts,
                })
            });
        });
    }
    group.finish();
}

fn statement(criterion: &mut Criterion) {
    let mut machine = Machine::founded();
    let entry = machine.authorize();
    let outcomes = machine.apply(&entry);
    let canonical = outcomes
        .iter()
        .find_map(|outcome| match outcome {
            Outcome::Authorized(AuthorizeOutcome::Decided(decision)) => {
                Some(decision.statement.bytes.clone())
            }
            _ => None,
        })
        .unwrap();
    let statement = Statement::parse(&canonical).unwrap();
    criterion.bench_function("statement/canonical form and hash", |bencher| {
        bencher.iter(|| black_box(&statement).receipt_hash());
    });
    criterion.bench_function("statement/parse", |bencher| {
        bencher.iter(|| Statement::parse(black_box(&canonical)).unwrap());
    });
}

fn merkle(criterion: &mut Criterion) {
    const SIZE: u64 = 100_000;
    let mut nodes = std::collections::BTreeMap::new();
    let mut frontier = Frontier::default();
    let leaf = |number: u64| leaf_of(&sha256(&number.to_be_bytes()));
    for number in 0..SIZE {
        for node in frontier.append(leaf(number)).unwrap() {
            nodes.insert((node.level, node.index), node.hash);
        }
    }
    let root = frontier.root();
    criterion.bench_function("merkle/append 64 leaves and take the root", |bencher| {
        let leaves: Vec<Digest> = (0..64).map(leaf).collect();
        bencher.iter_batched(
            || frontier.clone(),
            |mut frontier| {
                for leaf in &leaves {
                    frontier.append(*leaf).unwrap();
                }
                frontier.root()
            },
            BatchSize::SmallInput,
        );
    });
    let read = |level, index| Ok::<_, ()>(nodes.get(&(level, index)).copied());
    criterion.bench_function("merkle/prove one of 100,000", |bencher| {
        bencher.iter(|| prove_inclusion(black_box(77_777), SIZE, read).unwrap());
    });
    let path = prove_inclusion(77_777, SIZE, read).unwrap();
    criterion.bench_function("merkle/verify one of 100,000", |bencher| {
        let leaf = leaf(77_777);
        bencher.iter(|| verify_inclusion(77_777, SIZE, &leaf, black_box(&path), &root).unwrap());
    });
}

/// What the signatures under one head cost, for each of the 64 decisions that it proves: every signer's two
/// are its own, and the leader verifies those of the others.
fn sign(criterion: &mut Criterion) {
    let cluster = ClusterId::from_bytes([7; 16]);
    let node = NodeId::new(2).unwrap();
    let key = |seed: u8| SecretKey::from_seed(&[seed; 32]);
    let keys = NodeSecretKeys::new(key(1), key(2)).unwrap();
    let head = Checkpoint {
        origin: Origin::new(&cluster, &Name::new("default").unwrap()),
        size: TreeSize::new(100_000).unwrap(),
        root: sha256(b"root"),
    };
    let now_s = NOW_MS / 1_000;
    let signature = keys.sign_head(&cluster, node, &head, now_s);
    let mut group = criterion.benchmark_group("sign");
    group.throughput(Throughput::Elements(PER_ENTRY as u64));
    group.bench_function("a head of 64 decisions, one node", |bencher| {
        bencher.iter(|| keys.sign_head(&cluster, node, black_box(&head), now_s));
    });
    let public = keys.public();
    group.bench_function("verify it", |bencher| {
        bencher.iter(|| {
            verify_head_signature(&cluster, &head, &public, black_box(&signature)).unwrap()
        });
    });
    group.finish();
}

/// The log on the real disk, one caller who waits: a sync for each append.
fn log(criterion: &mut Criterion) {
    let scratch = holdpoint_tests::scratch::Scratch::within(Path::new("/var/tmp"));
    let identity = Identity {
        cluster: ClusterId::from_bytes([7; 16]),
        node: NodeId::new(1).unwrap(),
        incarnation: Incarnation::from_bytes([1; 16]),
    };
    let directory = DataDir::create(&scratch.join("node"), identity).unwrap();
    let options = LogOptions::default();
    let log = directory.open_log(options, FaultLatch::new()).unwrap();
    let bytes = Bytes::from(encode_entry(&Machine::founded().authorize()).unwrap());
    let mut next = 0_u64;
    criterion.bench_function("log/append an entry of 64, synced", |bencher| {
        bencher.iter(|| {
            let entries = vec![(next, bytes.clone())];
            next += 1;
            wait(|done| log.append(GroupId::FIRST, entries, done)).unwrap();
        });
    });
}

criterion_group!(
    parts, judge, codec, request, policy, surfaces, statement, merkle, sign, log
);
criterion_main!(parts);
