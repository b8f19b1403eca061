use super::*;
use holdpoint_receipt::{ClusterTime, NodeId};

use crate::command::StepTime;
use crate::limits::LIST_ITEMS_MAX;

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

/// A committed entry that did not decode would stop every node at once.
#[test]
fn every_entry_that_can_be_proposed_can_be_applied() {
    let clock = (NodeId::new(1).unwrap(), ClusterTime::default());
    let step = |count| {
        let clocks = vec![clock; count];
        Command::StepTime(StepTime { clocks })
    };
    assert!(matches!(
        encode_command(&step(LIST_ITEMS_MAX + 1)),
        Err(CodecError::Unencodable(_))
    ));
    // Whole numbers of one byte each: nothing claims more for what it takes.
    let commands = vec![step(LIST_ITEMS_MAX); ENTRY_BYTES_MAX / (2 * LIST_ITEMS_MAX + 4)];
    let entry = Entry {
        commands,
        ..empty_entry()
    };
    let bytes = encode_entry(&entry).unwrap();
    assert!(bytes.len() > ENTRY_BYTES_MAX * 9 / 10);
    assert_eq!(decode_entry(&bytes).unwrap(), entry);
}
