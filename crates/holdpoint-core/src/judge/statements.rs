//! Appending statements to the namespace's log.

use holdpoint_receipt::merkle::{Frontier, leaf_of};
use holdpoint_receipt::statement::{
    Body, Kind as StatementKind, Outcome, PermitStep as Step, Place, Statement, commit,
};
use holdpoint_receipt::{ClusterId, Digest, Fence, Name, PermitId, Salt, sha256};
use holdpoint_receipt::{StatementText, sha256_domain};

use super::gate::Gate;
use crate::command::CompletionResult;
use crate::fault::ApplyError;
use crate::key::Kind;
use crate::outcome;
use crate::record::{
    DisclosureRecord, LeafRecord, PermitRecord, PermitStep, StatementRef, TreeRecord,
};
use crate::view::View;

/// The id of the permit with `fence`: the same on every node, and no two alike.
pub(crate) fn permit_id(cluster: ClusterId, namespace: &Name, fence: Fence) -> PermitId {
    let parts: [&[u8]; 3] = [
        cluster.as_bytes(),
        namespace.as_str().as_bytes(),
        &fence.get().to_be_bytes(),
    ];
    let digest = sha256_domain("holdpoint/permit/v1", &parts);
    let (first, _) = digest.as_bytes().split_at(16);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(first);
    PermitId::from_bytes(bytes)
}

/// How statements name a version of the evaluator.
pub(super) fn evaluator(version: u32) -> StatementText {
    StatementText::lossy(&format!("holdpoint-policy/{version}"))
}

impl<V: View> Gate<'_, V> {
    /// Appends a statement of this body.
    pub(super) fn append(
        &mut self,
        body: Body,
        disclosure: &DisclosureRecord,
    ) -> Result<outcome::Statement, ApplyError<V::Error>> {
        let (statement, _receipt) = self.append_hashed(body, disclosure)?;
        Ok(statement)
    }

    /// Appends a statement of this body, and gives its receipt hash too.
    pub(super) fn append_hashed(
        &mut self,
        body: Body,
        disclosure: &DisclosureRecord,
    ) -> Result<(outcome::Statement, Digest), ApplyError<V::Error>> {
        let tree_key = self.keys.single(Kind::Tree);
        let tree = self
            .draft
            .read::<TreeRecord>(&tree_key)?
            .unwrap_or_default();
        let leaf = tree.size;
        let at = self.draft.at;
        let place = Place::new(leaf, at.index, at.term, at.place)
            .map_err(|_beyond| ApplyError::Position(at))?;
        let statement = Statement {
            authority: self.cluster,
            namespace: self.name.clone(),
            place,
            issued_at: self.draft.now,
            is_dev: self.is_dev,
            body,
        };
        let bytes = statement.to_canonical().into_bytes();
        let receipt = sha256(&bytes);
        let mut frontier = Frontier::from_parts(tree.size, tree.frontier).map_err(|_unfit| {
            ApplyError::contradiction(tree_key.clone(), "the frontier does not fit the size")
        })?;
        let completed = frontier
            .append(leaf_of(&receipt))
            .map_err(|_full| ApplyError::Position(at))?;
        for node in completed {
            self.draft
                .write(self.keys.subtree(node.level, node.index), &node.hash)?;
        }
        let tree = TreeRecord {
            size: frontier.size(),
            frontier: frontier.peaks().to_vec(),
        };
        assert_eq!(tree.size, leaf.saturating_add(1), "one statement, one leaf");
        self.draft.write(tree_key, &tree)?;
        let record = LeafRecord::of(&statement, bytes.clone());
        self.draft
            .write(self.keys.at_leaf(Kind::Leaf, leaf), &record)?;
        self.draft
            .write(self.keys.at_leaf(Kind::Disclosure, leaf), disclosure)?;
        Ok((outcome::Statement { bytes, leaf }, receipt))
    }

    /// Appends a statement that discloses nothing but its salt.
    pub(super) fn append_plain(
        &mut self,
        body: Body,
        salt: Salt,
    ) -> Result<outcome::Statement, ApplyError<V::Error>> {
        self.append(body, &DisclosureRecord::of_salt(salt))
    }

    /// The statement at `leaf`; none once it is no longer kept.
    pub(super) fn kept_statement(
        &self,
        leaf: u64,
    ) -> Result<Option<outcome::Statement>, ApplyError<V::Error>> {
        let key = self.keys.at_leaf(Kind::Leaf, leaf);
        let record = self.draft.read::<LeafRecord>(&key)?;
        Ok(record.map(
            |LeafRecord {
                 statement: bytes, ..
             }| outcome::Statement { bytes, leaf },
        ))
    }

    /// The statement at `leaf`, which another record names.
    pub(super) fn statement(&self, leaf: u64) -> Result<outcome::Statement, ApplyError<V::Error>> {
        let key = self.keys.at_leaf(Kind::Leaf, leaf);
        let LeafRecord {
            statement: bytes, ..
        } = self.draft.must_read(&key)?;
        Ok(outcome::Statement { bytes, leaf })
    }

    /// The statement of a step that the permit's record says was taken.
    pub(super) fn statement_of(
        &self,
        permit: &PermitRecord,
        step: PermitStep,
    ) -> Result<outcome::Statement, ApplyError<V::Error>> {
        let leaf = permit.leaf_of(step).ok_or_else(|| {
            let key = self.keys.permit(&permit.id);
            ApplyError::contradiction(key, "the state has no statement")
        })?;
        self.statement(leaf)
    }

    /// What every later step of a permit states: the permit, who took the step, and the receipt
    /// hash of the statement before.
    pub(super) fn step(&self, permit: &PermitRecord, principal: Option<(&Salt, &str)>) -> Step {
        let active = self.namespace.active.unwrap_or(permit.policy);
        Step {
            permit_id: permit.id,
            fence: permit.fence,
            surface: permit.surface.clone(),
            action: permit.action.clone(),
            request_digest: permit.request_digest,
            caller_commitment: principal
                .map(|(salt, principal)| commit(salt, "caller_commitment", principal.as_bytes())),
            policy_version: active.version,
            previous: permit.receipt,
        }
    }

    /// Appends the statement of a later step and notes it in the permit's record.
    pub(super) fn append_step(
        &mut self,
        permit: &mut PermitRecord,
        salt: Salt,
        body: Body,
    ) -> Result<outcome::Statement, ApplyError<V::Error>> {
        let step = match body.kind() {
            StatementKind::Redeemed => PermitStep::Redeemed,
            StatementKind::Completed => PermitStep::Completed,
            StatementKind::Conflict => PermitStep::Conflict,
            StatementKind::Revoked => PermitStep::Revoked,
            StatementKind::Superseded => PermitStep::Superseded,
            StatementKind::Released => PermitStep::Released,
            StatementKind::Erased => PermitStep::Erased,
            StatementKind::Decision
            | StatementKind::Policy
            | StatementKind::Keys
            | StatementKind::Approved
            | StatementKind::ApprovalRevoked
            | StatementKind::SessionClosed
            | StatementKind::Frozen
            | StatementKind::Drain => {
                let key = self.keys.permit(&permit.id);
                return Err(ApplyError::contradiction(
                    key,
                    "not a later step of a permit",
                ));
            }
        };
        let (statement, receipt) = self.append_hashed(body, &DisclosureRecord::of_salt(salt))?;
        permit.statements.push(StatementRef {
            step,
            leaf: statement.leaf,
        });
        permit.receipt = receipt;
        Ok(statement)
    }
}

/// A result as statements say it.
pub(super) fn stated(result: CompletionResult) -> (Outcome, Option<Digest>) {
    match result {
        CompletionResult::Committed { evidence } => (Outcome::Committed, evidence),
        CompletionResult::Aborted => (Outcome::Aborted, None),
    }
}
