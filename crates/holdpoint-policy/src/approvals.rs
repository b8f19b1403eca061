//! Approvals: what exactly an approver says yes to, who may say it, and which quorums are met.
//!
//! An approval is about a [`Subject`], the canonical bytes of the fields that a quorum binds, so it
//! dies when one of them changes and survives everything else. This module counts; it never stores
//! an approval, and it does not know which are spent: whoever asks gives only those that are not.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::EntityUid;
use holdpoint_receipt::request::REQUEST_BYTES_MAX;
use holdpoint_receipt::statement::subject_digest;
use holdpoint_receipt::{Caller, Digest, Json, Name, Reason, Request};

use crate::evaluate::{Input, Question, Silence};
use crate::policy::{Inner, Policy};

/// Who must approve what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quorum {
    /// How many persons.
    pub(crate) min: u32,
    /// The entity that they are, or belong to.
    pub(crate) from: EntityUid,
    pub(crate) excludes_requester: bool,
    /// The fields that an approval is about.
    pub(crate) binds: BTreeSet<Bind>,
    pub(crate) max_age_ms: u64,
    /// Whether the permit that used an approval spends it.
    pub(crate) spent: bool,
}

/// A field that a quorum binds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bind {
    Caller,
    Action,
    Resource,
    Request,
    Param(String),
}

impl Bind {
    /// The words of the surfaces file, besides `params.…`.
    pub(crate) const WORDS: [&str; 4] = ["caller", "action", "resource", "request"];

    /// Reads a word of the surfaces file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "caller" => Some(Self::Caller),
            "action" => Some(Self::Action),
            "resource" => Some(Self::Resource),
            "request" => Some(Self::Request),
            _ => Some(Self::Param(text.strip_prefix("params.")?.to_owned())),
        }
    }

    /// The word of the surfaces file.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Caller => "caller".to_owned(),
            Self::Action => "action".to_owned(),
            Self::Resource => "resource".to_owned(),
            Self::Request => "request".to_owned(),
            Self::Param(name) => format!("params.{name}"),
        }
    }

    /// What `request` has there; null for a parameter that it leaves out.
    fn value(&self, request: &Request, resource: &EntityUid) -> Json {
        match self {
            Self::Caller => Json::str(request.caller.as_str()),
            Self::Action => Json::str(request.action.as_str()),
            Self::Resource => Json::str(resource.to_string()),
            Self::Request => Json::str(request.digest().to_string()),
            Self::Param(name) => request.params.get(name).cloned().unwrap_or(Json::Null),
        }
    }
}

/// What an approver of one quorum says yes to, for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The quorum.
    pub quorum: Name,
    /// Canonical JSON (RFC 8785) of exactly the bound fields:
    /// `{"action":…,"binds":{…},"namespace":…,"quorum":…,"surface":…}`. At most
    /// [`REQUEST_BYTES_MAX`] bytes.
    pub bytes: String,
    /// [`subject_digest`] of the bytes.
    pub digest: Digest,
    /// How many persons must approve it.
    pub min: u32,
    /// Whether the requester's own approval does not count.
    pub excludes_requester: bool,
    /// How long an approval counts, from when it was given.
    pub max_age_ms: u64,
    /// Whether the permit that uses an approval spends it.
    pub spent: bool,
}

/// A standing approval: given, not taken back, not spent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Approval {
    /// The quorum that it is for.
    pub quorum: Name,
    /// The digest of the subject that was approved.
    pub subject: Digest,
    /// Who approved. Authenticated.
    pub approver: Caller,
    /// When, in cluster time.
    pub given_at_ms: u64,
}

/// An approval that a verdict rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsedApproval {
    /// The quorum that it is for.
    pub quorum: Name,
    /// The digest of the subject that was approved.
    pub subject: Digest,
    /// Who approved.
    pub approver: Caller,
    /// Whether a permit with this verdict spends it.
    pub spent: bool,
}

/// A quorum without which a request would be denied, and with which it would be permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The quorum.
    pub quorum: Name,
    /// The canonical bytes to approve, as in [`Subject`].
    pub subject: String,
    /// Their digest.
    pub digest: Digest,
    /// How many persons must approve them.
    pub min: u32,
    /// How many have.
    pub have: u32,
}

/// Why a caller cannot approve for a quorum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotApprover {
    /// The bundle does not declare the quorum.
    #[error("the active policy declares no quorum `{0}`")]
    UnknownQuorum(Name),
    /// The bundle does not say who the caller is.
    #[error(
        "the caller `{0}` is not listed under `callers` of the active policy, so it approves nothing"
    )]
    Unlisted(Caller),
    /// The caller does not belong to the quorum's group.
    #[error(
        "the caller `{approver}` is {person}, which is not in {from}: quorum `{quorum}` counts only those"
    )]
    NotMember {
        /// The caller.
        approver: Caller,
        /// The entity that it is.
        person: String,
        /// The quorum.
        quorum: Name,
        /// The entity whose members approve.
        from: String,
    },
    /// The quorum excludes the one who asks.
    #[error(
        "the caller `{approver}` asks for this itself, and quorum `{quorum}` excludes the requester"
    )]
    Requester {
        /// The caller.
        approver: Caller,
        /// The quorum.
        quorum: Name,
    },
}

impl Policy {
    /// What has to be approved for `request`: one subject for each quorum that its surface lists,
    /// sorted by quorum. Says nothing about whether the approvals are needed.
    ///
    /// # Errors
    ///
    /// [`Silence`], as an evaluation would say it, if the request does not fit the bundle.
    pub fn subjects(&self, request: &Request) -> Result<Vec<Subject>, Silence> {
        let question = self.0.question(request)?;
        let quorums = self.0.quorums_of(&question);
        quorums
            .map(|(name, quorum)| subject(&question, name, quorum))
            .collect()
    }

    /// Whether the surface lists a quorum: where it does not, approvals change nothing.
    #[must_use]
    pub fn has_quorums(&self, surface: &Name) -> bool {
        let surface = self.0.surfaces.get(surface);
        surface.is_some_and(|surface| !surface.approvals.is_empty())
    }

    /// Whether `approver` may approve for `quorum` what `requester` asks for.
    ///
    /// An approver is listed under `callers`, and is the quorum's `from` or belongs to it. What this
    /// accepts still counts only while the active bundle says the same.
    ///
    /// # Errors
    ///
    /// [`NotApprover`] says why not.
    pub fn may_approve(
        &self,
        quorum: &Name,
        approver: &Caller,
        requester: &Caller,
    ) -> Result<(), NotApprover> {
        let declared = self.0.quorums.get(quorum);
        let declared = declared.ok_or_else(|| NotApprover::UnknownQuorum(quorum.clone()))?;
        self.0
            .person(quorum, declared, approver, requester)
            .map(|_| ())
    }
}

/// How far one quorum is for one request.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) subject: Subject,
    /// The approvals that count, one for each person, the earliest first, then by approver.
    pub(crate) counted: Vec<(u64, Caller)>,
}

impl Standing {
    /// Whether enough persons have approved.
    pub(crate) fn is_met(&self) -> bool {
        self.have() >= self.subject.min
    }

    /// Those whose approvals count, the earliest first.
    pub(crate) fn approvers(&self) -> impl Iterator<Item = &Caller> {
        self.counted.iter().map(|(_, approver)| approver)
    }

    pub(crate) fn have(&self) -> u32 {
        u32::try_from(self.counted.len()).unwrap_or(u32::MAX)
    }

    /// The approvals that a verdict which needs this quorum rests on: as many as it takes.
    pub(crate) fn used(&self) -> impl Iterator<Item = UsedApproval> {
        let count = usize::try_from(self.subject.min).unwrap_or(usize::MAX);
        let used = self.counted.iter().take(count);
        used.map(|(_, approver)| UsedApproval {
            quorum: self.subject.quorum.clone(),
            subject: self.subject.digest,
            approver: approver.clone(),
            spent: self.subject.spent,
        })
    }

    pub(crate) fn missing(&self) -> Missing {
        Missing {
            quorum: self.subject.quorum.clone(),
            subject: self.subject.bytes.clone(),
            digest: self.subject.digest,
            min: self.subject.min,
            have: self.have(),
        }
    }
}

impl Inner {
    /// The quorums that the surface lists, sorted by name.
    fn quorums_of<'a>(
        &'a self,
        question: &Question<'a>,
    ) -> impl Iterator<Item = (&'a Name, &'a Quorum)> {
        let listed = question.surface.approvals.iter();
        listed.filter_map(|name| Some((name, self.quorums.get(name)?)))
    }

    /// Counts the approvals among the facts for each quorum of the surface.
    pub(crate) fn standings(
        &self,
        question: &Question<'_>,
        input: Input<'_>,
    ) -> Result<BTreeMap<Name, Standing>, Silence> {
        let mut standings = BTreeMap::new();
        for (name, quorum) in self.quorums_of(question) {
            let subject = subject(question, name, quorum)?;
            let mut persons: BTreeMap<&EntityUid, (u64, Caller)> = BTreeMap::new();
            for approval in &input.facts.approvals {
                let age_ms = input.now_ms.checked_sub(approval.given_at_ms);
                let is_current = age_ms.is_some_and(|age_ms| age_ms < quorum.max_age_ms);
                let is_about_this = approval.quorum == *name && approval.subject == subject.digest;
                if !is_current || !is_about_this {
                    continue;
                }
                let requester = &question.request.caller;
                if let Ok(person) = self.person(name, quorum, &approval.approver, requester) {
                    let given = (approval.given_at_ms, approval.approver.clone());
                    let first = persons.entry(person).or_insert_with(|| given.clone());
                    *first = given.min(first.clone());
                }
            }
            let mut counted: Vec<(u64, Caller)> = persons.into_values().collect();
            counted.sort();
            standings.insert(name.clone(), Standing { subject, counted });
        }
        Ok(standings)
    }

    /// Who `approver` is, if it may approve. Two callers that are one entity are one person.
    fn person<'a>(
        &'a self,
        name: &Name,
        quorum: &Quorum,
        approver: &Caller,
        requester: &Caller,
    ) -> Result<&'a EntityUid, NotApprover> {
        let person = self.callers.get(approver);
        let person = person.ok_or_else(|| NotApprover::Unlisted(approver.clone()))?;
        let from = &quorum.from;
        if person != from && !self.entities.is_ancestor_of(from, person) {
            return Err(NotApprover::NotMember {
                approver: approver.clone(),
                person: person.to_string(),
                quorum: name.clone(),
                from: from.to_string(),
            });
        }
        // A requester that is not listed is the entity whose id it is.
        let asks = approver == requester
            || self.callers.get(requester).map_or_else(
                || person.id().unescaped() == requester.as_str(),
                |uid| uid == person,
            );
        if quorum.excludes_requester && asks {
            return Err(NotApprover::Requester {
                approver: approver.clone(),
                quorum: name.clone(),
            });
        }
        Ok(person)
    }
}

/// What an approver of `quorum` says yes to. Beyond the length of the longest request it is none:
/// fields that are bound twice, such as a parameter and the resource made of it, could make it so.
fn subject(question: &Question<'_>, name: &Name, quorum: &Quorum) -> Result<Subject, Silence> {
    let Question {
        request, resource, ..
    } = question;
    let binds = quorum.binds.iter();
    let binds = binds.map(|bind| (bind.show(), bind.value(request, resource)));
    let bytes = Json::object([
        ("action", Json::str(request.action.as_str())),
        ("binds", Json::object(binds)),
        ("namespace", Json::str(request.namespace.as_str())),
        ("quorum", Json::str(name.as_str())),
        ("surface", Json::str(request.surface.as_str())),
    ])
    .to_canonical();
    if bytes.len() > REQUEST_BYTES_MAX {
        let have = bytes.len();
        let sentence = format!(
            "what quorum `{name}` binds has {have} bytes, at most {REQUEST_BYTES_MAX} can be approved"
        );
        return Err(Silence::new(Reason::InvalidParams, sentence));
    }
    Ok(Subject {
        quorum: name.clone(),
        digest: subject_digest(bytes.as_bytes()),
        bytes,
        min: quorum.min,
        excludes_requester: quorum.excludes_requester,
        max_age_ms: quorum.max_age_ms,
        spent: quorum.spent,
    })
}
