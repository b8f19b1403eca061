//! Published vectors, read from beside the repository; each test says so and ends where they are not.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::json::{Json, JsonProblem, Limits, parse};
use holdpoint_receipt::keys::VerifierKey;
use holdpoint_receipt::merkle::{Frontier, leaf_hash, verify_consistency, verify_inclusion};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Digest, PublicKey, SecretKey, sha256_domain};

/// The folder of vectors, or a message and nothing.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HOLDPOINT_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    println!(
        "skipped: no vectors in {} (set HOLDPOINT_VECTORS)",
        path.display()
    );
    None
}

fn json(path: &Path) -> Json {
    let text = std::fs::read(path).unwrap();
    parse(
        &text,
        Limits {
            bytes_max: 8 << 20,
            depth_max: 32,
        },
    )
    .unwrap()
}

fn member<'a>(value: &'a Json, name: &str) -> &'a Json {
    value
        .as_object()
        .and_then(|members| members.get(name))
        .unwrap_or(&Json::Null)
}

fn text<'a>(value: &'a Json, name: &str) -> &'a str {
    member(value, name).as_str().unwrap()
}

pub(crate) fn bytes_of_hex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    let pairs = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn verify_hex(key: &str, message: &[u8], signature: &str) -> bool {
    let key = <[u8; 32]>::try_from(bytes_of_hex(key)).ok();
    let key = key.and_then(|key| PublicKey::from_bytes(&key).ok());
    key.is_some_and(|key| key.verify(message, &bytes_of_hex(signature)).is_ok())
}

#[test]
fn reference_tree_of_rfc_6962_has_its_roots_and_proofs() {
    let Some(folder) = folder("rfc") else { return };
    let tree = json(&folder.join("rfc6962_reference_tree.json"));
    let items = |name: &str| member(&tree, name).as_array().unwrap();
    let digest = |value: &Json| value.as_str().unwrap().parse::<Digest>().unwrap();
    let roots: Vec<Digest> = items("roots_by_size").iter().map(digest).collect();
    let leaves: Vec<Digest> = items("leaf_hashes").iter().map(digest).collect();
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), roots[0]);
    for (place, input) in items("leaf_inputs").iter().enumerate() {
        assert_eq!(
            leaf_hash(&bytes_of_hex(input.as_str().unwrap())),
            leaves[place]
        );
        frontier.append(leaves[place]).unwrap();
        assert_eq!(frontier.root(), roots[place + 1]);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A probe's text in place of a hash becomes some digest, equal where the texts are.
fn hash(value: &Json) -> Digest {
    let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap();
    bytes.try_into().map_or_else(
        |other: Vec<u8>| sha256_domain("probe", &[&other]),
        Digest::from_bytes,
    )
}

fn hashes(value: &Json) -> Vec<Digest> {
    value
        .as_array()
        .unwrap_or_default()
        .iter()
        .map(hash)
        .collect()
}

fn number(value: &Json, name: &str) -> u64 {
    u64::try_from(member(value, name).as_int().unwrap()).unwrap()
}

/// Sizes that JSON cannot keep exact are none of ours either.
fn probe(path: &Path) -> Option<(Json, bool)> {
    let text = std::fs::read(path).unwrap();
    match parse(
        &text,
        Limits {
            bytes_max: 1 << 20,
            depth_max: 8,
        },
    ) {
        Ok(value) => {
            let is_refused = *member(&value, "wantErr") == Json::Bool(true);
            Some((value, is_refused))
        }
        Err(error) => {
            assert_eq!(
                error.problem,
                JsonProblem::IntegerTooLarge,
                "{}",
                path.display()
            );
            assert!(
                String::from_utf8(text)
                    .unwrap()
                    .contains("\"wantErr\": true")
            );
            None
        }
    }
}

#[test]
fn inclusion_probes_of_transparency_dev_are_judged_as_published() {
    let Some(folder) = folder("transparency-dev-merkle/testdata/inclusion") else {
        return;
    };
    let mut judged_count = 0;
    for path in files(&folder) {
        let Some((case, is_refused)) = probe(&path) else {
            continue;
        };
        // A leaf and a root of no bytes at all, refused there by convention; ours always have 32.
        if path.ends_with("single-entry/empty-root-and-leaf.json") {
            continue;
        }
        let (index, size) = (number(&case, "leafIdx"), number(&case, "treeSize"));
        let [leaf, root] = ["leafHash", "root"].map(|name| hash(member(&case, name)));
        let proof = hashes(member(&case, "proof"));
        let found = verify_inclusion(index, size, &leaf, &proof, &root);
        assert_eq!(found.is_err(), is_refused, "{}", path.display());
        judged_count += 1;
    }
    assert!(judged_count > 80, "{judged_count} probes");
}

#[test]
fn consistency_probes_of_transparency_dev_are_judged_as_published() {
    let Some(folder) = folder("transparency-dev-merkle/testdata/consistency") else {
        return;
    };
    let mut judged_count = 0;
    for path in files(&folder) {
        let Some((case, is_refused)) = probe(&path) else {
            continue;
        };
        let (first, second) = (number(&case, "size1"), number(&case, "size2"));
        let [first_root, second_root] = ["root1", "root2"].map(|name| hash(member(&case, name)));
        let proof = hashes(member(&case, "proof"));
        let found = verify_consistency(first, second, &first_root, &second_root, &proof);
        // An empty earlier tree proves nothing, whatever the later one is.
        let expects_error = is_refused || first == 0;
        assert_eq!(found.is_err(), expects_error, "{}", path.display());
        judged_count += 1;
    }
    assert!(judged_count > 80, "{judged_count} probes");
}

#[test]
fn rfc_8032_and_dalek_signatures_verify_and_their_keys_are_derived() {
    if let Some(folder) = folder("rfc") {
        let vectors = json(&folder.join("rfc8032_ed25519.json"));
        for case in member(&vectors, "vectors").as_array().unwrap() {
            let message = bytes_of_hex(text(case, "msg"));
            assert!(verify_hex(
                text(case, "public"),
                &message,
                text(case, "sig")
            ));
        }
    }
    let Some(folder) = folder("dalek") else {
        return;
    };
    let lines = std::fs::read_to_string(folder.join("TESTVECTORS")).unwrap();
    for line in lines.lines() {
        let parts: Vec<&str> = line.split(':').collect();
        let seed: [u8; 32] = bytes_of_hex(&parts[0][..64]).try_into().unwrap();
        let public = SecretKey::from_seed(&seed).public();
        assert_eq!(public.as_bytes().as_slice(), bytes_of_hex(parts[1]));
        assert!(verify_hex(
            parts[1],
            &bytes_of_hex(parts[2]),
            &parts[3][..128]
        ));
    }
}

/// All 151 verdicts are those of libsodium 1.0.18 too; a verifier of batches would accept case 151.
#[test]
fn wycheproof_file_is_judged_as_published() {
    let Some(folder) = folder("wycheproof") else {
        return;
    };
    let set = json(&folder.join("ed25519_test.json"));
    let (mut valid_count, mut invalid_count) = (0, 0);
    for group in member(&set, "testGroups").as_array().unwrap() {
        let key = text(member(group, "publicKey"), "pk");
        for case in member(group, "tests").as_array().unwrap() {
            let found = verify_hex(key, &bytes_of_hex(text(case, "msg")), text(case, "sig"));
            let is_valid = text(case, "result") == "valid";
            assert_eq!(found, is_valid, "{case:?}");
            *if is_valid {
                &mut valid_count
            } else {
                &mut invalid_count
            } += 1;
        }
    }
    assert_eq!((valid_count, invalid_count), (88, 63));
}

/// `cases.json` of "Taming the many EdDSAs": strict verification accepts case 3 alone.
#[test]
fn speccheck_case_three_alone_is_accepted() {
    let Some(folder) = folder("ed25519-speccheck") else {
        return;
    };
    let cases = json(&folder.join("cases.json"));
    let accepted = cases.as_array().unwrap().iter().map(|case| {
        let message = bytes_of_hex(text(case, "message"));
        verify_hex(text(case, "pub_key"), &message, text(case, "signature"))
    });
    let accepted: Vec<usize> = accepted
        .enumerate()
        .filter_map(|(place, is_valid)| is_valid.then_some(place))
        .collect();
    assert_eq!(accepted, [3]);
}

/// The cases that libsodium 1.0.18 (`crypto_sign_verify_detached`) accepts.
const CCTV_ACCEPTED_BY_LIBSODIUM: [i64; 43] = [
    7, 29, 50, 117, 139, 161, 182, 249, 305, 411, 425, 438, 465, 473, 481, 489, 497, 511, 525, 538,
    565, 573, 581, 589, 597, 611, 625, 638, 665, 673, 681, 689, 697, 711, 725, 738, 765, 773, 781,
    789, 797, 832, 899,
];

/// Low order, small components, second encodings: a case is accepted exactly if it has none of the
/// flags that make a key, a point or an equation depend on the verifier.
#[test]
fn edge_cases_of_cctv_are_judged_as_libsodium_judges_them() {
    const REFUSED: [&str; 5] = [
        "low_order_A",
        "low_order_R",
        "non_canonical_A",
        "non_canonical_R",
        "low_order_residue",
    ];
    let Some(folder) = folder("c2sp-cctv-ed25519") else {
        return;
    };
    let cases = json(&folder.join("ed25519vectors.json"));
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 914);
    let mut accepted = Vec::new();
    for case in cases {
        let flags = member(case, "flags").as_array().unwrap_or_default();
        let is_refused = flags
            .iter()
            .any(|flag| REFUSED.contains(&flag.as_str().unwrap()));
        let (key, signature) = (text(case, "key"), text(case, "sig"));
        let is_accepted = verify_hex(key, text(case, "msg").as_bytes(), signature);
        assert_eq!(is_accepted, !is_refused, "{case:?}");
        if is_accepted {
            accepted.push(member(case, "number").as_int().unwrap());
        }
    }
    assert_eq!(accepted, CCTV_ACCEPTED_BY_LIBSODIUM);
}

#[test]
fn example_of_signed_note_verifies() {
    let Some(folder) = folder("c2sp-specs-examples") else {
        return;
    };
    let example = json(&folder.join("signed_note_example.json"));
    let note = format!(
        "{}\n{}\n",
        text(&example, "text"),
        text(&example, "signature_line")
    );
    let note: Note = note.parse().unwrap();
    let verifier: VerifierKey = text(&example, "vkey").parse().unwrap();
    let [line] = note.signatures() else {
        panic!("one line")
    };
    assert_eq!(
        (&line.name, line.key_id),
        (verifier.name(), verifier.key_id())
    );
    assert!(
        verifier
            .key()
            .verify(note.text().as_bytes(), &line.signature)
            .is_ok()
    );
}

/// A log that another implementation grew leaf by leaf.
#[test]
fn every_checkpoint_of_the_tessera_log_has_our_root_and_verifies() {
    let Some(folder) = folder("tessera-testdata") else {
        return;
    };
    let about = std::fs::read_to_string(folder.join("VKEY.txt")).unwrap();
    let verifier: VerifierKey = about.lines().next().unwrap().trim().parse().unwrap();
    let leaves = about
        .lines()
        .find_map(|line| line.strip_prefix("leaves: "))
        .unwrap();
    let mut frontier = Frontier::new();
    let mut leaves = leaves.split(' ');
    for size in 0_u64..=15 {
        let path = folder.join(format!("testdata/log/checkpoint.{size}"));
        let file = std::fs::read_to_string(path).unwrap();
        let note: Note = file.parse().unwrap();
        assert_eq!(note.to_string(), file);
        let head: Checkpoint = note.text().parse().unwrap();
        assert_eq!(head.to_text(), note.text());
        assert_eq!(
            (head.size.get(), head.root),
            (frontier.size(), frontier.root())
        );
        let [line] = note.signatures() else {
            panic!("one line")
        };
        assert_eq!(line.key_id, verifier.key_id());
        assert!(
            verifier
                .key()
                .verify(note.text().as_bytes(), &line.signature)
                .is_ok()
        );
        if let Some(leaf) = leaves.next() {
            frontier.append(leaf_hash(leaf.as_bytes())).unwrap();
        }
    }
}

/// Where the input has no floats, our canonical form is the published one; the others are refused.
#[test]
fn rfc_8785_vectors_without_floats_are_written_as_published() {
    let Some(folder) = folder("json-canonicalization") else {
        return;
    };
    let mut written_count = 0;
    for path in files(&folder.join("input")) {
        let name = path.file_name().unwrap();
        match Json::parse(&std::fs::read(&path).unwrap()) {
            Ok(value) => {
                let published = std::fs::read_to_string(folder.join("output").join(name)).unwrap();
                assert_eq!(
                    value.to_canonical(),
                    published.trim_end(),
                    "{}",
                    path.display()
                );
                written_count += 1;
            }
            Err(error) => {
                assert_eq!(error.problem, JsonProblem::Float, "{}", path.display());
                assert!(name == "values.json" || name == "structures.json");
            }
        }
    }
    assert_eq!(written_count, 4);
}
