//! The key set as a JSON Web Key Set (RFC 7517), for programs that know keys in no other form.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::KeySet;
use crate::json::Json;
use crate::keys::VerifierKey;

impl KeySet {
    /// The keys of all epochs as `OKP` keys (RFC 8037), each once: canonical JSON and a newline.
    ///
    /// ```text
    /// {"keys":[{"alg":"EdDSA","crv":"Ed25519","kid":"<name>+<key id>","kty":"OKP","use":"sig",
    ///           "x":"<base64url of the key>"}]}
    /// ```
    ///
    /// A view, and never a source of trust: it cannot say which tree sizes a key is for, or how many
    /// must sign. Keys that are marked as compromised are left out.
    #[must_use]
    pub fn to_jwks(&self) -> String {
        let mut seen = BTreeSet::new();
        let mut keys = Vec::new();
        for (node, public) in self.epochs.iter().flat_map(|epoch| &epoch.nodes) {
            if self.valid_to(public).is_some() {
                continue;
            }
            for verifier in [
                self.log_verifier(public),
                self.cosign_verifier(*node, public),
            ] {
                if seen.insert(*verifier.key().as_bytes()) {
                    keys.push(jwk(&verifier));
                }
            }
        }
        let mut text = Json::object([("keys", Json::Array(keys))]).to_canonical();
        text.push('\n');
        text
    }
}

fn jwk(verifier: &VerifierKey) -> Json {
    let kid = format!("{}+{}", verifier.name(), verifier.key_id());
    let x = URL_SAFE_NO_PAD.encode(verifier.key().as_bytes());
    Json::object(
        [
            ("alg", "EdDSA"),
            ("crv", "Ed25519"),
            ("kid", &kid),
            ("kty", "OKP"),
            ("use", "sig"),
            ("x", &x),
        ]
        .map(|(member, value)| (member, Json::str(value))),
    )
}
