//! Lines about who signs, and about what is done about decisions that were made.
//!
//! ```text
//! announce NODE… [; keys N]           nodes make themselves known, each with the keys of its number
//! voters NODE…                        a uniform membership is committed
//! rotate NODE KEYS [; from KEYS]
//! retire NODE
//! mark NODE KEYS ; to SIZE            keys are revoked for heads that are larger
//! require N|majority
//! hand over [FROM] ; by NODE[.KEYS] … [; size N] [; forged]
//! epochs                              `FROM: NEEDED of NODE.KEYS …`, each with its leaf
//! marks
//! dispute LEAF [; by NODE] [; evaluator N]
//! erase FENCE                         and `erase leaf LEAF`
//! stated LEAF MEMBER…                 members of a statement
//! ```

use holdpoint_core::Command;
use holdpoint_core::command::{
    DecisionName, Dispute, Erase, RecordHandover, RequireSigners, RetireKeys, RevokeKeys,
    RotateKeys,
};
use holdpoint_core::record::SignerRecord;
use holdpoint_receipt::Statement;

use super::{Line, apply, said};
use crate::world::{self, World, caller, default_namespace, node};

pub(super) fn answer(world: &mut World, line: &Line<'_>) -> String {
    let command = match line.word(0) {
        "announce" => return announce(world, line),
        "voters" => {
            let voters: Vec<u64> = (1..line.words.len())
                .map(|word| line.number(word))
                .collect();
            let applied = world.change_voters(&voters);
            assert!(applied.outcomes.is_empty() && applied.offers.is_empty());
            return applied.heads.first().map_or_else(
                || "no head".to_owned(),
                |head| format!("head {}", head.size),
            );
        }
        "rotate" => rotate(world, line),
        "retire" => Command::RetireKeys(RetireKeys {
            node: node(line.number(1)),
            principal: caller("root"),
            salt: world.salt(),
        }),
        "mark" => {
            let signer = world::signer(line.number(1), line.number(2));
            Command::RevokeKeys(RevokeKeys {
                node: signer.node,
                log_key: signer.log_key,
                cosign_key: signer.cosign_key,
                valid_to: line.option("to").unwrap().parse().unwrap(),
                principal: caller("root"),
                salt: world.salt(),
            })
        }
        "require" => Command::RequireSigners(RequireSigners {
            signers: line.word(1).parse().ok(),
            principal: caller("root"),
            salt: world.salt(),
        }),
        "hand" => hand_over(world, line),
        "epochs" => return epochs(world),
        "marks" => return marks(world),
        "dispute" => Command::Dispute(Dispute {
            namespace: default_namespace(),
            leaf: line.number(1),
            node: node(line.option("by").map_or(2, |text| text.parse().unwrap())),
            evaluator_version: line
                .option("evaluator")
                .map_or(1, |text| text.parse().unwrap()),
            salt: world.salt(),
        }),
        "erase" => Command::Erase(Erase {
            namespace: default_namespace(),
            decision: match line.word(1) {
                "leaf" => DecisionName::Leaf(line.number(2)),
                _ => DecisionName::Permit(world.permit(line.number(1)).0),
            },
            principal: caller("root"),
            reason_commitment: None,
            salt: world.salt(),
        }),
        "stated" => return stated(world, line),
        other => panic!("no command `{other}`"),
    };
    apply(world, command)
}

fn announce(world: &mut World, line: &Line<'_>) -> String {
    let keys = line.option("keys").map(|text| text.parse().unwrap());
    let nodes = (1..line.words.len()).map(|word| line.number(word));
    let commands = nodes.map(|id| Command::AnnounceNode(world::announce(id, keys.unwrap_or(id))));
    let applied = world.apply(commands.collect());
    let each: Vec<String> = applied.outcomes.iter().map(said).collect();
    each.join(", ")
}

fn rotate(world: &mut World, line: &Line<'_>) -> Command {
    let id = line.number(1);
    let found = world.query().node(node(id)).unwrap();
    let fresh = world::signer(id, line.number(2));
    let expected = line
        .option("from")
        .map(|text| world::signer(id, text.parse().unwrap()));
    let expected = expected.map(|keys| (keys.log_key, keys.cosign_key));
    let found = found.map(|found| (found.log_key, found.cosign_key));
    let (expected_log_key, expected_cosign_key) = expected.or(found).unwrap_or_default();
    Command::RotateKeys(RotateKeys {
        node: fresh.node,
        log_key: fresh.log_key,
        cosign_key: fresh.cosign_key,
        expected_log_key,
        expected_cosign_key,
        principal: caller("root"),
        salt: world.salt(),
    })
}

fn hand_over(world: &World, line: &Line<'_>) -> Command {
    let namespace = world.namespace();
    let newest = namespace
        .newest_epoch()
        .unwrap()
        .map_or(0, |(from, _)| from);
    let from = line
        .words
        .get(2)
        .map_or(newest, |text| text.parse().unwrap());
    let head = namespace.head().unwrap().size;
    let size = line
        .option("size")
        .map_or(head, |text| text.parse().unwrap());
    let signers = line.option("by").unwrap_or_default().split_whitespace();
    let signers: Vec<(u64, u64)> = signers
        .map(|text| {
            let (id, keys) = text.split_once('.').unwrap_or((text, text));
            (id.parse().unwrap(), keys.parse().unwrap())
        })
        .collect();
    Command::RecordHandover(RecordHandover {
        namespace: default_namespace(),
        tree_size_from: from,
        note: world.note(size, &signers, line.option("forged").is_some()),
    })
}

/// A node, and the number of its keys where that is another.
fn shown(signer: &SignerRecord) -> String {
    let id = signer.node.get();
    let number = (1..100).find(|number| world::signer(id, *number) == *signer);
    match number.unwrap() {
        number if number == id => id.to_string(),
        number => format!("{id}.{number}"),
    }
}

fn epochs(world: &World) -> String {
    let namespace = world.namespace();
    let all = namespace.epochs().unwrap();
    if all.is_empty() {
        assert_eq!(namespace.key_set().unwrap(), None);
        return "no epoch".to_owned();
    }
    let set = namespace.key_set().unwrap().unwrap();
    assert_eq!(set.epochs().len(), all.len());
    let newest = namespace
        .handover()
        .unwrap()
        .map(|newest| newest.tree_size_from);
    let each = all.iter().map(|(from, epoch)| {
        assert_eq!(namespace.epoch_of(*from).unwrap().unwrap().0, *from);
        let signers: Vec<String> = epoch.signers.iter().map(shown).collect();
        let state = match (&epoch.handover, newest) {
            (Some(_), _) => " handed over",
            (None, Some(newest)) if newest == *from => " PENDING",
            (None, _) => "",
        };
        format!(
            "{from}: {} of {}{state}",
            epoch.signers_needed,
            signers.join(" ")
        )
    });
    each.collect::<Vec<_>>().join(" | ")
}

fn marks(world: &World) -> String {
    let marks = world.namespace().revocations().unwrap();
    let each = marks
        .iter()
        .map(|(leaf, mark)| format!("{} to {} at {leaf}", shown(&mark.signer), mark.valid_to));
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}

fn stated(world: &World, line: &Line<'_>) -> String {
    let namespace = world.namespace();
    let statement = namespace.statement(line.number(1)).unwrap().unwrap();
    let json = Statement::parse(&statement.bytes)
        .unwrap()
        .to_json()
        .to_canonical();
    let members = line.words[2..].iter().map(|member| {
        let found = json.split_once(&format!("\"{member}\":"));
        let value = found.map_or("none", |(_, rest)| rest.split([',', '}']).next().unwrap());
        // What is hashed is not for people.
        let value = value.trim_matches('"');
        let value = if value.len() == 64 { "…" } else { value };
        format!("{member}={value}")
    });
    members.collect::<Vec<_>>().join(" ")
}
