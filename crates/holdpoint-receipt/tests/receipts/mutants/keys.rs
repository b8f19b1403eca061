//! Key sets with something wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdpoint_receipt::json::Json;
use holdpoint_receipt::names::{ClusterId, NodeId};
use holdpoint_receipt::sha256;

use super::{Chance, POINTS, at, edit, member, point_of};
use crate::fixture::{cluster, namespace, secret_keys};

/// A verifier key whose name, hint and kind are right.
fn vkey(name: &str, kind: u8, key: [u8; 32]) -> String {
    let key = [&[kind], key.as_slice()].concat();
    let hint = sha256(&[name.as_bytes(), b"\n", &key].concat()).to_string();
    format!("{name}+{}+{}", &hint[..8], STANDARD.encode(key))
}

pub(super) fn keys(file: &mut Vec<u8>, chance: &mut Chance) {
    edit(file, |keys| {
        let place = chance.below(3).to_string();
        let item = chance.below(4).to_string();
        match chance.below(9) {
            0 => member(
                keys,
                chance,
                &["a", "authority", "namespace", "epochs", "revoked"],
            ),
            1 => {
                if let Some(epoch) = at(keys, &["epochs", &place]) {
                    member(
                        epoch,
                        chance,
                        &["a", "nodes", "signers_needed", "tree_size_from"],
                    );
                }
            }
            2 | 3 => {
                let name = chance.pick(&["signers_needed", "tree_size_from"]);
                if let Some(Json::Int(number)) = at(keys, &["epochs", &place, name]) {
                    *number = chance.pick(&[0, 1, 2, 3, 4, 8, 9, 10, 11]);
                }
            }
            4 => {
                if let Some(node) = at(keys, &["epochs", &place, "nodes", &item]) {
                    member(node, chance, &["a", "node", "log_vkey", "cosign_vkey"]);
                }
            }
            5 => strange_key(keys, &["epochs", &place, "nodes", &item], chance),
            6 => {
                if let Some(Json::Array(list)) = at(keys, &["epochs", &place, "nodes"]) {
                    let (a, b) = (chance.below(list.len()), chance.below(list.len()));
                    match chance.below(3) {
                        0 if !list.is_empty() => drop(list.remove(a)),
                        1 if !list.is_empty() => list.swap(a, b),
                        _ if !list.is_empty() => list.push(list[a].clone()),
                        _ => {}
                    }
                }
            }
            7 => {
                if let Some(Json::Int(number)) = at(
                    keys,
                    &["revoked", &place, chance.pick(&["valid_to", "recorded_at"])],
                ) {
                    *number = chance.pick(&[0, 7, 8, 9, 10, 11, 12, 13]);
                }
            }
            _ => {
                let nobody = ClusterId::from_bytes([7; 16]).to_string();
                let (name, value) =
                    chance.pick(&[("namespace", "other"), ("authority", nobody.as_str())]);
                let text = keys.to_canonical();
                let from = if name == "namespace" {
                    namespace().to_string()
                } else {
                    cluster().to_string()
                };
                if let Ok(other) = Json::parse(text.replace(&from, value).as_bytes()) {
                    *keys = other;
                    renamed(keys);
                }
            }
        }
    });
}

/// A key of small order, of no point, or of another role, under a hint that fits.
fn strange_key(keys: &mut Json, path: &[&str], chance: &mut Chance) {
    let Some(signer) = at(keys, path) else { return };
    let Some(id) = at(signer, &["node"]).and_then(|node| u64::try_from(node.as_int()?).ok()) else {
        return;
    };
    let Ok(id) = NodeId::new(id) else { return };
    let shared = *secret_keys(1).public().cosign.as_bytes();
    let key = match chance.below(8) {
        0 => shared,
        1 => [7; 32],
        _ => point_of(chance.pick(&POINTS)),
    };
    let (member, name, kind) = if chance.below(2) == 0 {
        ("log_vkey", format!("{}/{}", cluster(), namespace()), 1)
    } else {
        ("cosign_vkey", format!("node-{id}.{}", cluster()), 4)
    };
    if let Some(value) = at(signer, &[member]) {
        *value = Json::str(vkey(&name, kind, key));
    }
}

/// Gives every key of a key set the hint of its name.
fn renamed(value: &mut Json) {
    match value {
        Json::Object(members) => members.values_mut().for_each(renamed),
        Json::Array(items) => items.iter_mut().for_each(renamed),
        Json::Str(text) => {
            let mut parts = text.splitn(3, '+');
            if let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next())
                && let Ok(bytes) = STANDARD.decode(key)
                && let Some((kind, key)) = bytes.split_first()
                && let Ok(key) = key.try_into()
            {
                *text = vkey(name, *kind, key);
            }
        }
        Json::Null | Json::Bool(_) | Json::Int(_) => {}
    }
}
