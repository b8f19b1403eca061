//! Encodings of outcomes, which nodes that forward a command get back.

use super::{enums, structs};
use crate::outcome::{
    ActivateOutcome, ApprovalOutcome, AuthorizeOutcome, ChangeOutcome, Current, Decided, Decision,
    KeysOutcome, Outcome, PermitView, PutOutcome, Statement, StepOutcome, SweepOutcome, Waiting,
};
use crate::rejection::{Bounded, EvaluationProblem, HandoverProblem, OutlineProblem, Rejection};

structs! {
    Statement { bytes, leaf }
    PermitView { record, state, in_doubt, as_of }
    Current { now, policy, facts }
    Waiting { ticket, since, wait_until, refused, now }
    SweepOutcome { rows, released, activated, is_done }
    Decision {
        verdict, policies, policy, replay, statement, not_after, request_digest,
    }
}

enums! {
    Outcome {
        1 => Bootstrapped,
        2 => TimeStepped { now },
        3 => Announced,
        4 => FeatureLevelRaised { level },
        5 => PolicyPut(outcome),
        6 => Activated(outcome),
        7 => Authorized(outcome),
        8 => Redeemed(outcome),
        9 => Completed(outcome),
        10 => Revoked(outcome),
        11 => Rejected(rejection),
        12 => Released(outcome),
        13 => Approved(outcome),
        14 => ApprovalRevoked(outcome),
        15 => Changed(outcome),
        16 => Swept(outcome),
        17 => Keys(outcome),
    }
    ApprovalOutcome {
        1 => Done { name, approval, statement, replay },
        2 => Refused { reason, active },
    }
    KeysOutcome {
        1 => Done { statements, replay },
        2 => Refused { reason },
    }
    ChangeOutcome {
        1 => Done { statement, replay },
        2 => Refused { reason },
    }
    PutOutcome {
        1 => Put { digest, replay },
        2 => Refused { reason },
    }
    ActivateOutcome {
        1 => Activated { version, digest, statement },
        2 => Refused { reason, active, surface },
        3 => Draining { digest, surfaces, statement, replay },
    }
    AuthorizeOutcome {
        1 => Decided(decision),
        2 => Silent { reason },
        3 => NotCurrent { reason, current },
        4 => Waiting(waiting),
    }
    Decided {
        1 => Permit(permit),
        2 => Deny(denial),
    }
    StepOutcome {
        1 => Done { permit, statement, replay },
        2 => Refused { reason, permit, conflict },
    }
    Rejection {
        1 => NotBootstrapped,
        2 => AlreadyBootstrapped,
        3 => UnknownNamespace,
        4 => FeatureLevel { needed, level },
        5 => TooMuch { what, count, count_max },
        6 => DigestMismatch,
        7 => NotAfterTooFar { not_after, now },
        8 => Evaluation(problem),
        9 => Outline(problem),
        10 => DigestTaken,
        11 => Epoch { epoch },
        12 => Voters,
        13 => Clocks,
        14 => Incarnation { node },
        15 => Keys { node },
        16 => LevelOutOfReach { to },
        17 => WaitTooLong { wait_until, not_after },
        18 => ApprovalTime { ms, ms_max },
        19 => Missing,
        20 => Shadows,
        21 => UnfitKeys { node },
        22 => Signers { signers },
        23 => BeyondLog { size, size_max },
        24 => Handover(problem),
        25 => Evaluator,
    }
    Bounded {
        1 => RequestBytes,
        2 => Prerequisites,
        3 => Policies,
        4 => BundleBytes,
        5 => Voters,
        6 => Nodes,
        7 => Clocks,
        8 => ReasonBytes,
        9 => Tickets,
        10 => Approvals,
        11 => Quorums,
        12 => SubjectBytes,
        13 => Shadows,
        14 => FrozenSurfaces,
        15 => Epochs,
    }
    EvaluationProblem {
        1 => Surface,
        2 => Action,
        3 => Claims,
        4 => Prerequisites,
        5 => Reason,
        6 => Order,
        7 => Approvals,
    }
    HandoverProblem {
        1 => Epoch,
        2 => Note,
        3 => Size,
        4 => Signatures,
    }
    OutlineProblem {
        1 => TooMany,
        2 => Order,
        3 => Empty,
        4 => Template,
        5 => Lifetime,
        6 => Bound,
    }
}
