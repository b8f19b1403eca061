//! The file that proves a statement.
//!
//! ```text
//! {"checkpoint":"<signed note>",
//!  "proof":{"hashes":["<base64>",…],"leaf_index":88,"receipt_hash":"<hex>","tree_size":90},
//!  "schema":"holdpoint.receipt/1",
//!  "statement":{…}}
//! ```
//!
//! on one line, canonical (RFC 8785), followed by exactly one newline: what `jq -cS .` prints. A
//! receipt has this one encoding, so every changed byte is a refusal.
//!
//! Reading a receipt verifies no signature and no inclusion: [`mod@crate::verify`] does.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::digest::{Digest, sha256};
use crate::json::{Json, Limits, canonical_object, parse};
use crate::names::TreeSize;
use crate::note::Note;
use crate::statement::Statement;
use crate::verify::VerifyError;

/// What every receipt of this form says in its member `schema`.
pub const RECEIPT_SCHEMA: &str = "holdpoint.receipt/1";

/// The longest receipt: a statement, 64 hashes, and the largest note with its escapes.
pub const RECEIPT_BYTES_MAX: usize = 40 * 1024;

/// The most hashes of a proof; a tree has fewer levels than this.
pub const PROOF_HASHES_MAX: usize = 64;

/// Receipt, proof, hashes.
const LIMITS: Limits = Limits {
    bytes_max: RECEIPT_BYTES_MAX,
    depth_max: 3,
};

/// The place of a statement under a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The leaf's index.
    pub leaf_index: u64,
    /// How many leaves the head covers.
    pub tree_size: TreeSize,
    /// The inclusion proof, from the leaf upwards.
    pub hashes: Vec<Digest>,
}

/// A statement with its proof, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What is stated.
    pub statement: Statement,
    /// Its place.
    pub proof: Proof,
    /// The signed head.
    pub checkpoint: Note,
}

impl Receipt {
    /// The file's content: canonical JSON and a newline.
    #[must_use]
    pub fn to_file(&self) -> String {
        Self::write_file(
            &self.statement.to_canonical(),
            &self.proof,
            &self.checkpoint,
        )
    }

    /// The file of the statement whose canonical form `statement` is, without reading it: the gate has
    /// kept those bytes since it wrote them.
    #[must_use]
    pub fn write_file(statement: &str, proof: &Proof, checkpoint: &Note) -> String {
        let hash = |hash: &Digest| Json::str(STANDARD.encode(hash.as_bytes()));
        // Numbers of statements and trees are below 2^53.
        let int = |value: u64| Json::Int(i64::try_from(value).unwrap_or(i64::MAX));
        let receipt_hash = sha256(statement.as_bytes()).to_string();
        let proof = [
            (
                "hashes",
                Json::Array(proof.hashes.iter().map(hash).collect()),
            ),
            ("leaf_index", int(proof.leaf_index)),
            ("receipt_hash", Json::Str(receipt_hash)),
            ("tree_size", int(proof.tree_size.get())),
        ];
        let checkpoint = Json::Str(checkpoint.to_string()).to_canonical();
        let proof = canonical_object(&proof);
        // The four members in their canonical order. The schema needs no escape.
        format!(
            "{{\"checkpoint\":{checkpoint},\"proof\":{proof},\"schema\":\"{RECEIPT_SCHEMA}\",\
             \"statement\":{statement}}}\n"
        )
    }

    /// Reads a receipt in its one encoding.
    ///
    /// What it returns has a statement whose hash is the one that its proof names.
    ///
    /// # Errors
    ///
    /// The first of these that holds: [`VerifyError::Malformed`] (not JSON),
    /// [`VerifyError::NotCanonical`], [`VerifyError::UnknownSchema`], [`VerifyError::Malformed`]
    /// (members), [`VerifyError::ReceiptHashMismatch`], [`VerifyError::StatementMalformed`],
    /// [`VerifyError::CheckpointMalformed`].
    pub fn parse(text: &[u8]) -> Result<Self, VerifyError> {
        Self::parse_if(text, |_| Ok(()))
    }

    /// Reads a receipt, and asks about its statement before it reads the checkpoint: whose receipt
    /// it is comes before what is wrong with its head.
    pub(crate) fn parse_if(
        text: &[u8],
        check: impl FnOnce(&Statement) -> Result<(), VerifyError>,
    ) -> Result<Self, VerifyError> {
        let value = parse(text, LIMITS).map_err(|error| malformed(&error.to_string()))?;
        let canonical = text.strip_suffix(b"\n").ok_or(VerifyError::NotCanonical)?;
        if !value.is_written(canonical) {
            return Err(VerifyError::NotCanonical);
        }
        let mut members = Members::of(value, "the receipt")?;
        if members.text("schema")? != RECEIPT_SCHEMA {
            return Err(VerifyError::UnknownSchema);
        }
        let checkpoint = members.text("checkpoint")?;
        let statement = members.take("statement")?;
        let (proof, receipt_hash) = read_proof(members.take("proof")?)?;
        members.finish()?;
        // Before anything reads the statement: whoever changed it hears that, and nothing else.
        let stated = statement_of(canonical).ok_or(VerifyError::NotCanonical)?;
        if sha256(stated) != receipt_hash {
            return Err(VerifyError::ReceiptHashMismatch);
        }
        let statement = Statement::from_json(statement).map_err(VerifyError::StatementMalformed)?;
        if statement.to_canonical().as_bytes() != stated {
            return Err(VerifyError::ReceiptHashMismatch);
        }
        check(&statement)?;
        let checkpoint = checkpoint
            .parse()
            .map_err(|error| VerifyError::CheckpointMalformed(format!("{error}")))?;
        Ok(Self {
            statement,
            proof,
            checkpoint,
        })
    }
}

/// The bytes of the statement in the canonical form of a receipt, whose last member it is.
///
/// What stands before it is the schema's whole member, which stands nowhere else before: a quote in the
/// text of the checkpoint is escaped, and a proof has no text but digests.
fn statement_of(canonical: &[u8]) -> Option<&[u8]> {
    let text = str::from_utf8(canonical).ok()?;
    let before = format!("\"schema\":\"{RECEIPT_SCHEMA}\",\"statement\":");
    let (_, from) = text.split_once(&before)?;
    from.strip_suffix('}').map(str::as_bytes)
}

fn read_proof(value: Json) -> Result<(Proof, Digest), VerifyError> {
    let mut members = Members::of(value, "`proof`")?;
    let leaf_index = members.number("leaf_index")?;
    let tree_size = TreeSize::new(members.number("tree_size")?);
    let tree_size = tree_size.map_err(|_| malformed("`tree_size` is not a tree size"))?;
    let receipt_hash = members.text("receipt_hash")?.parse();
    let receipt_hash = receipt_hash.map_err(|_| malformed("`receipt_hash` is not a digest"))?;
    let Json::Array(items) = members.take("hashes")? else {
        return Err(malformed("`hashes` is not an array"));
    };
    members.finish()?;
    if items.len() > PROOF_HASHES_MAX {
        return Err(malformed("`hashes` has more items than a tree has levels"));
    }
    let hashes = items.iter().map(read_hash).collect::<Option<_>>();
    let hashes = hashes.ok_or_else(|| malformed("`hashes` holds other than digests in base64"))?;
    Ok((
        Proof {
            leaf_index,
            tree_size,
            hashes,
        },
        receipt_hash,
    ))
}

fn read_hash(value: &Json) -> Option<Digest> {
    let bytes = STANDARD.decode(value.as_str()?).ok()?;
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

fn malformed(problem: &str) -> VerifyError {
    VerifyError::Malformed(problem.to_owned())
}

/// Members that were not read yet.
struct Members(BTreeMap<String, Json>);

impl Members {
    fn of(value: Json, what: &str) -> Result<Self, VerifyError> {
        match value {
            Json::Object(members) => Ok(Self(members)),
            Json::Null | Json::Bool(_) | Json::Int(_) | Json::Str(_) | Json::Array(_) => {
                Err(malformed(&format!("{what} is not an object")))
            }
        }
    }

    fn take(&mut self, member: &str) -> Result<Json, VerifyError> {
        self.0
            .remove(member)
            .ok_or_else(|| malformed(&format!("`{member}` is missing")))
    }

    fn text(&mut self, member: &str) -> Result<String, VerifyError> {
        match self.take(member)? {
            Json::Str(text) => Ok(text),
            Json::Null | Json::Bool(_) | Json::Int(_) | Json::Array(_) | Json::Object(_) => {
                Err(malformed(&format!("`{member}` is not a string")))
            }
        }
    }

    fn number(&mut self, member: &str) -> Result<u64, VerifyError> {
        let value = self
            .take(member)?
            .as_int()
            .and_then(|value| u64::try_from(value).ok());
        value.ok_or_else(|| malformed(&format!("`{member}` is not a number from 0")))
    }

    fn finish(self) -> Result<(), VerifyError> {
        match self.0.into_keys().next() {
            Some(unknown) => Err(malformed(&format!(
                "`{unknown}` is not a member of a receipt"
            ))),
            None => Ok(()),
        }
    }
}
