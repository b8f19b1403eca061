//! A member of the group as the membership entry describes it, and the bytes of a membership.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use holdpoint_storage::Incarnation;

use crate::types::{Membership, StoredMembership, log_id, term_of};

/// Longest address, as in `host:port`.
pub const ADDRESS_BYTES_MAX: usize = 255;

/// Most voter sets of one membership: two, in a change.
const CONFIGS_MAX: usize = 4;
/// Most members.
const MEMBERS_MAX: usize = 4_096;
const VERSION: u8 = 1;
const INCARNATION_BYTES: usize = 16;

/// A node in the membership of a group.
///
/// The incarnation is what tells a node from another one that was started empty under its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The random identity of the node's data directory.
    pub incarnation: Incarnation,
    /// Where the node answers peers, `host:port`.
    pub peer_address: String,
    /// Where the node answers clients, `host:port`.
    pub client_address: String,
}

/// Nobody: what openraft's test suite fills memberships with. No data directory has this
/// incarnation.
impl Default for Member {
    fn default() -> Self {
        Self {
            incarnation: Incarnation::from_bytes([0; INCARNATION_BYTES]),
            peer_address: String::new(),
            client_address: String::new(),
        }
    }
}

/// Why bytes are not a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a membership: {0}")]
pub(crate) struct MembershipError(&'static str);

/// Encodes a membership.
///
/// ```text
/// version (1) | sets (1) | per set: voters (2), each node (8)
///             | members (2) | per member: node (8) | incarnation (16) | peer | client
/// address = length (1) | bytes          all numbers big endian, sets and members in order
/// ```
pub(crate) fn encode(membership: &Membership) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(VERSION);
    let sets = membership.get_joint_config();
    out.put_u8(u8::try_from(sets.len()).unwrap_or(u8::MAX));
    for set in sets {
        out.put_u16(u16::try_from(set.len()).unwrap_or(u16::MAX));
        for node in set {
            out.put_u64(*node);
        }
    }
    let members: Vec<_> = membership.nodes().collect();
    out.put_u16(u16::try_from(members.len()).unwrap_or(u16::MAX));
    for (node, member) in members {
        out.put_u64(*node);
        out.put_slice(member.incarnation.as_bytes());
        put_address(&mut out, &member.peer_address);
        put_address(&mut out, &member.client_address);
    }
    out.freeze()
}

fn put_address(out: &mut BytesMut, address: &str) {
    // Longer ones are refused where a node enters its cluster file.
    let length = u8::try_from(address.len()).unwrap_or(u8::MAX);
    out.put_u8(length);
    out.put_slice(
        address
            .as_bytes()
            .get(..usize::from(length))
            .unwrap_or_default(),
    );
}

/// Decodes a membership; bytes behind it are refused.
pub(crate) fn decode(bytes: &[u8]) -> Result<Membership, MembershipError> {
    let mut bytes = bytes;
    if take_u8(&mut bytes)? != VERSION {
        return Err(MembershipError("unknown version"));
    }
    let set_count = usize::from(take_u8(&mut bytes)?);
    if set_count > CONFIGS_MAX {
        return Err(MembershipError("too many voter sets"));
    }
    let mut sets = Vec::with_capacity(set_count);
    for _ in 0..set_count {
        let mut set = BTreeSet::new();
        for _ in 0..take_u16(&mut bytes)? {
            set.insert(take_u64(&mut bytes)?);
        }
        sets.push(set);
    }
    let member_count = usize::from(take_u16(&mut bytes)?);
    if member_count > MEMBERS_MAX {
        return Err(MembershipError("too many members"));
    }
    let mut members = BTreeMap::new();
    for _ in 0..member_count {
        let node = take_u64(&mut bytes)?;
        members.insert(node, take_member(&mut bytes)?);
    }
    if !bytes.is_empty() {
        return Err(MembershipError("bytes behind it"));
    }
    // Every voter must be a member, or openraft would invent a `Default` for it.
    if !sets
        .iter()
        .flatten()
        .all(|voter| members.contains_key(voter))
    {
        return Err(MembershipError("a voter is not a member"));
    }
    if sets.is_empty() && members.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(sets, members).map_err(|_| MembershipError("its voter sets do not go together"))
}

fn take_member(bytes: &mut &[u8]) -> Result<Member, MembershipError> {
    let (incarnation, rest) = bytes
        .split_first_chunk::<INCARNATION_BYTES>()
        .ok_or(MembershipError("cut short"))?;
    let incarnation = Incarnation::from_bytes(*incarnation);
    *bytes = rest;
    let peer_address = take_address(bytes)?;
    let client_address = take_address(bytes)?;
    Ok(Member {
        incarnation,
        peer_address,
        client_address,
    })
}

fn take_address(bytes: &mut &[u8]) -> Result<String, MembershipError> {
    let length = usize::from(take_u8(bytes)?);
    let (address, rest) = bytes
        .split_at_checked(length)
        .ok_or(MembershipError("cut short"))?;
    *bytes = rest;
    String::from_utf8(address.to_vec()).map_err(|_| MembershipError("an address is not text"))
}

fn take_u8(bytes: &mut &[u8]) -> Result<u8, MembershipError> {
    bytes.try_get_u8().map_err(|_| MembershipError("cut short"))
}

fn take_u16(bytes: &mut &[u8]) -> Result<u16, MembershipError> {
    bytes
        .try_get_u16()
        .map_err(|_| MembershipError("cut short"))
}

fn take_u64(bytes: &mut &[u8]) -> Result<u64, MembershipError> {
    bytes
        .try_get_u64()
        .map_err(|_| MembershipError("cut short"))
}

/// Encodes a membership with the position of its entry.
///
/// ```text
/// 0                                   no entry yet
/// 1 | term (8) | index (8)            the entry's position
/// then the membership
/// ```
pub(crate) fn encode_stored(stored: &StoredMembership) -> Vec<u8> {
    let mut out = Vec::new();
    match stored.log_id() {
        None => out.put_u8(0),
        Some(id) => {
            out.put_u8(1);
            out.put_u64(term_of(id));
            out.put_u64(id.index);
        }
    }
    out.extend_from_slice(&encode(stored.membership()));
    out
}

/// Decodes what [`encode_stored`] wrote.
pub(crate) fn decode_stored(bytes: &[u8]) -> Result<StoredMembership, MembershipError> {
    let mut bytes = bytes;
    let id = match take_u8(&mut bytes)? {
        0 => None,
        1 => {
            let term = take_u64(&mut bytes)?;
            Some(log_id(term, take_u64(&mut bytes)?))
        }
        _ => return Err(MembershipError("unknown position")),
    };
    Ok(StoredMembership::new(id, decode(bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(byte: u8) -> Member {
        Member {
            incarnation: Incarnation::from_bytes([byte; 16]),
            peer_address: format!("10.0.0.{byte}:7412"),
            client_address: String::new(),
        }
    }

    #[test]
    fn a_membership_decodes_to_what_was_encoded() {
        let sets = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([2, 3, 4])];
        let members: BTreeMap<_, _> = (1..=5)
            .map(|node| (u64::from(node), member(node)))
            .collect();
        let stored =
            StoredMembership::new(Some(log_id(3, 9)), Membership::new(sets, members).unwrap());
        assert_eq!(decode_stored(&encode_stored(&stored)).unwrap(), stored);
        let none = StoredMembership::default();
        assert_eq!(decode_stored(&encode_stored(&none)).unwrap(), none);
    }

    #[test]
    fn the_bytes_of_a_membership_are_these() {
        let members = BTreeMap::from([(
            7,
            Member {
                incarnation: Incarnation::from_bytes([0xab; 16]),
                peer_address: "a:1".to_owned(),
                client_address: "b".to_owned(),
            },
        )]);
        let membership = Membership::new(vec![BTreeSet::from([7])], members).unwrap();
        let mut golden = vec![
            1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7,
        ];
        golden.extend([0xab; 16]);
        golden.extend(b"\x03a:1\x01b");
        assert_eq!(encode(&membership), golden);
    }

    #[test]
    fn every_cut_and_every_surplus_byte_is_refused() {
        let members = BTreeMap::from([(1, member(1))]);
        let whole = encode(&Membership::new(vec![BTreeSet::from([1])], members).unwrap());
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "cut at {end}");
        }
        let mut longer = whole.to_vec();
        longer.push(0);
        assert!(decode(&longer).is_err());
    }
}
