//! What an approval is about: bytes, and the digest that was computed from them on this host.

use holdpoint_proto::v1;
use holdpoint_receipt::statement::subject_digest;
use holdpoint_receipt::{Digest, Json, Name, Request};

use crate::believe::{AnswerError, same};
use crate::info::{digest, malformed, name};

/// The members that the bytes have, sorted.
const MEMBERS: [&str; 5] = ["action", "binds", "namespace", "quorum", "surface"];

/// What is approved: exactly the fields that a quorum binds, as canonical bytes (RFC 8785).
///
/// Its digest was computed from these bytes on this host; there is no other way to make one. So
/// whoever shows [`SubjectBytes::as_str`] and approves [`SubjectBytes::digest`] approves what was
/// shown.
#[derive(Clone, Debug, PartialEq)]
pub struct SubjectBytes {
    text: String,
    digest: Digest,
    quorum: Name,
    surface: Name,
    action: Name,
    binds: Vec<(String, Json)>,
}

impl SubjectBytes {
    /// Reads what a node shows for a digest. Believes nothing but the bytes.
    pub(crate) fn believe(
        bytes: Vec<u8>,
        digest: Digest,
        namespace: &Name,
    ) -> Result<Self, AnswerError> {
        same("subject_digest", subject_digest(&bytes) == digest)?;
        let wrong = |problem: &str| malformed("subject_json", problem);
        let json = Json::parse(&bytes).map_err(|error| malformed("subject_json", error))?;
        let text = String::from_utf8(bytes).map_err(|error| malformed("subject_json", error))?;
        if json.to_canonical() != text {
            return Err(wrong("is not in its canonical form"));
        }
        let members = json.as_object().ok_or_else(|| wrong("is no object"))?;
        if !members.keys().map(String::as_str).eq(MEMBERS) {
            return Err(wrong("does not have the members of a subject"));
        }
        let word = |member: &'static str| {
            let word = members.get(member).and_then(Json::as_str);
            name(member, word.unwrap_or_default().to_owned())
        };
        same("namespace", word("namespace")? == *namespace)?;
        let binds = members.get("binds").and_then(Json::as_object);
        let binds = binds.ok_or_else(|| wrong("binds nothing"))?;
        Ok(Self {
            quorum: word("quorum")?,
            surface: word("surface")?,
            action: word("action")?,
            binds: binds.clone().into_iter().collect(),
            digest,
            text,
        })
    }

    /// The canonical bytes, which are text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// SHA-256 over the domain `holdpoint/approval/v1` and the bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The quorum that an approval of it counts for.
    #[must_use]
    pub const fn quorum(&self) -> &Name {
        &self.quorum
    }

    /// The surface.
    #[must_use]
    pub const fn surface(&self) -> &Name {
        &self.surface
    }

    /// The action.
    #[must_use]
    pub const fn action(&self) -> &Name {
        &self.action
    }

    /// Whether an approval of these bytes is about this request, as far as it shows: every bound field
    /// but the resource, which only the policy can name, and the request itself must be in it.
    #[must_use]
    pub fn fits(&self, request: &Request) -> bool {
        let is_same = |name: &str, value: &Json| match name {
            "caller" => value.as_str() == Some(request.caller.as_str()),
            "action" => value.as_str() == Some(request.action.as_str()),
            "request" => value.as_str() == Some(request.digest().to_string().as_str()),
            "resource" => true,
            name => name
                .strip_prefix("params.")
                .is_some_and(|name| request.params.get(name).unwrap_or(&Json::Null) == value),
        };
        self.surface == request.surface
            && self.action == request.action
            && self.binds().all(|(name, value)| is_same(name, value))
    }

    /// The bound fields and their values, sorted by name.
    pub fn binds(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.binds
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }
}

/// A quorum that is not met.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingApproval {
    /// What is to be approved, with the quorum.
    pub subject: SubjectBytes,
    /// How many approvals the quorum needs.
    pub needed: u32,
    /// How many it has.
    pub have: u32,
}

impl MissingApproval {
    pub(crate) fn from_wire(
        missing: v1::MissingApproval,
        namespace: &Name,
    ) -> Result<Self, AnswerError> {
        let subject_digest = digest("subject_digest", &missing.subject_digest)?;
        let subject = SubjectBytes::believe(missing.subject_json, subject_digest, namespace)?;
        same("quorum", subject.quorum.as_str() == missing.quorum)?;
        Ok(Self {
            subject,
            needed: missing.needed,
            have: missing.have,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"action":"apply","binds":{"params.plan_sha256":"00"},"namespace":"default","quorum":"two","surface":"infra.apply"}"#;

    fn read(text: &str) -> Result<SubjectBytes, AnswerError> {
        let digest = subject_digest(text.as_bytes());
        SubjectBytes::believe(text.into(), digest, &Name::new("default").unwrap())
    }

    #[test]
    fn subject_is_what_its_bytes_say() {
        let subject = read(TEXT).unwrap();
        assert_eq!(subject.as_str(), TEXT);
        assert_eq!(subject.quorum().as_str(), "two");
        assert_eq!(
            subject.binds().collect::<Vec<_>>(),
            [("params.plan_sha256", &Json::str("00"))]
        );
    }

    #[test]
    fn subject_fits_only_requests_that_have_its_fields() {
        let request = |plan: &str| {
            let text = format!(
                r#"{{"action":"apply","caller":"loopback:ci","namespace":"default","params":{{"plan_sha256":"{plan}","workspace":"eu"}},"surface":"infra.apply"}}"#
            );
            Request::parse_canonical(text.as_bytes()).unwrap()
        };
        let subject = read(TEXT).unwrap();
        assert!(subject.fits(&request("00")));
        assert!(!subject.fits(&request("01")));
        let whole = TEXT.replace(
            r#""params.plan_sha256":"00""#,
            &format!(r#""request":"{}""#, request("00").digest()),
        );
        let subject = read(&whole).unwrap();
        assert!(subject.fits(&request("00")));
        assert!(!subject.fits(&request("01")));
        let unknown = TEXT.replace("params.plan_sha256", "weather");
        assert!(!read(&unknown).unwrap().fits(&request("00")));
    }

    #[test]
    fn bytes_of_another_digest_are_never_a_subject() {
        let other = subject_digest(b"{}");
        let namespace = Name::new("default").unwrap();
        let error = SubjectBytes::believe(TEXT.into(), other, &namespace).unwrap_err();
        assert!(
            matches!(error, AnswerError::Differs { field } if field == "subject_digest"),
            "{error}"
        );
    }

    #[test]
    fn bytes_that_could_be_shown_otherwise_than_they_are_hashed_are_refused() {
        for text in [
            TEXT.replace(':', ": "),
            TEXT.replace("default", "other"),
            TEXT.replace(r#","surface""#, r#","more":1,"surface""#),
            TEXT.replace(r#""quorum":"two""#, r#""quorum":"Two""#),
            TEXT.replace("}}", "}").replace("{\"params", "[\"params"),
            "[]".to_owned(),
        ] {
            assert!(read(&text).is_err(), "{text}");
        }
    }
}
