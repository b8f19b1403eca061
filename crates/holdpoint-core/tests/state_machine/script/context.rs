//! Lines about what stands around requests.
//!
//! ```text
//! approve QUORUM SUBJECT [; by bob] [; for 60s] [; version N]
//! disapprove QUORUM SUBJECT [; of bob] [; by bob] [; operator]
//! approvals QUORUM SUBJECT            how each stands
//! ask SURFACE NAME=VALUE… ; needs QUORUM SUBJECT, …    list a request for approval
//! listed [SUBJECT]                    how many requests are, and would be helped
//! close SESSION [; by CALLER] [; operator]
//! session SESSION
//! crowd N SURFACE BOUND               N attempts with keys of their own, in one entry
//! freeze [SURFACE]
//! thaw [SURFACE]
//! cancel                              give up the pending activation
//! shadow P…
//! delete P
//! log                                 the kinds of the statements, oldest first
//! ```

use holdpoint_core::command::{
    ApprovalFact, ApprovalName, Approve, AskApproval, CancelDrain, CloseSession, DeletePolicy,
    Freeze, MissingApproval, RevokeApproval, SetShadow,
};
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::{ActivePolicy, ApprovalState};
use holdpoint_core::{Command, MapView};
use holdpoint_receipt::statement::subject_digest;
use holdpoint_receipt::{PolicyVersion, SessionId, Statement};

use super::{Line, apply, asked, duration, shown};
use crate::world::{
    Asked, START_MS, World, caller, default_namespace, digest_of_policy, granted, name,
};

pub(super) fn answer(world: &mut World, line: &Line<'_>) -> String {
    let command = match line.word(0) {
        "approve" => approve(world, line),
        "disapprove" => disapprove(world, line),
        "ask" => ask(world, line),
        "close" => Command::CloseSession(CloseSession {
            namespace: default_namespace(),
            session: SessionId::new(line.word(1)).unwrap(),
            principal: caller(line.by()),
            operator: line.option("operator").is_some(),
            salt: world.salt(),
        }),
        verb @ ("freeze" | "thaw") => Command::Freeze(Freeze {
            namespace: default_namespace(),
            surface: line.words.get(1).map(|surface| name(surface)),
            frozen: verb == "freeze",
            principal: caller("root"),
            salt: world.salt(),
        }),
        "cancel" => Command::CancelDrain(CancelDrain {
            namespace: default_namespace(),
            principal: caller("root"),
            salt: world.salt(),
        }),
        "shadow" => {
            let digests = line.words[1..]
                .iter()
                .map(|policy| digest_of_policy(policy));
            let mut digests: Vec<_> = digests.collect();
            digests.sort();
            Command::SetShadow(SetShadow {
                namespace: default_namespace(),
                digests,
            })
        }
        "delete" => Command::DeletePolicy(DeletePolicy {
            namespace: default_namespace(),
            digest: digest_of_policy(line.word(1)),
        }),
        "approvals" => return approvals(world, line),
        "crowd" => return crowd(world, line),
        "listed" => return listed(world, line),
        "session" => return session(world, line),
        "log" => return log(world),
        other => panic!("no command `{other}`"),
    };
    apply(world, command)
}

fn namespace(world: &World) -> NamespaceQuery<'_, MapView> {
    let query = world.query();
    query.namespace(&default_namespace()).unwrap().unwrap()
}

fn active(world: &World, line: &Line<'_>) -> ActivePolicy {
    let nothing = (PolicyVersion::default(), digest_of_policy("nothing"));
    let (version, digest) = world.active().unwrap_or(nothing);
    let asked = line.option("version").map(|text| text.parse().unwrap());
    ActivePolicy {
        version: asked.map_or(version, |number| PolicyVersion::new(number).unwrap()),
        digest,
    }
}

fn crowd(world: &mut World, line: &Line<'_>) -> String {
    let mut commands = Vec::new();
    for number in 1..=line.number(1) {
        let asked = Asked {
            surface: line.word(2).to_owned(),
            params: vec![(line.word(3).to_owned(), number.to_string())],
        };
        let key = format!("crowd-{number}");
        let mut command = world.lookup("alice", &key, START_MS + 300_000, &asked);
        command.evaluation = world.permits(&asked);
        commands.push(Command::Authorize(Box::new(command)));
    }
    let outcomes = world.apply(commands).outcomes;
    let permits = outcomes.iter().filter_map(granted).count();
    format!("{permits} permits")
}

fn approve(world: &mut World, line: &Line<'_>) -> Command {
    Command::Approve(Approve {
        namespace: default_namespace(),
        name: ApprovalName {
            quorum: name(line.word(1)),
            subject: subject_digest(line.word(2).as_bytes()),
            approver: caller(line.option("by").unwrap_or("bob")),
        },
        surface: name("pay"),
        policy: active(world, line),
        counts_for_ms: duration(line.option("for").unwrap_or("60s")),
        salt: world.salt(),
    })
}

fn disapprove(world: &mut World, line: &Line<'_>) -> Command {
    let approver = line.option("of").unwrap_or("bob");
    Command::RevokeApproval(RevokeApproval {
        namespace: default_namespace(),
        name: ApprovalName {
            quorum: name(line.word(1)),
            subject: subject_digest(line.word(2).as_bytes()),
            approver: caller(approver),
        },
        principal: caller(line.option("by").unwrap_or(approver)),
        operator: line.option("operator").is_some(),
        salt: world.salt(),
    })
}

fn ask(world: &World, line: &Line<'_>) -> Command {
    let asked = asked(line, 1);
    let needs = line.option("needs").unwrap_or_default().split(',');
    let mut missing: Vec<MissingApproval> = needs
        .map(|need| {
            let (quorum, subject) = need.trim().split_once(' ').unwrap();
            MissingApproval {
                quorum: name(quorum),
                subject: subject.as_bytes().to_vec(),
                digest: subject_digest(subject.as_bytes()),
                needed: 1,
            }
        })
        .collect();
    missing.sort_by(|a, b| a.quorum.cmp(&b.quorum));
    Command::AskApproval(Box::new(AskApproval {
        namespace: default_namespace(),
        request: asked.bytes(),
        request_digest: asked.digest(),
        caller: caller(line.by()),
        policy: active(world, line),
        missing,
    }))
}

/// `QUORUM SUBJECT APPROVER…, …`: approvals that a verdict uses; `APPROVER!` is not spent. Each is
/// named by the leaf that it has now, or by that of the option `leaf`.
pub(super) fn used(world: &World, line: &Line<'_>) -> Vec<ApprovalFact> {
    let Some(text) = line.option("using") else {
        return Vec::new();
    };
    let leaf = line.option("leaf").map(|number| number.parse().unwrap());
    let mut facts = Vec::new();
    for quorum in text.split(',') {
        let words: Vec<&str> = quorum.split_whitespace().collect();
        for approver in &words[2..] {
            let name = ApprovalName {
                quorum: name(words[0]),
                subject: subject_digest(words[1].as_bytes()),
                approver: caller(approver.trim_end_matches('!')),
            };
            let known = namespace(world).approval(&name).unwrap();
            let known = known.map_or(u64::MAX, |known| known.leaf);
            facts.push(ApprovalFact {
                leaf: leaf.unwrap_or(known),
                spends: !approver.ends_with('!'),
                name,
            });
        }
    }
    facts.sort();
    facts
}

fn approvals(world: &World, line: &Line<'_>) -> String {
    let namespace = namespace(world);
    let subject = subject_digest(line.word(2).as_bytes());
    let found = namespace
        .approvals_of(&name(line.word(1)), &subject)
        .unwrap();
    let each = found.iter().map(|(known, approval)| {
        let approver = &known.approver;
        let state = match approval.state {
            ApprovalState::Given => format!("until {}", shown(approval.expires_at)),
            ApprovalState::Spent(permit) => {
                let permit = namespace.permit(&permit).unwrap().unwrap();
                format!("spent by fence={}", permit.fence())
            }
            ApprovalState::Revoked { .. } => "revoked".to_owned(),
        };
        format!("{approver} {state}")
    });
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}

fn listed(world: &World, line: &Line<'_>) -> String {
    let namespace = namespace(world);
    let count = namespace.record().pending;
    match line.words.get(1) {
        None => format!("{count} listed"),
        Some(subject) => {
            let subject = subject_digest(subject.as_bytes());
            let helped = namespace.pending_of(&subject).unwrap().len();
            format!("{count} listed, {helped} helped")
        }
    }
}

fn session(world: &World, line: &Line<'_>) -> String {
    let session = SessionId::new(line.word(1)).unwrap();
    let Some(session) = namespace(world).session(&session).unwrap() else {
        return "no such session".to_owned();
    };
    let closed = session.closed.map_or_else(
        || "open".to_owned(),
        |closed| format!("closed by {} at {}", closed.by, shown(closed.at)),
    );
    format!(
        "of {}, used at {}, {closed}",
        session.owner,
        shown(session.used_at)
    )
}

fn log(world: &World) -> String {
    let namespace = namespace(world);
    let size = namespace.head().unwrap().size;
    let kinds = (0..size).map(|leaf| {
        let statement = namespace.statement(leaf).unwrap().unwrap();
        let statement = Statement::parse(&statement.bytes).unwrap();
        statement.body.kind().to_string()
    });
    kinds.collect::<Vec<_>>().join(" ")
}
