use super::*;
use holdpoint_receipt::ClusterTime;

use crate::position::GroupId;

fn empty_entry() -> Entry {
    Entry {
        group: GroupId::FIRST,
        time: ClusterTime::default(),
        commands: Vec::new(),
    }
}

#[test]
fn bytes_of_another_version_and_bytes_left_over_are_refused() {
    let bytes = encode_entry(&empty_entry()).unwrap();
    assert_eq!(bytes, [VERSION, 0, 0, 0]);
    assert!(matches!(decode_entry(&[]), Err(CodecError::Empty)));
    assert!(matches!(
        decode_entry(&[0, 0, 0, 0]),
        Err(CodecError::Version { found: 0 })
    ));
    assert!(matches!(
        decode_entry(&[VERSION, 0, 0, 0, 7]),
        Err(CodecError::Trailing { count: 1 })
    ));
}
