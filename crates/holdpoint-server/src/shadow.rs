//! Bundles that are asked the same as the one in force, to see what they would change.
//!
//! ```text
//! decision ─▶ bounded queue ─▶ one thread of low priority ─▶ evaluate ─▶ compare ─▶ counts, newest
//!                 └ full: skipped, and counted
//! ```
//!
//! Nothing here is waited for, and nothing of it reaches the log or an answer to a request. What is
//! compared is what the policies say; whether a bound is free has nothing to do with them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdpoint_core::record::ApprovalState;
use holdpoint_core::{GroupId, Query};
use holdpoint_policy::{self as policy, Evaluation};
use holdpoint_proto::v1;
use holdpoint_raft::Group;
use holdpoint_receipt::{ClusterTime, Digest, Name, PermitId, Reason, Request};

use crate::evaluate::EvaluateError;
use crate::limits::{SHADOW_DIFFERENCES_MAX, SHADOW_QUEUE_MAX};
use crate::policies::Policies;
use crate::pool::stand_behind_others;

/// Stack of the thread: evaluation needs at most a quarter of it.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// A decision that shadows are to be asked about.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The term in which this node leads.
    pub(crate) term: u64,
    /// The namespace.
    pub(crate) namespace: Name,
    /// The canonical request.
    pub(crate) request: Vec<u8>,
    /// `now` for the policy.
    pub(crate) evaluated_at: ClusterTime,
    /// Where the statement of the decision stands.
    pub(crate) leaf: u64,
    /// What was decided.
    pub(crate) decided: Reason,
    /// The permit that was granted: the approvals that it spent stood when it was decided.
    pub(crate) permit: Option<PermitId>,
    /// The bundles.
    pub(crate) shadows: Vec<Digest>,
}

/// What shadows said. Cheap to clone; the thread ends with the last handle that can ask.
#[derive(Clone)]
pub(crate) struct Shadows {
    queue: SyncSender<Asked>,
    reports: Arc<Mutex<Reports>>,
}

/// Of one term of this node's leadership.
#[derive(Debug, Default)]
struct Reports {
    term: u64,
    of: BTreeMap<(Name, Digest), Report>,
}

/// How one shadow differs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Decisions that it was asked about.
    pub(crate) evaluated: u64,
    /// Those where it says something else.
    pub(crate) differing: u64,
    /// Those that it was not asked about.
    pub(crate) skipped: u64,
    /// The newest differences, the newest first.
    // INVARIANT: at most SHADOW_DIFFERENCES_MAX.
    pub(crate) differences: VecDeque<v1::ShadowDifference>,
}

impl fmt::Debug for Shadows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shadows")
    }
}

impl Shadows {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(group: Group) -> std::io::Result<Self> {
        let (queue, asked) = sync_channel(SHADOW_QUEUE_MAX);
        let reports = Arc::<Mutex<Reports>>::default();
        let thread = std::thread::Builder::new()
            .name("shadow".to_owned())
            .stack_size(STACK_BYTES);
        let shared = Arc::clone(&reports);
        thread.spawn(move || run(&group, &asked, &shared))?;
        Ok(Self { queue, reports })
    }

    /// Asks the shadows about a decision, if they have time.
    pub(crate) fn ask(&self, asked: Asked) {
        let refused = match self.queue.try_send(asked) {
            Ok(()) => return,
            Err(TrySendError::Full(asked) | TrySendError::Disconnected(asked)) => asked,
        };
        let mut reports = lock(&self.reports);
        for digest in refused.shadows {
            let report = reports.of_term(refused.term, &refused.namespace, digest);
            report.skipped = report.skipped.saturating_add(1);
        }
    }

    /// What a shadow has said while this node leads in `term`. Reports on others are let go.
    pub(crate) fn reports(
        &self,
        term: u64,
        namespace: &Name,
        shadows: &[Digest],
    ) -> Vec<(Digest, Report)> {
        let mut reports = lock(&self.reports);
        let is_kept = |(of, digest): &(Name, Digest)| of != namespace || shadows.contains(digest);
        reports.of.retain(|name, _| is_kept(name));
        let report = |digest: &Digest| {
            let report = reports.of_term(term, namespace, *digest).clone();
            (*digest, report)
        };
        shadows.iter().map(report).collect()
    }
}

impl Reports {
    /// The report on a shadow; what an earlier term has said is forgotten.
    fn of_term(&mut self, term: u64, namespace: &Name, digest: Digest) -> &mut Report {
        if self.term < term {
            *self = Self {
                term,
                of: BTreeMap::new(),
            };
        }
        self.of.entry((namespace.clone(), digest)).or_default()
    }
}

fn lock(reports: &Mutex<Reports>) -> MutexGuard<'_, Reports> {
    reports.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's life.
fn run(group: &Group, asked: &Receiver<Asked>, reports: &Mutex<Reports>) {
    stand_behind_others();
    let policies = Policies::default();
    while let Ok(asked) = asked.recv() {
        for digest in &asked.shadows {
            let said = evaluate(group, &policies, &asked, *digest);
            let mut reports = lock(reports);
            let report = reports.of_term(asked.term, &asked.namespace, *digest);
            match said {
                Ok((reason, sentence)) => report.learn(&asked, reason, sentence),
                Err(error) => {
                    tracing::warn!(%digest, %error, "a shadow could not be asked");
                    report.skipped = report.skipped.saturating_add(1);
                }
            }
        }
    }
}

impl Report {
    fn learn(&mut self, asked: &Asked, reason: Reason, sentence: String) {
        self.evaluated = self.evaluated.saturating_add(1);
        if said_by_policy(asked.decided) == reason {
            return;
        }
        self.differing = self.differing.saturating_add(1);
        let surface = Request::parse_canonical(&asked.request);
        self.differences.truncate(SHADOW_DIFFERENCES_MAX - 1);
        self.differences.push_front(v1::ShadowDifference {
            leaf_index: asked.leaf,
            surface: surface.map_or_else(|_| String::new(), |request| request.surface.to_string()),
            decided: asked.decided.to_string(),
            shadow: reason.to_string(),
            sentence,
        });
    }
}

/// What the policy said of a decision: of a refused bound it had nothing against it.
fn said_by_policy(decided: Reason) -> Reason {
    match decided {
        Reason::BoundHeld | Reason::BoundExhausted | Reason::AlreadyCommitted => Reason::Granted,
        other => other,
    }
}

/// What a shadow says of a request, and the same for people.
fn evaluate(
    group: &Group,
    policies: &Policies,
    asked: &Asked,
    digest: Digest,
) -> Result<(Reason, String), EvaluateError> {
    let Ok(request) = Request::parse_canonical(&asked.request) else {
        return Ok((
            Reason::InvalidParams,
            Reason::InvalidParams.sentence().to_owned(),
        ));
    };
    let read = group.local_view(|view| {
        let query = Query::new(&view, GroupId::FIRST);
        let Some(namespace) = query.namespace(&asked.namespace)? else {
            return Err(EvaluateError::NoBundle(digest));
        };
        let policy = policies.get(digest, || match namespace.bundle(&digest)? {
            Some(record) => Ok(record.bundle),
            None => Err(EvaluateError::NoBundle(digest)),
        })?;
        let mut approvals = Vec::new();
        for subject in policy.subjects(&request).unwrap_or_default() {
            for (name, record) in namespace.approvals_of(&subject.quorum, &subject.digest)? {
                let stood = match record.state {
                    ApprovalState::Given => true,
                    ApprovalState::Spent(permit) => asked.permit == Some(permit),
                    ApprovalState::Revoked { .. } => false,
                };
                if stood && asked.evaluated_at < record.expires_at {
                    approvals.push(policy::Approval {
                        quorum: name.quorum,
                        subject: name.subject,
                        approver: name.approver,
                        given_at_ms: record.given_at.get(),
                    });
                }
            }
        }
        Ok((policy, approvals))
    });
    let (policy, approvals) = read.map_err(EvaluateError::Store)??;
    let facts = policy::Facts {
        approvals,
        ..policy::Facts::default()
    };
    let said = policy.evaluate(policy::Input {
        request: &request,
        now_ms: asked.evaluated_at.get(),
        facts: &facts,
    });
    Ok(match said {
        Evaluation::Silence(silence) => (silence.reason, silence.sentence),
        Evaluation::Decided(decided) => match decided.verdict {
            policy::Verdict::Permit { .. } => {
                (Reason::Granted, Reason::Granted.sentence().to_owned())
            }
            policy::Verdict::Deny {
                reason,
                policies: ids,
                ..
            } => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                let said = policies.reasons(&digest, &ids);
                (reason, said.unwrap_or_else(|| reason.sentence().to_owned()))
            }
        },
    })
}

const _: () = assert!(SHADOW_DIFFERENCES_MAX > 0);

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(leaf: u64, decided: Reason) -> Asked {
        Asked {
            term: 1,
            namespace: Name::new("default").unwrap(),
            request: Vec::new(),
            evaluated_at: ClusterTime::default(),
            leaf,
            decided,
            permit: None,
            shadows: Vec::new(),
        }
    }

    #[test]
    fn report_counts_all_differences_and_keeps_the_newest() {
        let mut report = Report::default();
        for leaf in 0..150 {
            let denied = asked(leaf, Reason::Policy);
            report.learn(&denied, Reason::Granted, String::new());
            report.learn(&asked(leaf, Reason::Policy), Reason::Policy, String::new());
        }
        assert_eq!((report.evaluated, report.differing), (300, 150));
        assert_eq!(report.differences.len(), SHADOW_DIFFERENCES_MAX);
        let newest = report.differences.front().map(|it| it.leaf_index);
        assert_eq!(newest, Some(149));
    }

    #[test]
    fn refused_bound_is_no_difference_to_a_policy_that_permits() {
        let mut report = Report::default();
        report.learn(&asked(0, Reason::BoundHeld), Reason::Granted, String::new());
        assert_eq!((report.evaluated, report.differing), (1, 0));
    }

    #[test]
    fn later_term_begins_anew() {
        let name = Name::new("default").unwrap();
        let digest = Digest::from_bytes([1; 32]);
        let mut reports = Reports::default();
        reports.of_term(1, &name, digest).evaluated = 7;
        assert_eq!(reports.of_term(1, &name, digest).evaluated, 7);
        assert_eq!(reports.of_term(2, &name, digest).evaluated, 0);
    }
}
