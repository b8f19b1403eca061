//! The examples of `docs/reference/configuration.md` are what the program reads.

use std::path::Path;

use holdpoint_server::config::ClusterFile;
use holdpoint_server::limits;

const PAGE: &str = include_str!("../../../../docs/reference/configuration.md");

/// The fenced blocks of the page that are marked as TOML.
fn examples() -> Vec<&'static str> {
    PAGE.split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

#[test]
fn every_example_is_a_cluster_file() {
    let examples = examples();
    assert_eq!(examples.len(), 2, "count the examples again");
    let nodes = examples.iter().map(|text| {
        let file = ClusterFile::parse(text, Path::new("cluster.toml")).unwrap();
        file.nodes.len()
    });
    assert_eq!(nodes.collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn every_limit_on_the_page_is_the_one_of_the_program() {
    let thousands = |count: usize| match (count / 1_000, count % 1_000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{thousands},{rest:03}"),
    };
    for (what, count) in [
        (
            "attempts that wait for a decision at once",
            limits::ASKING_MAX,
        ),
        (
            "redeems, completions and revocations that wait at once",
            limits::SETTLING_MAX,
        ),
        (
            "reads and policy changes that wait at once",
            limits::READING_MAX,
        ),
        (
            "requests in flight on one stream",
            limits::STREAM_IN_FLIGHT_MAX,
        ),
        ("client connections", limits::CONNECTIONS_MAX),
        (
            "connections of HTTP/1.1 among them",
            limits::HTTP_CONNECTIONS_MAX,
        ),
        ("reads of the public log at once", limits::HTTP_READING_MAX),
        ("exports of the log at once", limits::EXPORTING_MAX),
    ] {
        let line = format!("| {what} | {} |", thousands(count));
        assert!(PAGE.contains(&line), "the page does not say `{line}`");
    }
}
