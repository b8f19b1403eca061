use base64::Engine as _;
use holdpoint_receipt::json::Json;
use holdpoint_receipt::keys::{
    Algorithm, Epoch, KeyError, KeyName, KeySetError, Revocation, VerifierKey, VerifierKeyError,
};
use holdpoint_receipt::names::TreeSize;
use holdpoint_receipt::{KeySet, NodeSecretKeys, PublicKey, SecretKey};

use crate::fixture::{cluster, epoch, key_set, key_set_of, namespace, node, revoked, secret_keys};
use crate::vectors::bytes_of_hex;

fn key(hex: &str) -> [u8; 32] {
    bytes_of_hex(hex).try_into().unwrap()
}

/// RFC 8032 section 7.1, tests 1 to 3.
#[test]
fn public_keys_and_signatures_are_those_of_rfc_8032() {
    let check = |secret: &str, public: &str, message: &str, signature: &str| {
        let public_key = SecretKey::from_seed(&key(secret)).public();
        assert_eq!(*public_key.as_bytes(), key(public));
        let (message, signature) = (bytes_of_hex(message), bytes_of_hex(signature));
        assert!(public_key.verify(&message, &signature).is_ok());
        let other = [message.as_slice(), b"x"].concat();
        assert!(public_key.verify(&other, &signature).is_err());
        assert!(public_key.verify(&message, &signature[..63]).is_err());
        assert!(
            public_key
                .verify(&message, &[signature.as_slice(), &[0]].concat())
                .is_err()
        );
    };
    check(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
    check(
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
    check(
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    );
}

#[test]
fn weak_and_doubly_encoded_keys_are_refused() {
    let check = |hex: &str, error| {
        assert_eq!(PublicKey::from_bytes(&key(hex)), Err(error), "{hex}");
    };
    // The neutral element, a point of order 2, one of order 4, one of order 8.
    check(&format!("01{}", "0".repeat(62)), KeyError::Weak);
    check(&format!("ec{}7f", "f".repeat(60)), KeyError::Weak);
    check(&"0".repeat(64), KeyError::Weak);
    check(
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        KeyError::Weak,
    );
    // y = p and y = p + 1 are 0 and 1 in a second encoding.
    check(&format!("ed{}7f", "f".repeat(60)), KeyError::Encoding);
    check(&format!("ee{}7f", "f".repeat(60)), KeyError::Encoding);
    check(&format!("{}ff", "f".repeat(62)), KeyError::Encoding);
    // Not a point at all.
    check(&format!("02{}", "0".repeat(62)), KeyError::Encoding);
}

#[test]
fn secret_keys_are_never_shown() {
    let keys = secret_keys(1);
    assert_eq!(
        format!("{keys:?}"),
        "NodeSecretKeys { log: SecretKey, cosign: SecretKey }"
    );
    assert_eq!(
        format!("{:?}", SecretKey::from_seed(&[1; 32]).to_pem()),
        "SecretPem"
    );
}

#[test]
fn secret_key_reads_back_from_its_file_and_from_nothing_else() {
    let secret = SecretKey::from_seed(&[5; 32]);
    let pem = secret.to_pem();
    assert_eq!(
        pem.as_str(),
        "-----BEGIN PRIVATE KEY-----\n\
         MC4CAQAwBQYDK2VwBCIEIAUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF\n\
         -----END PRIVATE KEY-----\n"
    );
    assert_eq!(
        SecretKey::from_pem(pem.as_str()).unwrap().public(),
        secret.public()
    );
    for (from, to) in [
        ("MC4", "MC8"),
        ("MC4", "MC"),
        ("PRIVATE", "PUBLIC"),
        ("UF\n", "UF"),
    ] {
        let changed = pem.as_str().replacen(from, to, 1);
        assert_eq!(
            SecretKey::from_pem(&changed).unwrap_err(),
            KeyError::SecretEncoding,
            "{to}"
        );
    }
}

#[test]
fn node_cannot_use_one_key_for_both_roles() {
    let key = || SecretKey::from_seed(&[1; 32]);
    assert_eq!(
        NodeSecretKeys::new(key(), key()).unwrap_err(),
        KeyError::SameKey
    );
}

#[test]
fn public_key_is_exported_as_openssl_reads_it() {
    let public = SecretKey::from_seed(&key(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    ))
    .public();
    assert_eq!(
        public.to_spki_pem(),
        "-----BEGIN PUBLIC KEY-----\n\
         MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
         -----END PUBLIC KEY-----\n"
    );
}

/// The example of C2SP `signed-note`.
#[test]
fn verifier_key_has_one_text() {
    let text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let verifier: VerifierKey = text.parse().unwrap();
    assert_eq!(verifier.to_string(), text);
    assert_eq!(verifier.name(), &KeyName::new("example.com/foo").unwrap());
    assert_eq!(verifier.algorithm(), Algorithm::Ed25519);
    let check = |from: &str, to: &str, error| {
        let changed = text.replacen(from, to, 1);
        assert_eq!(changed.parse::<VerifierKey>(), Err(error), "{changed}");
    };
    check("530d903a", "530d903b", VerifierKeyError::KeyId);
    check("530d903a", "530D903A", VerifierKeyError::Form);
    check("foo", "bar", VerifierKeyError::KeyId);
    check("foo", "f oo", VerifierKeyError::Form);
    check("example.com/foo", "", VerifierKeyError::Form);
    check("Aeky", "Beky", VerifierKeyError::Algorithm);
    check("Aeky", "BOky", VerifierKeyError::KeyId);
    check("Aeky", "Aeky=", VerifierKeyError::Form);
    check("+Ae", "+Ce", VerifierKeyError::Algorithm);
    check("3U2k", "", VerifierKeyError::Key(KeyError::Encoding));
}

/// Golden: `keys.json` as published.
#[test]
fn key_set_file_never_changes() {
    let epochs = vec![epoch(0, 1, &[1]), epoch(5, 2, &[1, 2, 3])];
    let set = KeySet::new(cluster(), namespace(), epochs, vec![revoked(3, 7, 6)]).unwrap();
    assert_eq!(set.to_file(), include_str!("golden/keys.json"));
    assert_eq!(KeySet::parse(set.to_file().as_bytes()), Ok(set.clone()));
    let spaced = set.to_file().replace(',', " , \n");
    assert_eq!(KeySet::parse(spaced.as_bytes()), Ok(set));
}

#[test]
fn head_belongs_to_the_epoch_of_its_size() {
    let set = key_set_of(vec![epoch(0, 1, &[1]), epoch(5, 1, &[2])]);
    let signer = |size| {
        let epoch = set.epoch_of(TreeSize::new(size).unwrap()).unwrap();
        *epoch.nodes.keys().next().unwrap()
    };
    assert_eq!(
        [0, 4, 5, 1 << 50].map(signer),
        [node(1), node(1), node(2), node(2)]
    );
}

#[test]
fn key_set_that_leaves_something_open_is_refused() {
    let check = |epochs: Vec<Epoch>, error: KeySetError| {
        assert_eq!(
            KeySet::new(cluster(), namespace(), epochs, vec![]),
            Err(error)
        );
    };
    check(vec![], KeySetError::Epochs);
    check(vec![epoch(1, 1, &[1])], KeySetError::Epochs);
    check(
        vec![epoch(0, 1, &[1]), epoch(0, 1, &[2])],
        KeySetError::Epochs,
    );
    check(vec![epoch(0, 1, &[])], KeySetError::Nodes);
    check(vec![epoch(0, 0, &[1])], KeySetError::SignersNeeded);
    check(vec![epoch(0, 2, &[1])], KeySetError::SignersNeeded);
    let mut shared = epoch(0, 1, &[1, 2]);
    let first = shared.nodes[&node(1)];
    shared.nodes.insert(node(2), first);
    assert!(matches!(
        KeySet::new(cluster(), namespace(), vec![shared], vec![]),
        Err(KeySetError::SharedKey(_))
    ));
    let mut swapped = epoch(0, 1, &[1]);
    let keys = swapped.nodes.get_mut(&node(1)).unwrap();
    std::mem::swap(&mut keys.log, &mut keys.cosign);
    assert!(matches!(
        KeySet::new(
            cluster(),
            namespace(),
            vec![
                epoch(0, 1, &[1]),
                Epoch {
                    tree_size_from: TreeSize::new(1).unwrap(),
                    ..swapped
                }
            ],
            vec![]
        ),
        Err(KeySetError::SharedKey(_))
    ));
}

#[test]
fn key_set_file_with_a_changed_member_is_refused() {
    let file = key_set().to_file();
    let check = |from: &str, to: &str, message: &str| {
        let changed = file.replacen(from, to, 1);
        assert_ne!(changed, file);
        assert_eq!(
            KeySet::parse(changed.as_bytes()).unwrap_err().to_string(),
            message
        );
    };
    check("keys/1", "keys/2", "`schema` is not `holdpoint.keys/1`");
    check(
        "\"authority\":\"6",
        "\"authority\":\"7",
        "`log_vkey` of node 1 must have the name \
        `786f6c64706f696e7420746573747321/default` and be of its own kind",
    );
    check(
        "\"node\":1",
        "\"node\":0",
        "a key set's `node` is missing or malformed",
    );
    check(
        "\"node\":1",
        "\"node\":2",
        "`cosign_vkey` of node 2 must have the name \
        `node-2.686f6c64706f696e7420746573747321` and be of its own kind",
    );
    check(
        "\"node\":1",
        "\"node\":1,\"x\":1",
        "a key set's `x` is missing or malformed",
    );
    check(
        "\"epochs\"",
        "\"epoch\"",
        "a key set's `epochs` is missing or malformed",
    );
    check(
        "\"epochs\":[",
        "\"epochs\":[],\"epochs\":[",
        "invalid JSON at byte 60: the key `epochs` appears twice in one object",
    );
    check(
        "_from\":0",
        "_from\":1",
        "the epochs must start at tree size 0 and rise strictly",
    );
    check(
        "_needed\":1",
        "_needed\":3000000000",
        "`signers_needed` must be from 1 to the number of nodes",
    );
}

#[test]
fn mark_on_keys_that_nobody_signed_with_or_out_of_order_is_refused() {
    let check = |marks: Vec<Revocation>, is_accepted: bool| {
        let epochs = vec![epoch(0, 1, &[1]), epoch(5, 2, &[1, 2, 3])];
        let found = KeySet::new(cluster(), namespace(), epochs, marks);
        assert_eq!(found.is_ok(), is_accepted, "{found:?}");
        if let Err(error) = found {
            assert_eq!(error, KeySetError::Revoked);
        }
    };
    check(vec![revoked(1, 0, 0)], true);
    check(vec![revoked(1, 6, 5), revoked(3, 7, 5)], true);
    // The second epoch is opened by leaf 4; before it, node 3 had no keys.
    check(vec![revoked(3, 4, 5)], true);
    check(vec![revoked(3, 3, 5)], false);
    check(vec![revoked(4, 7, 6)], false);
    check(vec![revoked(1, 7, 5), revoked(3, 7, 5)], false);
    check(vec![revoked(1, 7, 5), revoked(3, 6, 5)], false);
    let foreign = Revocation {
        keys: secret_keys(2).public(),
        ..revoked(1, 7, 6)
    };
    check(vec![foreign], false);
}

/// What each `keys` statement has the digest of can be made again from the newest file alone.
#[test]
fn key_set_as_of_a_leaf_is_the_one_that_was_published_then() {
    let epochs = [
        epoch(0, 1, &[1]),
        epoch(5, 2, &[1, 2, 3]),
        epoch(9, 2, &[1, 2]),
    ];
    let marks = [revoked(3, 8, 6), revoked(1, 11, 4)];
    let of = |epoch_count: usize, mark_count: usize| {
        let (epochs, marks) = (&epochs[..epoch_count], &marks[..mark_count]);
        KeySet::new(cluster(), namespace(), epochs.to_vec(), marks.to_vec()).unwrap()
    };
    let newest = of(3, 2);
    for (leaves, expected) in [
        (0..4, of(1, 0)),
        (4..8, of(2, 0)),
        (8..11, of(3, 1)),
        (11..40, of(3, 2)),
    ] {
        for leaf_index in leaves {
            assert_eq!(newest.as_of(leaf_index), expected, "leaf {leaf_index}");
            assert_eq!(newest.as_of(leaf_index).digest(), expected.digest());
        }
    }
}

#[test]
fn web_keys_are_the_published_keys_without_those_that_are_revoked() {
    let epochs = vec![epoch(0, 1, &[1]), epoch(5, 2, &[1, 2, 3])];
    let set = KeySet::new(cluster(), namespace(), epochs, vec![revoked(3, 7, 6)]).unwrap();
    let jwks = set.to_jwks();
    let value = Json::parse(jwks.as_bytes()).unwrap();
    assert_eq!(jwks, value.to_canonical() + "\n");
    let keys = value.as_object().unwrap()["keys"].as_array().unwrap();
    let expected: Vec<String> = [1, 2]
        .iter()
        .flat_map(|id| {
            let public = secret_keys(*id).public();
            [
                set.log_verifier(&public),
                set.cosign_verifier(node((*id).into()), &public),
            ]
        })
        .map(|verifier| format!("{}+{}", verifier.name(), verifier.key_id()))
        .collect();
    let found = keys.iter().map(|key| key.as_object().unwrap());
    let found: Vec<&str> = found.map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(found, expected);
    assert!(jwks.starts_with("{\"keys\":[{\"alg\":\"EdDSA\",\"crv\":\"Ed25519\",\"kid\":\""));
    let x = keys[0].as_object().unwrap()["x"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(x);
    assert_eq!(bytes.unwrap(), secret_keys(1).public().log.as_bytes());
}

#[test]
fn every_changed_byte_of_a_key_set_is_refused_or_has_another_digest() {
    let epochs = vec![epoch(0, 1, &[1]), epoch(5, 2, &[1, 2, 3])];
    let set = KeySet::new(cluster(), namespace(), epochs, vec![revoked(3, 7, 6)]).unwrap();
    let file = set.to_file().into_bytes();
    for place in 0..file.len() {
        let mut changed = file.clone();
        // One bit of each byte, another one in the next.
        changed[place] ^= 1 << (place % 8);
        if let Ok(read) = KeySet::parse(&changed) {
            // White space around the value is the one freedom there is.
            let is_same = changed.trim_ascii_end() == file.trim_ascii_end();
            assert_eq!(read.digest() == set.digest(), is_same, "byte {place}");
        }
    }
}
