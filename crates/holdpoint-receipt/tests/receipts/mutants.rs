//! Receipts and key sets with something wrong, from a seed.

mod keys;
mod note;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdpoint_receipt::json::{Json, Limits, parse};
use holdpoint_receipt::{Digest, sha256};

use crate::vectors::bytes_of_hex;

/// A receipt's file and the file of the keys that it is verified against.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) receipt: Vec<u8>,
    pub(crate) keys: Vec<u8>,
}

/// Numbers from a seed: splitmix64.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// Makes one thing wrong; now and then it is what it was.
pub(crate) fn mutate(case: &mut Case, chance: &mut Chance) {
    match chance.below(16) {
        0 => bytes(&mut case.receipt, chance),
        1 => spelling(&mut case.receipt, chance),
        2..=4 => statement(&mut case.receipt, chance),
        5 => envelope(&mut case.receipt, chance),
        6 | 7 => proof(&mut case.receipt, chance),
        8..=10 => note::lines(&mut case.receipt, chance),
        11 | 12 => note::head(&mut case.receipt, chance),
        13 => bytes(&mut case.keys, chance),
        _ => keys::keys(&mut case.keys, chance),
    }
}

fn bytes(file: &mut Vec<u8>, chance: &mut Chance) {
    if file.is_empty() {
        return;
    }
    let place = chance.below(file.len());
    match chance.below(6) {
        0 | 1 => file[place] ^= 1 << chance.below(8),
        2 => file[place] = chance.pick(b" 0A\"\n=}{\\,:+/\x00\xff"),
        3 => drop(file.remove(place)),
        4 => file.insert(place, file[place]),
        _ => drop(file.drain(place..(place + 1 + chance.below(60)).min(file.len()))),
    }
}

/// The same or nearly the same JSON in another spelling.
fn spelling(file: &mut Vec<u8>, chance: &mut Chance) {
    let text = String::from_utf8_lossy(file).into_owned();
    let (from, to) = chance.pick(&[
        ("{", "{ "),
        ("\n", ""),
        ("\n", "\n\n"),
        ("\n", " "),
        ("{\"checkpoint\"", "\u{feff}{\"checkpoint\""),
        ("\"schema\":", "\"schema\":1,\"schema\":"),
        ("\"schema\":", "\"schem\\u0061\":1,\"schema\":"),
        ("\"kind\":\"", "\"kind\":\"\\u0061"),
        ("\"kind\":\"", "\"kind\":\"\\ud83d"),
        ("\"kind\":\"", "\"kind\":\"\\ud83d\\ude00"),
        ("\"kind\":\"", "\"kind\":\"\u{1f600}\u{e000}"),
        ("\"kind\":\"", "\"kind\":\"\\/"),
        ("\"kind\":\"", "\"kind\":\"\\x"),
        ("\"kind\":\"", "\"kind\":\"\t"),
        ("\"log_term\":7", "\"log_term\":7.0"),
        ("\"log_term\":7", "\"log_term\":7e0"),
        ("\"log_term\":7", "\"log_term\":-0"),
        ("\"log_term\":7", "\"log_term\":07"),
        ("\"log_term\":7", "\"log_term\":9007199254740992"),
        ("\"log_term\":7", "\"log_term\":99999999999999999999999999"),
        ("\"log_term\":7", "\"log_term\":NaN"),
        ("\"log_term\":7", "\"log_term\":[[7]]"),
        ("\"log_term\":7", "\"log_term\":{}"),
        ("\"log_term\":7", "\"log_term\":null"),
        ("\"log_term\":7", "\"log_term\":true"),
        ("\"log_term\":7,", ""),
        ("\"log_term\":7", "\"log_term\":7,"),
        ("\\n", "\\u000a"),
        ("\u{2014}", "\\u2014"),
        ("holdpoint.receipt/1", "holdpoint.receipt/2"),
    ]);
    *file = text.replacen(from, to, 1).into_bytes();
}

/// Edits the file's tree and writes it in its one encoding.
fn edit(file: &mut Vec<u8>, change: impl FnOnce(&mut Json)) {
    let limits = Limits {
        bytes_max: 1 << 20,
        depth_max: 16,
    };
    let Ok(mut value) = parse(file, limits) else {
        return;
    };
    change(&mut value);
    *file = (value.to_canonical() + "\n").into_bytes();
}

/// The value at a path, if there is one.
fn at<'a>(value: &'a mut Json, path: &[&str]) -> Option<&'a mut Json> {
    path.iter().try_fold(value, |value, member| match value {
        Json::Object(members) => members.get_mut(*member),
        Json::Array(items) => items.get_mut(member.parse::<usize>().ok()?),
        _ => None,
    })
}

/// A value that some member may have, and some may not.
fn any_value(chance: &mut Chance) -> Json {
    let numbers = [
        -1,
        0,
        1,
        2,
        9,
        10,
        11,
        4_294_967_295,
        4_294_967_296,
        (1 << 53) - 1,
    ];
    let words = [
        "",
        "a",
        "A b",
        "é",
        "default",
        "other",
        "PERMIT",
        "DENY",
        "SILENCE",
        "GRANTED",
        "POLICY",
        "FROZEN",
        "dev",
        "committed",
        "keys",
        "decision",
        "erased",
        "rotated",
        "revoke",
        "thawed",
        "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "pmt_aaaaaaaaaaaaaaaaaaaaaaaaab",
        "a\"b",
        "a\nb",
        "\u{7f}",
        "holdpoint.statement/2",
        "00000000000000000000000000000000",
        "tf.a,tf.b",
    ];
    match chance.below(9) {
        0..=2 => Json::Int(chance.pick(&numbers)),
        3 | 4 => Json::str(chance.pick(&words)),
        5 => Json::str(sha256(&chance.next().to_be_bytes()).to_string()),
        6 => Json::str("a".repeat(chance.pick(&[63, 64, 65, 256, 257, 5000]))),
        7 => chance
            .pick(&[Json::Null, Json::Bool(true), Json::Array(vec![])])
            .clone(),
        _ => Json::Object([("a".to_owned(), Json::Int(1))].into()),
    }
}

/// Removes, adds or replaces a member.
fn member(value: &mut Json, chance: &mut Chance, known: &[&str]) {
    let Json::Object(members) = value else { return };
    let present: Vec<String> = members.keys().cloned().collect();
    match chance.below(3) {
        0 if !present.is_empty() => drop(members.remove(&chance.pick(&present))),
        1 => drop(members.insert((chance.pick(known)).to_owned(), any_value(chance))),
        _ if !present.is_empty() => {
            members.insert(chance.pick(&present), any_value(chance));
        }
        _ => {}
    }
}

/// Members of all kinds, and some of none.
const MEMBERS: [&str; 33] = [
    "mode",
    "approvals_digest",
    "retry_at_ms",
    "expires_at_ms",
    "caller_commitment",
    "node",
    "surface",
    "actor_commitment",
    "session_commitment",
    "policy_codes",
    "policy_ids",
    "evidence_digest",
    "permit_id",
    "reason_commitment",
    "disputed_leaf",
    "previous",
    "bound.x",
    "bound.",
    "bound.X",
    "",
    "\u{1f600}",
    "\u{e000}",
    "quorum",
    "fence",
    "outcome",
    "change",
    "drain",
    "freeze",
    "keys_digest",
    "kind",
    "decision",
    "reason",
    "é",
];

/// Edits the statement; mostly the proof names the new hash then.
fn statement(file: &mut Vec<u8>, chance: &mut Chance) {
    edit(file, |receipt| {
        let Some(statement) = at(receipt, &["statement"]) else {
            return;
        };
        match chance.below(8) {
            0 => *statement = any_value(chance),
            1 => {
                for place in 0..chance.below(10) {
                    let Json::Object(members) = statement else {
                        break;
                    };
                    members.insert(
                        format!("bound.b{place}"),
                        Json::str(Digest::from_bytes([7; 32]).to_string()),
                    );
                }
            }
            2 => {
                if let Json::Object(members) = statement {
                    let name = chance.pick(&MEMBERS);
                    members.insert(name.to_owned(), Json::str(sha256(b"added").to_string()));
                }
            }
            3 => {
                if let Json::Object(members) = statement {
                    let (name, value) = chance.pick(&[
                        ("authority", "00000000000000000000000000000000"),
                        ("namespace", "other"),
                        ("mode", "dev"),
                        ("reason", "BOUND_HELD"),
                        ("decision", "DENY"),
                        ("kind", "revoked"),
                        ("kind", "superseded"),
                        ("kind", "PERMIT"),
                        ("kind", "DENY"),
                        ("namespace", "Other"),
                        ("schema", "holdpoint.statement/2"),
                    ]);
                    members.insert(name.to_owned(), Json::str(value));
                }
            }
            _ => member(statement, chance, &MEMBERS),
        }
        let hash = sha256(statement.to_canonical().as_bytes()).to_string();
        if chance.below(8) > 0
            && let Some(named) = at(receipt, &["proof", "receipt_hash"])
        {
            *named = Json::str(hash);
        }
    });
}

fn envelope(file: &mut Vec<u8>, chance: &mut Chance) {
    edit(file, |receipt| match chance.below(3) {
        0 => member(
            receipt,
            chance,
            &["a", "proof", "schema", "checkpoint", "statement", "z"],
        ),
        1 => {
            if let Some(schema) = at(receipt, &["schema"]) {
                *schema =
                    chance.pick(&[Json::str("holdpoint.receipt/2"), Json::Int(1), Json::Null]);
            }
        }
        _ => {
            if let Some(proof) = at(receipt, &["proof"]) {
                member(
                    proof,
                    chance,
                    &["a", "hashes", "leaf_index", "tree_size", "receipt_hash"],
                );
            }
        }
    });
}

fn proof(file: &mut Vec<u8>, chance: &mut Chance) {
    edit(file, |receipt| {
        if chance.below(3) == 0 {
            let name = chance.pick(&["leaf_index", "tree_size"]);
            if let Some(Json::Int(number)) = at(receipt, &["proof", name]) {
                *number += chance.pick(&[-10, -1, 1, 2, 16, 1 << 40]);
            }
            return;
        }
        let Some(Json::Array(hashes)) = at(receipt, &["proof", "hashes"]) else {
            return;
        };
        let (a, b) = (chance.below(hashes.len()), chance.below(hashes.len()));
        match chance.below(6) {
            0 if !hashes.is_empty() => drop(hashes.remove(a)),
            1 if !hashes.is_empty() => hashes.swap(a, b),
            2 if !hashes.is_empty() => hashes[a] = Json::str(STANDARD.encode([7; 31])),
            3 => hashes.extend(vec![
                Json::str(STANDARD.encode([9; 32]));
                1 + chance.below(70)
            ]),
            4 => hashes.push(any_value(chance)),
            _ => hashes.insert(a, Json::str(STANDARD.encode(sha256(b"a").as_bytes()))),
        }
    });
}

/// y of the points of small order, and encodings that are none.
const POINTS: [&str; 9] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0200000000000000000000000000000000000000000000000000000000000000",
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn point_of(hex: &str) -> [u8; 32] {
    bytes_of_hex(hex).try_into().unwrap()
}
