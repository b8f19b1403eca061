//! Every example of the help, as data: `-h` prints them, `holdpoint help examples` lists them, and a
//! test runs each one.
//!
//! They are lines for a POSIX shell, next to a `holdpoint dev` that was started in the same folder.
//! The shell has `plan.tfplan`, `README.md`, `cluster.toml`, a `passphrase`, a bundle in `policy/`, and
//! what earlier examples made; `$PERMIT` is an ISSUED permit, `$REDEEMED` a redeemed one, `$DIGEST` a
//! stored bundle, `$SUBJECT` what a request waits to have approved, and `$SALT` the salt that came with
//! `closed.json`, the receipt of a closed session.

/// The command as it is typed after `holdpoint`, and its examples.
pub(crate) type Examples = (&'static str, &'static [&'static str]);

/// All of them, in the order of `holdpoint --help`. The empty command is `holdpoint` itself.
pub(crate) const EXAMPLES: &[Examples] = &[
    (
        "",
        &[
            "holdpoint dev",
            "holdpoint authorize --surface demo.echo --param message=hello",
            "holdpoint run --surface demo.echo --bind file=@README.md -- cat {file}",
        ],
    ),
    (
        "dev",
        &[
            "holdpoint dev",
            "holdpoint dev --dir ./elsewhere --listen 127.0.0.1:7500",
        ],
    ),
    ("serve", &["holdpoint serve --config cluster.toml --node 1"]),
    (
        "authorize",
        &[
            "holdpoint authorize --surface demo.echo --param message=hello",
            "holdpoint authorize --surface infra.apply --bind plan=@plan.tfplan --param workspace=prod-eu",
            "holdpoint authorize --surface infra.apply --bind plan=@plan.tfplan --param workspace=prod-eu --wait 5m",
            "holdpoint authorize --surface demo.echo --param message=hello --session turn-7 --step 1",
            "holdpoint redeem \"$PERMIT\" && holdpoint complete \"$PERMIT\" --committed && holdpoint authorize --surface demo.echo --param message=then --after \"$PERMIT\"",
        ],
    ),
    (
        "redeem",
        &[
            "holdpoint redeem \"$PERMIT\"",
            "holdpoint redeem \"$PERMIT\" --bind plan=@plan.tfplan",
        ],
    ),
    (
        "complete",
        &[
            "holdpoint complete \"$REDEEMED\" --committed",
            "holdpoint complete \"$REDEEMED\" --aborted",
        ],
    ),
    ("revoke", &["holdpoint revoke \"$PERMIT\""]),
    (
        "run",
        &[
            "holdpoint run --surface demo.echo --bind file=@README.md -- cat {file}",
            "holdpoint run --surface infra.apply --bind plan=@plan.tfplan --param workspace=prod-eu -- terraform apply -input=false {plan}",
        ],
    ),
    ("approvals pending", &["holdpoint approvals pending"]),
    ("approvals show", &["holdpoint approvals show \"$SUBJECT\""]),
    (
        "approvals approve",
        &[
            "holdpoint approvals approve \"$SUBJECT\" --caller alice --dry-run",
            "holdpoint approvals approve \"$SUBJECT\" --caller alice --yes",
        ],
    ),
    (
        "approvals revoke",
        &["holdpoint approvals revoke \"$SUBJECT\" --dry-run"],
    ),
    ("session close", &["holdpoint session close turn-7"]),
    ("permits in-doubt", &["holdpoint permits in-doubt"]),
    (
        "permits list",
        &["holdpoint permits list --surface demo.echo"],
    ),
    (
        "resolve",
        &["holdpoint resolve \"$REDEEMED\" --aborted --reason not-in-the-log"],
    ),
    ("get permit", &["holdpoint get permit \"$PERMIT\""]),
    (
        "get operation",
        &["holdpoint get operation infra.apply workspace workspace/prod-eu"],
    ),
    (
        "get receipt",
        &[
            "holdpoint get receipt \"$PERMIT\" --out receipt.json",
            "holdpoint get receipt --leaf 0",
        ],
    ),
    (
        "why",
        &[
            "holdpoint why \"$PERMIT\"",
            "holdpoint get receipt \"$PERMIT\" --out receipt.json && holdpoint why receipt.json",
        ],
    ),
    (
        "watch",
        &[
            "holdpoint watch --from 0 --count 1",
            "holdpoint watch --from 0 --count 1 --kind policy --output cloudevents",
        ],
    ),
    (
        "status",
        &[
            "holdpoint status",
            "holdpoint status --endpoint 127.0.0.1:7400 --this-node",
        ],
    ),
    ("cluster members", &["holdpoint cluster members"]),
    ("cluster add", &["holdpoint cluster add --node 4 --dry-run"]),
    (
        "cluster promote",
        &["holdpoint cluster promote --node 4 --dry-run"],
    ),
    (
        "cluster remove",
        &["holdpoint cluster remove --node 4 --dry-run"],
    ),
    (
        "freeze",
        &[
            "holdpoint freeze --dry-run",
            "holdpoint freeze --surface data.export",
        ],
    ),
    ("thaw", &["holdpoint thaw --surface data.export"]),
    (
        "erase",
        &["holdpoint erase --permit \"$PERMIT\" --reason asked-by-its-subject --dry-run"],
    ),
    ("retention get", &["holdpoint retention get"]),
    (
        "retention set",
        &[
            "holdpoint retention set --permits 180d --disclosures 30d --dry-run",
            "holdpoint retention set --statements forever",
        ],
    ),
    ("policy check", &["holdpoint policy check policy"]),
    ("policy test", &["holdpoint policy test policy"]),
    (
        "policy diff",
        &[
            "holdpoint policy diff policy policy",
            "holdpoint policy diff active policy",
        ],
    ),
    (
        "policy simulate",
        &["holdpoint policy simulate --bundle policy --since 24h"],
    ),
    ("policy put", &["holdpoint policy put policy"]),
    (
        "policy activate",
        &[
            "holdpoint policy activate \"$DIGEST\"",
            "holdpoint policy activate \"$DIGEST\" --expect 1",
            "holdpoint policy activate \"$DIGEST\" --drain --wait 10m",
        ],
    ),
    (
        "policy rollback",
        &["holdpoint policy rollback 1 --dry-run"],
    ),
    (
        "policy cancel-drain",
        &["holdpoint policy cancel-drain --dry-run"],
    ),
    ("policy history", &["holdpoint policy history"]),
    ("policy list", &["holdpoint policy list"]),
    ("policy get", &["holdpoint policy get --out copy"]),
    (
        "policy delete",
        &["holdpoint policy delete \"$DIGEST\" --dry-run"],
    ),
    (
        "policy shadow set",
        &["holdpoint policy shadow set \"$DIGEST\""],
    ),
    ("policy shadow clear", &["holdpoint policy shadow clear"]),
    ("policy shadow report", &["holdpoint policy shadow report"]),
    ("keys export", &["holdpoint keys export --out keys.json"]),
    ("keys jwks", &["holdpoint keys jwks --out keys.jwks"]),
    ("keys list", &["holdpoint keys list"]),
    ("keys rotate", &["holdpoint keys rotate --node 1 --dry-run"]),
    ("keys retire", &["holdpoint keys retire --node 1 --dry-run"]),
    (
        "keys revoke",
        &["holdpoint keys revoke --node 1 --after 1 --dry-run"],
    ),
    (
        "keys require",
        &["holdpoint keys require --signers 1 --dry-run"],
    ),
    (
        "keys reencrypt",
        &["holdpoint keys reencrypt --data-dir .holdpoint --new-passphrase-file passphrase"],
    ),
    (
        "trust new-root",
        &["holdpoint trust new-root --key root-a.key --name example.org/root-a --roots roots"],
    ),
    (
        "trust init",
        &["holdpoint trust init --roots roots --expires 90d --out trust.json"],
    ),
    (
        "trust sign",
        &["holdpoint trust sign trust.json --key root-a.key"],
    ),
    ("trust show", &["holdpoint trust show trust.json"]),
    (
        "trust verify",
        &["holdpoint trust verify trust.json --roots roots"],
    ),
    (
        "receipt verify",
        &[
            "holdpoint keys export --out keys.json && holdpoint receipt chain \"$PERMIT\" --out story && holdpoint receipt verify story --keys keys.json",
            "holdpoint get receipt \"$PERMIT\" --out receipt.json && holdpoint keys export --out keys.json && holdpoint receipt verify receipt.json --keys keys.json",
            "holdpoint get receipt \"$PERMIT\" --out receipt.json && holdpoint keys export --out keys.json && holdpoint receipt verify receipt.json --keys keys.json --mode execute --surface demo.echo --action echo --param message=hello --accept-dev",
            "holdpoint get receipt \"$PERMIT\" --out receipt.json && holdpoint receipt verify receipt.json --trust trust.json --roots roots",
        ],
    ),
    (
        "receipt chain",
        &[
            "holdpoint receipt chain \"$PERMIT\"",
            "holdpoint redeem \"$PERMIT\" --receipt redeemed.json && holdpoint keys export --out keys.json && holdpoint receipt chain .holdpoint/receipts/\"$PERMIT\".json redeemed.json --keys keys.json",
        ],
    ),
    (
        "receipt open",
        &[
            "holdpoint keys export --out keys.json && holdpoint receipt open closed.json --keys keys.json --field session=turn-8 --statement-salt \"$SALT\"",
        ],
    ),
    (
        "receipt disclose",
        &["holdpoint receipt disclose \"$PERMIT\" --field caller"],
    ),
    (
        "receipt refresh",
        &[
            "holdpoint get receipt \"$PERMIT\" --out receipt.json && holdpoint receipt refresh receipt.json",
        ],
    ),
    (
        "log checkpoint",
        &["holdpoint log checkpoint --out checkpoint"],
    ),
    ("log prove", &["holdpoint log prove --leaf 0"]),
    (
        "log consistency",
        &["holdpoint log checkpoint --out checkpoint && holdpoint log consistency checkpoint"],
    ),
    ("log export", &["holdpoint log export --out log.jsonl"]),
    (
        "log verify",
        &[
            "holdpoint log export --out log.jsonl && holdpoint keys export --out keys.json && holdpoint log verify log.jsonl --keys keys.json",
        ],
    ),
    (
        "witness",
        &[
            "holdpoint witness --listen 127.0.0.1:7600 --key witness.key --state witness --log 00112233445566778899aabbccddeeff/default --log-keys keys.json",
        ],
    ),
    (
        "help",
        &[
            "holdpoint help run",
            "holdpoint help exit-codes",
            "holdpoint help examples --output json",
        ],
    ),
];

/// The examples of one command.
pub(crate) fn of(command: &str) -> &'static [&'static str] {
    EXAMPLES
        .iter()
        .find(|(known, _)| *known == command)
        .map_or(&[], |(_, lines)| lines)
}

/// The examples for the help: those of the command, or of a group, those of its commands.
pub(crate) fn shown(command: &str) -> Vec<&'static str> {
    let own = of(command);
    if !own.is_empty() {
        return own.to_vec();
    }
    let inside = |known: &str| {
        known
            .strip_prefix(command)
            .is_some_and(|rest| rest.starts_with(' '))
    };
    EXAMPLES
        .iter()
        .filter(|(known, _)| inside(known))
        .flat_map(|(_, lines)| *lines)
        .copied()
        .collect()
}
