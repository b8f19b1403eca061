use proptest::prelude::*;

use super::*;

fn pay() -> Request {
    Request {
        namespace: Name::new("default").unwrap(),
        caller: Caller::new("loopback:ci").unwrap(),
        actor: None,
        surface: Name::new("payment.execute").unwrap(),
        action: Name::new("refund").unwrap(),
        params: Params::parse(br#"{"invoice":"INV-7","amount_minor":1250}"#).unwrap(),
        session: None,
        step: None,
        prerequisites: Vec::new(),
    }
}

fn full() -> Request {
    Request {
        actor: Some(Actor::new("alice").unwrap()),
        session: Some(SessionId::new("run 7").unwrap()),
        step: Some(StepId::new("3").unwrap()),
        prerequisites: vec![PermitId::from_bytes([1; 16]), PermitId::from_bytes([0; 16])],
        ..pay()
    }
}

/// Golden: these bytes are what permits are bound to. They never change within `v1`.
#[test]
fn canonical_request_and_its_digest_never_change() {
    assert_eq!(
        pay().to_canonical(),
        r#"{"action":"refund","caller":"loopback:ci","namespace":"default","params":{"amount_minor":1250,"invoice":"INV-7"},"surface":"payment.execute"}"#
    );
    assert_eq!(
        pay().digest().to_string(),
        "970ddce95467bfbd445cf6b723a416fd232af3f195cd26403b9be7e13ac7d2ce"
    );
    assert_eq!(
        full().to_canonical(),
        r#"{"action":"refund","actor":"alice","caller":"loopback:ci","namespace":"default","params":{"amount_minor":1250,"invoice":"INV-7"},"prerequisites":["pmt_aeaqcaibaeaqcaibaeaqcaibae","pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa"],"session":"run 7","step":"3","surface":"payment.execute"}"#
    );
    assert_eq!(
        full().digest().to_string(),
        "82829c07e335d813425ed05a5efabee195fb0492e48483b0f9130fee890907ef"
    );
}

#[test]
fn requests_that_differ_only_in_framing_have_one_digest() {
    let frames = [
        r#"{"surface":"payment.execute","namespace":"default","params":{"invoice":"INV-7","amount_minor":1250},"caller":"loopback:ci","action":"refund"}"#,
        " { \"action\" : \"re\\u0066und\",\n\"caller\":\"loopback:ci\",\"namespace\":\"default\",\t\"params\":{\"\\u0061mount_minor\":1250,\"invoice\":\"INV\\u002d7\"},\"surface\":\"payment.execute\"}\r\n",
    ];
    for frame in frames {
        let request = Request::parse(frame.as_bytes()).unwrap();
        assert_eq!(request, pay());
        assert_eq!(request.digest(), pay().digest());
        assert_eq!(
            Request::parse_canonical(frame.as_bytes()),
            Err(RequestError::NotCanonical)
        );
    }
}

#[test]
fn any_other_difference_gives_another_digest() {
    let differ: [fn(&mut Request); 9] = [
        |r| r.namespace = Name::new("other").unwrap(),
        |r| r.caller = Caller::new("loopback:dev").unwrap(),
        |r| r.actor = None,
        |r| r.surface = Name::new("payment").unwrap(),
        |r| r.action = Name::new("pay").unwrap(),
        |r| r.params = Params::none(),
        |r| r.session = None,
        |r| r.step = None,
        |r| r.prerequisites.reverse(),
    ];
    let mut digests = vec![full().digest()];
    for change in differ {
        let mut request = full();
        change(&mut request);
        assert!(!digests.contains(&request.digest()), "{request:?}");
        digests.push(request.digest());
    }
}

#[test]
fn request_with_a_field_that_does_not_fit_is_refused() {
    let check = |from: &str, to: &str, message: &str| {
        let text = full().to_canonical().replacen(from, to, 1);
        assert_eq!(
            Request::parse(text.as_bytes()).unwrap_err().to_string(),
            message
        );
    };
    check(r#""action":"refund","#, "", "`action` is missing");
    check(
        r#""refund""#,
        "7",
        "`action` is an integer, it must be a string",
    );
    check(
        r#""refund""#,
        "null",
        "`action` is null, it must be a string",
    );
    check(r#""refund""#, r#""""#, "`action`: the name is empty");
    check(
        r#""step""#,
        r#""steps""#,
        "`steps` is not a field of a request",
    );
    check(
        r#""pmt_ae"#,
        r#""pmt_AE"#,
        &format!("`prerequisites`: {}", IdError::Permit),
    );
    check(
        "pmt_aeaqcaibaeaqcaibaeaqcaibae",
        "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "`prerequisites` names `pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa` twice",
    );
    check(
        "{\"amount_minor\":1250,\"invoice\":\"INV-7\"}",
        "[]",
        "`params` is an array, it must be an object",
    );
}

#[test]
fn more_prerequisites_than_the_limit_are_refused() {
    let mut request = pay();
    let ids = (0..=PREREQUISITES_MAX).map(|n| PermitId::from_bytes((n as u128).to_be_bytes()));
    request.prerequisites = ids.collect();
    let count = PREREQUISITES_MAX + 1;
    assert_eq!(
        request.check(),
        Err(RequestError::PrerequisitesTooMany { count })
    );
    request.prerequisites.pop();
    assert_eq!(request.check(), Ok(()));
}

#[test]
fn largest_request_is_within_the_limit_of_its_parser() {
    let longest = |n: usize| "~".repeat(n);
    let name = || Name::new("x".repeat(Name::BYTES_MAX)).unwrap();
    let quotes = "\\".repeat(Caller::BYTES_MAX);
    let params = format!(r#"{{"a":"{}"}}"#, longest(64 * 1024 - 8));
    let request = Request {
        namespace: name(),
        caller: Caller::new(quotes.clone()).unwrap(),
        actor: Some(Actor::new(quotes).unwrap()),
        surface: name(),
        action: name(),
        params: Params::parse(params.as_bytes()).unwrap(),
        session: Some(SessionId::new("\"".repeat(SessionId::BYTES_MAX)).unwrap()),
        step: Some(StepId::new("\"".repeat(StepId::BYTES_MAX)).unwrap()),
        prerequisites: (0..PREREQUISITES_MAX)
            .map(|n| PermitId::from_bytes((n as u128).to_be_bytes()))
            .collect(),
    };
    let canonical = request.to_canonical();
    assert_eq!(Request::parse_canonical(canonical.as_bytes()), Ok(request));
}

#[test]
fn params_built_in_memory_meet_the_same_limits_as_text() {
    let nested = |depth| {
        (1..depth).fold(Json::object([("a", Json::Null)]), |inner, _| {
            Json::object([("a", inner)])
        })
    };
    assert!(Params::from_json(nested(16)).is_ok());
    assert_eq!(
        Params::from_json(nested(17)),
        Err(RequestError::ParamsTooDeep)
    );
    let large = Json::object([("a", Json::Int(i64::MIN))]);
    assert_eq!(
        Params::from_json(large),
        Err(RequestError::Integer(i64::MIN))
    );
    let long = Json::object([("a", Json::str("x".repeat(64 * 1024)))]);
    assert!(matches!(
        Params::from_json(long),
        Err(RequestError::ParamsTooLong { .. })
    ));
}

proptest! {
    #[test]
    fn canonical_request_reads_back(
        caller in "[ -~]{1,40}",
        session in proptest::option::of("[ -~]{1,40}"),
        params in prop::collection::btree_map(any::<String>(), any::<i32>(), 0..5),
    ) {
        let members = params.into_iter().map(|(key, value)| (key, Json::Int(value.into())));
        let request = Request {
            caller: Caller::new(caller).unwrap(),
            session: session.map(|text| SessionId::new(text).unwrap()),
            params: Params::from_json(Json::object(members)).unwrap(),
            ..full()
        };
        let canonical = request.to_canonical();
        prop_assert_eq!(Request::parse_canonical(canonical.as_bytes()), Ok(request));
    }

    /// Escapes every character, in either case of hexadecimal digits, and digests the same.
    #[test]
    fn escaped_request_has_the_digest_of_the_plain_one(text in any::<String>(), upper in any::<bool>()) {
        let plain = Params::from_json(Json::object([("k", Json::str(text.clone()))])).unwrap();
        let escaped: String = text.encode_utf16().map(|unit| {
            if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") }
        }).collect();
        let escaped = Params::parse(format!("{{\"\\u006b\" : \"{escaped}\"}}").as_bytes()).unwrap();
        let digest = |params| Request { params, ..pay() }.digest();
        prop_assert_eq!(digest(plain), digest(escaped));
    }
}
