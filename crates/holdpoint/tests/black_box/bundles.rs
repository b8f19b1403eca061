//! Many receipts at once, and whether they are about one request. Offline.

use std::fs;

use super::offline::golden;
use super::receipts::{story, with_keys};

#[test]
fn folder_is_verified_file_by_file_and_the_worst_is_the_exit_code() {
    let place = story();
    fs::create_dir(place.path().join("all")).unwrap();
    for leaf in 0..4 {
        let name = format!("{leaf}.json");
        fs::copy(
            place.path().join(&name),
            place.path().join("all").join(&name),
        )
        .unwrap();
    }
    place.write("all/notes.txt", "not meant");
    let told = with_keys(&place, "verify", &["all"]).exits(0).stdout();
    assert!(told.contains("all/0.json: VALID  "), "{told}");
    assert!(
        told.ends_with("4 receipts: 4 VALID, 0 INVALID, 0 UNVERIFIABLE\n"),
        "{told}"
    );
    let other = fs::read_to_string(place.path().join("all/2.json")).unwrap();
    let other = other.replacen("holdpoint.receipt/1", "holdpoint.receipt/9", 1);
    place.write("all/2.json", &other);
    let json = with_keys(&place, "verify", &["all", "--output", "json"]).exits(11);
    let json = json.json("holdpoint.receipt-verify/1");
    assert_eq!(json["verdict"], "UNVERIFIABLE");
    assert_eq!(
        (&json["valid"], &json["unverifiable"]),
        (&3.into(), &1.into())
    );
    // One code for each: the first check that fails.
    assert_eq!(json["receipts"][2]["code"], "UNKNOWN_SCHEMA");
    place.write("all/3.json", "{}\n");
    let told = with_keys(&place, "verify", &["all"]).exits(10).stdout();
    assert!(
        told.ends_with("4 receipts: 2 VALID, 1 INVALID, 1 UNVERIFIABLE\n"),
        "{told}"
    );
    fs::create_dir(place.path().join("none")).unwrap();
    let empty = with_keys(&place, "verify", &["none"]).exits(1);
    assert!(
        empty.stderr().contains("has no receipts"),
        "{}",
        empty.stderr()
    );
}

#[test]
fn lines_of_a_file_are_receipts_of_their_own() {
    let place = story();
    let receipt =
        |leaf: u32| fs::read_to_string(place.path().join(format!("{leaf}.json"))).unwrap();
    place.write("two.jsonl", &(receipt(0) + &receipt(1)));
    let told = with_keys(&place, "verify", &["two.jsonl"])
        .exits(0)
        .stdout();
    assert!(told.contains("two.jsonl:2: VALID  "), "{told}");
    // A line that is too long is one wrong receipt, and what follows it is read.
    let long = "x".repeat(100_000);
    place.write(
        "three.jsonl",
        &format!("{}{long}\n{}", receipt(0), receipt(1)),
    );
    let told = with_keys(&place, "verify", &["three.jsonl"])
        .exits(10)
        .stdout();
    assert!(
        told.ends_with("3 receipts: 2 VALID, 1 INVALID, 0 UNVERIFIABLE\n"),
        "{told}"
    );
    // The last line without its end is not the one encoding of a receipt.
    place.write("cut.jsonl", receipt(0).trim_end());
    let told = with_keys(&place, "verify", &["cut.jsonl"])
        .exits(10)
        .stdout();
    assert!(told.contains("INVALID  NOT_CANONICAL"), "{told}");
    let execute = [
        "two.jsonl",
        "--mode",
        "execute",
        "--surface",
        "a",
        "--action",
        "b",
    ];
    let _ = with_keys(&place, "verify", &execute).exits(2);
    assert!(golden("log.jsonl").lines().count() > 2);
}

#[test]
fn receipt_is_of_a_request_in_whatever_spelling_and_of_no_other() {
    let place = story();
    let request = |message: &str| {
        format!(
            r#"{{ "surface":"infra.apply", "namespace":"default","caller":"loopback:ci",
                "action":"apply", "params":{{"workspace":"{message}"}} }}"#
        )
    };
    place.write("request.json", &request("prod"));
    let other = with_keys(&place, "verify", &["3.json", "--request", "request.json"]);
    let other = other.exits(10).stdout();
    assert!(other.starts_with("INVALID  BINDING_MISMATCH  "), "{other}");
    // A statement about no request.
    let none = with_keys(&place, "verify", &["0.json", "--request", "request.json"]);
    let none = none.exits(10).stdout();
    assert!(none.starts_with("INVALID  NO_SUCH_MEMBER  "), "{none}");
    place.write("request.json", "{}");
    let unfit = with_keys(&place, "verify", &["3.json", "--request", "request.json"]);
    assert!(unfit.exits(1).stderr().contains("is not a request"));
}
