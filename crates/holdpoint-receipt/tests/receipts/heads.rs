use holdpoint_receipt::checkpoint::{Checkpoint, CheckpointError, Origin};
use holdpoint_receipt::cosignature;
use holdpoint_receipt::note::{Note, NoteError};

use crate::fixture::{SIGNED_AT_S, cluster, log, namespace, secret_keys};

#[test]
fn checkpoint_has_one_text() {
    let head = log().head();
    let text = head.to_text();
    assert_eq!(text.parse(), Ok(head));
    let check = |from: &str, to: &str, error| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert_eq!(changed.parse::<Checkpoint>(), Err(error), "{changed}");
    };
    check("\n10\n", "\n010\n", CheckpointError::Size);
    check("\n10\n", "\n+10\n", CheckpointError::Size);
    check("\n10\n", "\n10 \n", CheckpointError::Size);
    check("\n10\n", "\n-1\n", CheckpointError::Size);
    check("\n10\n", "\n9007199254740992\n", CheckpointError::Size);
    check("\n10\n", "\n10\n\n", CheckpointError::Lines);
    check("\n10\n", "\n", CheckpointError::Lines);
    check("=\n", "\n", CheckpointError::Root);
    check("=\n", "==\n", CheckpointError::Root);
    check("=\n", "=\nextension\n", CheckpointError::Lines);
    check("=\n", "=", CheckpointError::Lines);
    check("/default", "/def ault", CheckpointError::Origin);
}

#[test]
fn origin_names_cluster_and_namespace() {
    let origin = Origin::new(&cluster(), &namespace());
    assert_eq!(origin.as_str(), "686f6c64706f696e7420746573747321/default");
}

#[test]
fn note_in_another_form_is_refused() {
    let log = log();
    let note = log.head().to_note(log.signatures(&[1])).unwrap();
    let text = note.to_string();
    assert_eq!(text.parse(), Ok(note));
    let check = |from: &str, to: &str, error| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert_eq!(changed.parse::<Note>(), Err(error), "{changed}");
    };
    check("\n\n", "\n", NoteError::NoSeparator);
    check("\u{2014} ", "- ", NoteError::SignatureLine(0));
    check("\u{2014} ", "\u{2014}  ", NoteError::SignatureLine(0));
    check("=\n\n", "=\n\r\n", NoteError::ControlCharacter);
    let (all, cut) = (text.as_str(), text.trim_end());
    assert_eq!(cut.parse::<Note>(), Err(NoteError::SignatureLine(0)));
    assert_eq!(
        format!("{all}x\n").parse::<Note>(),
        Err(NoteError::SignatureLine(2))
    );
    assert_eq!(
        format!("{all}\n").parse::<Note>(),
        Err(NoteError::SignatureLine(0))
    );
    assert!(matches!(
        "x".repeat(30_000).parse::<Note>(),
        Err(NoteError::TooLong(30_000))
    ));
    assert_eq!(log.head().to_note(vec![]), Err(NoteError::SignatureLine(0)));
    let many = all.to_owned() + &"\u{2014} n AAAAAAA=\n".repeat(70);
    assert_eq!(many.parse::<Note>(), Err(NoteError::TooManySignatures));
    let empty = all.to_owned() + "\u{2014} n AAAAAA==\n";
    assert_eq!(
        empty.parse::<Note>(),
        Err(NoteError::SignatureLine(2)),
        "a hint without signature"
    );
}

#[test]
fn cosignature_states_its_time_and_nothing_else_verifies() {
    let log = log();
    let text = log.head().to_text();
    let both = log.signatures(&[2]).remove(0);
    let key = secret_keys(2).public().cosign;
    assert_eq!(
        cosignature::verify(&key, &both.cosign.signature, &text),
        Ok(SIGNED_AT_S)
    );
    assert_eq!(
        cosignature::message(7, "origin\n1\nroot\n"),
        "cosignature/v1\ntime 7\norigin\n1\nroot\n"
    );
    let mut later = both.cosign.signature.clone();
    later[7] ^= 1;
    assert!(cosignature::verify(&key, &later, &text).is_err());
    assert!(cosignature::verify(&key, &both.cosign.signature[..71], &text).is_err());
    assert!(cosignature::verify(&key, &[], &text).is_err());
    let log_key = secret_keys(2).public().log;
    assert!(cosignature::verify(&log_key, &both.cosign.signature, &text).is_err());
}
