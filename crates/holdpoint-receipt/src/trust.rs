//! The trust bundle: key sets, signed by root keys that are kept offline.
//!
//! ```text
//! {"authority":"<cluster id>","expires_at_ms":…,"former_roots":["<vkey>",…],
//!  "keys":[<key set>,…],"roots":["<vkey>",…],"schema":"holdpoint.trust/1",
//!  "signatures":["— <name> <base64>",…],"threshold":2,"version":7}
//! ```
//!
//! Canonical JSON (RFC 8785) on one line and one newline. Each signature is the line of a signed note
//! (C2SP `signed-note`) whose text is the same object without `signatures`, and its newline.
//!
//! A verifier starts from an [`Anchor`]: root keys that it was given by hand, or those of the bundle
//! that it trusts already. A new bundle counts only if enough of those roots *and* enough of its own
//! signed it, if it is neither older than what was seen nor another of the same version, and if it has
//! not expired. So roots can be
//! replaced one version at a time, and whoever holds old ones cannot take a verifier back.
//!
//! Nothing here reads a clock, remembers a version or draws a key: all three are passed in.

mod error;
mod file;

use std::cmp::Ordering;

use crate::digest::{Digest, sha256};
use crate::keys::{Algorithm, KeyName, KeySet, SecretKey, VerifierKey};
use crate::names::{ClusterId, Name};
use crate::note::NoteSignature;

pub use error::TrustError;

/// What every trust bundle of this form says in its member `schema`.
pub const TRUST_SCHEMA: &str = "holdpoint.trust/1";

/// The longest trust bundle.
pub const TRUST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most roots of one bundle, and the most former ones.
pub const ROOTS_MAX: usize = 16;

/// What a trust bundle says, beside its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustContent {
    /// The cluster history whose receipts the keys verify.
    pub authority: ClusterId,
    /// Counts the bundles of the cluster, from 1.
    pub version: u64,
    /// The first moment, in milliseconds since the Unix epoch, at which it is no longer trusted.
    pub expires_at_ms: u64,
    /// How many of the roots must sign.
    pub threshold: u32,
    /// The root keys.
    pub roots: Vec<VerifierKey>,
    /// Roots of the version before that are roots no more, whose signatures may be here too.
    pub former_roots: Vec<VerifierKey>,
    /// One key set for each namespace, by rising name.
    pub keys: Vec<KeySet>,
}

/// A trust bundle, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustBundle {
    // INVARIANT: `check` holds.
    content: TrustContent,
    // INVARIANT: in the order of roots and then former roots, at most one of each.
    signatures: Vec<NoteSignature>,
}

/// The root keys that a verifier trusts, and how many of them must have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    roots: Vec<VerifierKey>,
    threshold: u32,
}

impl Anchor {
    /// Takes root keys that were given by hand.
    ///
    /// # Errors
    ///
    /// [`TrustError::Roots`] or [`TrustError::Threshold`]: an anchor that anything would satisfy is
    /// none.
    pub fn new(roots: Vec<VerifierKey>, threshold: u32) -> Result<Self, TrustError> {
        check_roots("roots", &roots, &[])?;
        check_threshold(threshold, &roots)?;
        Ok(Self { roots, threshold })
    }

    /// The root keys.
    #[must_use]
    pub fn roots(&self) -> &[VerifierKey] {
        &self.roots
    }

    /// How many of them must have signed.
    #[must_use]
    pub const fn threshold(&self) -> u32 {
        self.threshold
    }
}

/// The newest bundle that a verifier has trusted: it never takes an older one, nor another one of the
/// same version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its version.
    pub version: u64,
    /// Its [`TrustBundle::digest`].
    pub digest: Digest,
}

/// A trust bundle that verifies. Only [`TrustBundle::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted(TrustBundle);

impl Trusted {
    /// What it says.
    #[must_use]
    pub const fn content(&self) -> &TrustContent {
        &self.0.content
    }

    /// The keys of a namespace's log.
    #[must_use]
    pub fn key_set(&self, namespace: &Name) -> Option<&KeySet> {
        let mut sets = self.0.content.keys.iter();
        sets.find(|keys| keys.namespace() == namespace)
    }

    /// What is to be remembered of it.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen {
            version: self.0.content.version,
            digest: self.0.digest(),
        }
    }

    /// What the next bundle is verified against.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        Anchor {
            roots: self.0.content.roots.clone(),
            threshold: self.0.content.threshold,
        }
    }
}

impl TrustBundle {
    /// A bundle that nobody has signed.
    ///
    /// # Errors
    ///
    /// [`TrustError`] names what does not hold.
    pub fn new(content: TrustContent) -> Result<Self, TrustError> {
        check(&content)?;
        Ok(Self {
            content,
            signatures: Vec::new(),
        })
    }

    /// What it says. Nothing of it is verified.
    #[must_use]
    pub const fn content(&self) -> &TrustContent {
        &self.content
    }

    /// The digest of what the roots sign. More signatures do not change it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(self.signed_text().as_bytes())
    }

    /// Whether this root, or former one, is said to have signed. The signature is not verified.
    #[must_use]
    pub fn is_signed_by(&self, root: &VerifierKey) -> bool {
        self.signatures.iter().any(|line| is_of(line, root))
    }

    /// Adds the signature of a root, or of a former one; the same key's earlier one goes.
    ///
    /// # Errors
    ///
    /// [`TrustError::UnknownRoot`]: the key is neither, under this name.
    pub fn sign(&mut self, name: &KeyName, key: &SecretKey) -> Result<(), TrustError> {
        let verifier = VerifierKey::new(name.clone(), Algorithm::Ed25519, key.public());
        if !self.known_roots().any(|root| *root == verifier) {
            return Err(TrustError::UnknownRoot(name.clone()));
        }
        let signature = NoteSignature {
            name: name.clone(),
            key_id: verifier.key_id(),
            signature: key.sign(self.signed_text().as_bytes()).to_vec(),
        };
        self.signatures.retain(|line| !is_of(line, &verifier));
        self.signatures.push(signature);
        self.signatures
            .sort_by_key(|line| place_of(&self.content, line));
        Ok(())
    }

    /// Verifies the bundle from roots that are trusted already.
    ///
    /// `seen` is the newest bundle that this verifier has trusted before. `now_ms` is its own clock, in
    /// milliseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`TrustError`] is the first check that failed, in the order of its variants.
    pub fn verify(
        self,
        anchor: &Anchor,
        seen: Option<&Seen>,
        now_ms: u64,
    ) -> Result<Trusted, TrustError> {
        let text = self.signed_text();
        let mut signed: Vec<&VerifierKey> = Vec::new();
        for line in &self.signatures {
            let unknown = || TrustError::UnknownRoot(line.name.clone());
            let root = self.known_roots().find(|root| is_of(line, root));
            let root = root.ok_or_else(unknown)?;
            let found = root.key().verify(text.as_bytes(), &line.signature);
            found.map_err(|_| TrustError::SignatureInvalid(line.name.clone()))?;
            signed.push(root);
        }
        let count = |roots: &[VerifierKey]| {
            let is_root =
                |signer: &&&VerifierKey| roots.iter().any(|root| root.key() == signer.key());
            signed.iter().filter(is_root).count()
        };
        let (found, needed) = (count(&self.content.roots), self.content.threshold);
        if found < needed as usize {
            return Err(TrustError::NotEnoughSignatures { found, needed });
        }
        let (found, needed) = (count(&anchor.roots), anchor.threshold);
        if found < needed as usize {
            return Err(TrustError::NotAnchored { found, needed });
        }
        if let Some(seen) = seen {
            self.check_seen(seen)?;
        }
        match now_ms.checked_sub(self.content.expires_at_ms) {
            Some(ago_ms) => Err(TrustError::Expired { ago_ms }),
            None => Ok(Trusted(self)),
        }
    }

    /// That it takes nobody back, and to no side.
    fn check_seen(&self, seen: &Seen) -> Result<(), TrustError> {
        let version = self.content.version;
        match version.cmp(&seen.version) {
            Ordering::Less => Err(TrustError::RolledBack {
                version,
                seen: seen.version,
            }),
            Ordering::Equal if self.digest() != seen.digest => {
                Err(TrustError::Ambiguous { version })
            }
            Ordering::Equal | Ordering::Greater => Ok(()),
        }
    }

    fn known_roots(&self) -> impl Iterator<Item = &VerifierKey> {
        self.content.roots.iter().chain(&self.content.former_roots)
    }
}

fn is_of(line: &NoteSignature, root: &VerifierKey) -> bool {
    line.name == *root.name() && line.key_id == root.key_id()
}

/// The place of a line's root among roots and former roots; behind all of them if it is none.
fn place_of(content: &TrustContent, line: &NoteSignature) -> usize {
    let mut roots = content.roots.iter().chain(&content.former_roots);
    roots
        .position(|root| is_of(line, root))
        .unwrap_or(usize::MAX)
}

fn check(content: &TrustContent) -> Result<(), TrustError> {
    let is_version = (1..=crate::INT_MAX.unsigned_abs()).contains(&content.version);
    if !is_version {
        return Err(TrustError::Member("version".to_owned()));
    }
    if content.expires_at_ms > crate::INT_MAX.unsigned_abs() {
        return Err(TrustError::Member("expires_at_ms".to_owned()));
    }
    check_roots("roots", &content.roots, &content.keys)?;
    let all = [content.roots.as_slice(), &content.former_roots].concat();
    let former_count = content.former_roots.len();
    if former_count > ROOTS_MAX || !all_differ(&all) {
        return Err(TrustError::Roots("former_roots"));
    }
    if !content.former_roots.is_empty() {
        check_roots("former_roots", &content.former_roots, &content.keys)?;
    }
    check_threshold(content.threshold, &content.roots)?;
    let names = content.keys.iter().map(KeySet::namespace);
    let is_of_cluster = |keys: &KeySet| *keys.authority() == content.authority;
    let is_in_order = names.is_sorted_by(|a, b| a < b);
    if content.keys.is_empty() || !is_in_order || !content.keys.iter().all(is_of_cluster) {
        return Err(TrustError::Namespaces);
    }
    Ok(())
}

fn check_threshold(threshold: u32, roots: &[VerifierKey]) -> Result<(), TrustError> {
    if (1..=roots.len()).contains(&(threshold as usize)) {
        Ok(())
    } else {
        Err(TrustError::Threshold)
    }
}

fn check_roots(
    member: &'static str,
    roots: &[VerifierKey],
    sets: &[KeySet],
) -> Result<(), TrustError> {
    let is_root = |root: &VerifierKey| {
        let keys = sets.iter().flat_map(KeySet::public_keys);
        root.algorithm() == Algorithm::Ed25519 && !keys.into_iter().any(|key| key == *root.key())
    };
    let fits = (1..=ROOTS_MAX).contains(&roots.len());
    if fits && all_differ(roots) && roots.iter().all(is_root) {
        Ok(())
    } else {
        Err(TrustError::Roots(member))
    }
}

/// No key is there twice, and no name with a hint, which would leave open which key a line means.
fn all_differ(roots: &[VerifierKey]) -> bool {
    let mut rest = roots;
    while let Some((root, others)) = rest.split_first() {
        let is_same = |other: &VerifierKey| {
            let is_same_hint = other.name() == root.name() && other.key_id() == root.key_id();
            other.key() == root.key() || is_same_hint
        };
        if others.iter().any(is_same) {
            return false;
        }
        rest = others;
    }
    true
}
