//! The later steps of a permit.

use holdpoint_core::Command;
use holdpoint_core::command::{Complete, CompletionResult, Redeem, Release, Revoke};
use holdpoint_receipt::{Digest, Fence, RedemptionId, sha256};

use super::{Leader, Source, caller, name, salt};

impl Leader<'_> {
    fn digest_of(&self, fence: Fence) -> Option<Digest> {
        let permit = self.namespace.permit_by_fence(fence);
        let permit = permit.expect("the state is sound")?;
        Some(permit.record.request_digest)
    }

    pub(super) fn redeem(&self, source: &mut Source<'_>) -> Command {
        let (permit, fence) = self.permit(source);
        let digest = self.digest_of(fence).filter(|_| !source.rarely(16));
        Command::Redeem(Redeem {
            namespace: name("default"),
            permit,
            principal: caller(source),
            fence,
            request_digest: digest.unwrap_or_else(|| sha256(b"other")),
            redemption_id: RedemptionId::new(source.pick(&["r1", "r2"])).expect("an id"),
            salt: salt(source),
        })
    }

    pub(super) fn complete(&self, source: &mut Source<'_>) -> Command {
        let result = match source.below(4) {
            0 | 1 => CompletionResult::Committed { evidence: None },
            2 => CompletionResult::Committed {
                evidence: Some(sha256(&[source.byte() % 12])),
            },
            _ => CompletionResult::Aborted,
        };
        Command::Complete(Complete {
            namespace: name("default"),
            permit: self.permit(source).0,
            principal: caller(source),
            operator: source.rarely(2),
            result,
            reason: reason(source),
            salt: salt(source),
        })
    }

    pub(super) fn revoke(&self, source: &mut Source<'_>) -> Command {
        Command::Revoke(Revoke {
            namespace: name("default"),
            permit: self.permit(source).0,
            principal: caller(source),
            operator: source.rarely(2),
            salt: salt(source),
        })
    }

    pub(super) fn release(&self, source: &mut Source<'_>) -> Command {
        Command::Release(Release {
            namespace: name("default"),
            permit: self.permit(source).0,
            principal: caller(source),
            operator: !source.rarely(4),
            reason: reason(source),
            salt: salt(source),
        })
    }
}

fn reason(source: &mut Source<'_>) -> Option<String> {
    let length = source.pick(&[0, 0, 4, 512, 513]);
    (length > 0).then(|| "x".repeat(length))
}
