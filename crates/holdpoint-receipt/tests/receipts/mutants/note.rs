//! Checkpoints with something wrong: lines, signatures, and heads that nodes signed all the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::json::Json;
use holdpoint_receipt::names::{Name, TreeSize};
use holdpoint_receipt::{Digest, sha256};

use super::{Chance, POINTS, at, edit, point_of};
use crate::fixture::{SIGNED_AT_S, cluster, namespace, node, secret_keys};

/// Edits the text of the checkpoint.
fn note(file: &mut Vec<u8>, change: impl FnOnce(&str) -> String) {
    edit(file, |receipt| {
        if let Some(Json::Str(note)) = at(receipt, &["checkpoint"]) {
            *note = change(note);
        }
    });
}

pub(super) fn lines(file: &mut Vec<u8>, chance: &mut Chance) {
    note(file, |note| {
        let mut lines: Vec<String> = note.split('\n').map(str::to_owned).collect();
        let (count, first) = (lines.len(), 4.min(lines.len() - 1));
        let (a, b) = (
            first + chance.below(count - first - 1),
            first + chance.below(count - first),
        );
        match chance.below(11) {
            0 => lines.swap(a, b),
            1 => drop(lines.remove(a)),
            2 => lines.insert(b, lines[a].clone()),
            3 => drop(lines.drain(a..(a + 2).min(count - 1))),
            4 => {
                lines = [
                    &lines[..first],
                    &vec![lines[first..count - 1].to_vec(); 40].concat(),
                    &lines[count - 1..],
                ]
                .concat();
            }
            5 => {
                lines[a] = lines[a].replacen(
                    ' ',
                    chance.pick(&["  ", "", "\u{a0}", "+", "\t", "\u{85}"]),
                    1,
                );
            }
            6 => lines[a].push_str(chance.pick(&[" ", "=", "\r", "A", "\u{2028}", "\n"])),
            7 => {
                if let [.., Some(end)] = [lines[a].rfind(' ')] {
                    let other = lines[b].rsplit(' ').next().unwrap_or_default().to_owned();
                    lines[a].replace_range(end + 1.., &other);
                }
            }
            8 | 9 => lines[a] = signature(&lines[a], chance),
            _ => {
                let text = chance.pick(&["", "010", "10", "+10", "é", "9007199254740992"]);
                text.clone_into(&mut lines[chance.below(4)]);
            }
        }
        lines.join("\n")
    });
}

/// The order of the group, little endian.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/// One line with a signature that is nearly the one that stands there.
fn signature(line: &str, chance: &mut Chance) -> String {
    let Some((start, value)) = line.rsplit_once(' ') else {
        return line.to_owned();
    };
    let Ok(mut value) = STANDARD.decode(value) else {
        return line.to_owned();
    };
    let end = value.len();
    if end < 68 {
        return line.to_owned();
    }
    let point = point_of(chance.pick(&POINTS));
    match chance.below(6) {
        0 => value[end - 64..end - 32].copy_from_slice(&point),
        1 => {
            let mut carry = 0;
            for (byte, more) in value[end - 32..].iter_mut().zip(point_of(ORDER)) {
                let sum = u16::from(*byte) + u16::from(more) + carry;
                (*byte, carry) = (sum.to_be_bytes()[1], sum >> 8);
            }
        }
        2 => value.truncate(chance.below(end)),
        3 => value.push(0),
        4 => {
            let place = chance.below(end);
            value[place] ^= 1 << chance.below(8);
        }
        _ => value[4..12].copy_from_slice(&[0; 8]),
    }
    format!("{start} {}", STANDARD.encode(value))
}

/// A head of our own, signed by nodes of our choice at a time of our choice.
pub(super) fn head(file: &mut Vec<u8>, chance: &mut Chance) {
    note(file, |note| {
        let mut lines = note.split('\n').skip(1);
        let size = lines
            .next()
            .and_then(|size| size.parse().ok())
            .unwrap_or_default();
        let root = lines.next().and_then(|root| STANDARD.decode(root).ok());
        let root = root
            .and_then(|root| root.try_into().ok())
            .unwrap_or_default();
        let mut head = Checkpoint {
            origin: Origin::new(&cluster(), &namespace()),
            size: TreeSize::new(size).unwrap_or_default(),
            root: Digest::from_bytes(root),
        };
        let mut at_s = SIGNED_AT_S;
        match chance.below(6) {
            0 => head.size = TreeSize::new(chance.pick(&[0, 1, 3, 4, 9, 11])).unwrap(),
            1 => head.root = sha256(b"another root"),
            2 => head.origin = Origin::new(&cluster(), &Name::new("other").unwrap()),
            3 => at_s = chance.pick(&[0, 1, 253_402_300_799, 253_402_300_800, u64::MAX]),
            _ => {}
        }
        let signers: &[u8] = chance.pick(&[
            &[1][..],
            &[2],
            &[1, 2],
            &[1, 3],
            &[2, 3],
            &[1, 2, 3],
            &[2, 3, 4],
            &[1, 4, 5],
            &[1, 2, 3, 4],
            &[6],
            &[1, 1],
        ]);
        let sign =
            |id: &u8| secret_keys(*id).sign_head(&cluster(), node((*id).into()), &head, at_s);
        let signed = head.to_note(signers.iter().map(sign).collect());
        signed.map_or_else(|_| note.to_owned(), |signed| signed.to_string())
    });
}
