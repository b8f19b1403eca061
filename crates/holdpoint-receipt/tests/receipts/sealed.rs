//! Secret keys that are encrypted in their files, and that openssl reads the same way.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use holdpoint_receipt::keys::{KeyError, SealingError, SecretBytes, is_sealed};
use holdpoint_receipt::{Sealing, SecretKey};

const PASSPHRASE: &[u8] = b"correct horse battery staple\n";
const KEY_ENCRYPTION_KEY: &[u8] =
    b"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

fn sealings() -> [(&'static [u8], Sealing); 2] {
    [
        (PASSPHRASE, Sealing::from_passphrase(PASSPHRASE).unwrap()),
        (
            KEY_ENCRYPTION_KEY,
            Sealing::from_key_encryption_key(KEY_ENCRYPTION_KEY).unwrap(),
        ),
    ]
}

fn secret() -> SecretKey {
    SecretKey::from_seed(&[5; 32])
}

/// Writes a file that openssl may read and others may not.
fn private(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&path).unwrap().write_all(content).unwrap();
    path
}

/// What openssl prints; none where there is no openssl.
fn openssl(words: &[&str]) -> Option<Vec<u8>> {
    let Ok(output) = Command::new("openssl").args(words).output() else {
        eprintln!("skipped: there is no openssl");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    Some(output.stdout)
}

#[test]
fn sealed_key_reads_back_under_what_sealed_it_and_shows_nothing_of_itself() {
    for (_, sealing) in sealings() {
        let pem = secret().to_sealed_pem(&sealing, &[9; 32]).unwrap();
        let text = pem.as_str();
        assert!(is_sealed(text.as_bytes()) && !is_sealed(secret().to_pem().as_str().as_bytes()));
        let plain = secret().to_pem();
        let body = plain.as_str().lines().nth(1).unwrap();
        assert!(!text.contains(body));
        let read = SecretKey::from_sealed_pem(text, &sealing).unwrap();
        assert_eq!(read.public(), secret().public());
        assert_eq!(format!("{sealing:?} {pem:?}"), "Sealing SecretPem");
    }
    assert_eq!(format!("{:?}", SecretBytes::of(b"secret")), "SecretBytes");
}

#[test]
fn sealed_key_has_other_bytes_each_time_it_is_sealed() {
    for (_, sealing) in sealings() {
        let one = secret().to_sealed_pem(&sealing, &[1; 32]).unwrap();
        let other = secret().to_sealed_pem(&sealing, &[2; 32]).unwrap();
        assert_ne!(one.as_str(), other.as_str());
    }
}

#[test]
fn sealed_key_does_not_open_under_anything_else() {
    let [(_, passphrase), (_, key)] = sealings();
    let near = Sealing::from_passphrase(b"correct horse battery stapl").unwrap();
    let sealed = |sealing| secret().to_sealed_pem(sealing, &[9; 32]).unwrap();
    for (pem, wrong) in [
        (sealed(&passphrase), &near),
        (sealed(&passphrase), &key),
        (sealed(&key), &passphrase),
    ] {
        let error = SecretKey::from_sealed_pem(pem.as_str(), wrong).unwrap_err();
        assert_eq!(error, KeyError::SealedOtherwise);
    }
}

#[test]
fn changed_file_of_a_sealed_key_never_gives_this_key_or_a_panic() {
    let [_, (_, sealing)] = sealings();
    let pem = secret().to_sealed_pem(&sealing, &[9; 32]).unwrap();
    for place in 0..pem.as_str().len() {
        for flip in [0x01, 0x20] {
            let mut changed = pem.as_str().as_bytes().to_vec();
            changed[place] ^= flip;
            let Ok(text) = str::from_utf8(&changed) else {
                continue;
            };
            if let Ok(read) = SecretKey::from_sealed_pem(text, &sealing) {
                // The end of the key is not authenticated; it is another key then, which nobody knows.
                assert_ne!(read.public(), secret().public(), "byte {place}");
            }
        }
    }
}

#[test]
fn plain_key_is_not_taken_for_a_sealed_one() {
    let [(_, sealing), _] = sealings();
    let error = SecretKey::from_sealed_pem(secret().to_pem().as_str(), &sealing).unwrap_err();
    assert_eq!(error, KeyError::SealedEncoding);
}

#[test]
fn passphrase_is_one_line_of_a_length_that_is_worth_something() {
    let check = |content: &[u8], expected: Result<(), SealingError>| {
        assert_eq!(Sealing::from_passphrase(content).map(drop), expected);
    };
    check(b"eight ok", Ok(()));
    check(b"eight ok\n", Ok(()));
    check(b"eight ok\r\n", Ok(()));
    check(b"seven !\n", Err(SealingError::TooShort));
    check(b"", Err(SealingError::TooShort));
    check(b"eight ok\nmore\n", Err(SealingError::NotOneLine));
    check(b"eight\0ok", Err(SealingError::NotOneLine));
    check(&[b'x'; 1_023], Ok(()));
    check(&[b'x'; 1_024], Err(SealingError::TooLong));
}

#[test]
fn key_encryption_key_is_32_bytes_in_hexadecimal_and_nothing_else() {
    let refused = |content: &[u8]| {
        let error = Sealing::from_key_encryption_key(content).unwrap_err();
        assert_eq!(error, SealingError::NotKeyEncryptionKey);
    };
    refused(b"");
    refused(&[7; 32]);
    refused(&[b'0'; 63]);
    refused(&[b'0'; 66]);
    refused(&[b'A'; 64]);
    assert!(Sealing::from_key_encryption_key(&[b'0'; 64]).is_ok());
}

#[test]
fn openssl_reads_a_sealed_key_with_the_same_file() {
    let scratch = tempfile::tempdir().unwrap();
    for (content, sealing) in sealings() {
        let pem = secret().to_sealed_pem(&sealing, &[9; 32]).unwrap();
        let key = private(scratch.path(), "node.key", pem.as_str().as_bytes());
        let secret_file = private(scratch.path(), "secret", content);
        let from = format!("file:{}", secret_file.display());
        let key = key.display().to_string();
        let words = ["pkey", "-in", &key, "-passin", &from, "-pubout"];
        let Some(public) = openssl(&words) else {
            return;
        };
        let public = String::from_utf8(public).unwrap();
        assert_eq!(public, secret().public().to_spki_pem());
    }
}

#[test]
fn key_that_openssl_has_sealed_is_read() {
    let scratch = tempfile::tempdir().unwrap();
    let plain = private(
        scratch.path(),
        "plain",
        secret().to_pem().as_str().as_bytes(),
    );
    let passphrase = private(scratch.path(), "secret", PASSPHRASE);
    let (plain, from) = (
        plain.display().to_string(),
        format!("file:{}", passphrase.display()),
    );
    for way in [&["-scrypt"][..], &["-v2", "aes-256-cbc", "-iter", "5000"]] {
        let mut words = vec!["pkcs8", "-topk8", "-in", &plain, "-passout", &from];
        words.extend(way);
        let Some(sealed) = openssl(&words) else {
            return;
        };
        let sealed = String::from_utf8(sealed).unwrap();
        let sealing = Sealing::from_passphrase(PASSPHRASE).unwrap();
        let read = SecretKey::from_sealed_pem(&sealed, &sealing).unwrap();
        assert_eq!(read.public(), secret().public(), "{way:?}");
    }
}
