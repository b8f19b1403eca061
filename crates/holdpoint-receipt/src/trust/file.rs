//! The trust bundle as its file, written and read side by side.

use super::{
    TRUST_BYTES_MAX, TRUST_SCHEMA, TrustBundle, TrustContent, TrustError, check, place_of,
};
use crate::json::{Json, Limits, Members, parse};
use crate::keys::{KeySet, VerifierKey};
use crate::note::NoteSignature;

/// Bundle, keys, and a key set.
const LIMITS: Limits = Limits {
    bytes_max: TRUST_BYTES_MAX,
    depth_max: 7,
};

impl TrustBundle {
    /// The file's content: canonical JSON and a newline.
    #[must_use]
    pub fn to_file(&self) -> String {
        let lines = self
            .signatures
            .iter()
            .map(|line| Json::str(line.to_string()));
        let lines = Json::Array(lines.collect());
        line_of(&Json::object(
            members(&self.content)
                .into_iter()
                .chain([("signatures", lines)]),
        ))
    }

    /// What the roots sign: the file's content without `signatures`.
    #[must_use]
    pub fn signed_text(&self) -> String {
        line_of(&Json::object(members(&self.content)))
    }

    /// Reads a trust bundle in its one encoding. Nothing is verified.
    ///
    /// # Errors
    ///
    /// [`TrustError`] names the first member that does not fit.
    pub fn parse(text: &[u8]) -> Result<Self, TrustError> {
        let value = parse(text, LIMITS)?;
        if text.strip_suffix(b"\n") != Some(value.to_canonical().as_bytes()) {
            return Err(TrustError::NotCanonical);
        }
        let mut top = Members::of(value, "trust bundle")?;
        if top.text("schema")? != TRUST_SCHEMA {
            return Err(TrustError::UnknownSchema);
        }
        let threshold = top.number("threshold")?;
        let sets = top.array("keys")?.into_iter().map(KeySet::from_json);
        let content = TrustContent {
            authority: top.parsed("authority")?,
            version: top.number("version")?,
            expires_at_ms: top.number("expires_at_ms")?,
            threshold: u32::try_from(threshold).map_err(|_| TrustError::Threshold)?,
            roots: verifiers(&mut top, "roots")?,
            former_roots: verifiers(&mut top, "former_roots")?,
            keys: sets.collect::<Result<_, _>>()?,
        };
        let signatures = texts(&mut top, "signatures")?;
        top.finish()?;
        check(&content)?;
        let signatures = signatures.iter().map(|line| line.parse());
        let signatures: Result<Vec<NoteSignature>, _> = signatures.collect();
        let signatures = signatures.map_err(|_| TrustError::Member("signatures".to_owned()))?;
        if !signatures.is_sorted_by_key(|line| place_of(&content, line)) {
            return Err(TrustError::Member("signatures".to_owned()));
        }
        let mut places = signatures.iter().zip(signatures.iter().skip(1));
        if places.any(|(a, b)| place_of(&content, a) == place_of(&content, b)) {
            return Err(TrustError::Member("signatures".to_owned()));
        }
        let bundle = Self {
            content,
            signatures,
        };
        // Key sets are read in any spelling of their numbers and texts; a bundle has one.
        if bundle.to_file().as_bytes() == text {
            Ok(bundle)
        } else {
            Err(TrustError::NotCanonical)
        }
    }
}

fn line_of(value: &Json) -> String {
    let mut text = value.to_canonical();
    text.push('\n');
    text
}

fn members(content: &TrustContent) -> Vec<(&'static str, Json)> {
    // Checked to be below 2^53.
    let int = |value: u64| Json::Int(i64::try_from(value).unwrap_or(i64::MAX));
    let roots = |roots: &[VerifierKey]| {
        let roots = roots.iter().map(|root| Json::str(root.to_string()));
        Json::Array(roots.collect())
    };
    let keys = content.keys.iter().map(KeySet::to_json).collect();
    vec![
        ("authority", Json::str(content.authority.to_string())),
        ("expires_at_ms", int(content.expires_at_ms)),
        ("former_roots", roots(&content.former_roots)),
        ("keys", Json::Array(keys)),
        ("roots", roots(&content.roots)),
        ("schema", Json::str(TRUST_SCHEMA)),
        ("threshold", int(content.threshold.into())),
        ("version", int(content.version)),
    ]
}

fn verifiers(top: &mut Members, member: &'static str) -> Result<Vec<VerifierKey>, TrustError> {
    let texts = texts(top, member)?;
    let verifiers = texts.iter().map(|text| text.parse());
    let verifiers: Result<_, _> = verifiers.collect();
    verifiers.map_err(|_| TrustError::Roots(member))
}

fn texts(top: &mut Members, member: &'static str) -> Result<Vec<String>, TrustError> {
    let malformed = || TrustError::Member(member.to_owned());
    let items = top.array(member)?.into_iter();
    let texts = items.map(|item| item.as_str().map(str::to_owned).ok_or_else(malformed));
    texts.collect()
}
