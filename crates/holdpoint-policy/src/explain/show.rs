//! An explanation as text: one statement a line.

use std::fmt::{self, Display, Formatter};

use super::{Deciding, Explanation, Opening, QuorumSeen, Seen, WouldHaveToChange};
use crate::approvals::Missing;
use crate::evaluate::{Evaluation, Verdict};
use crate::time;

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.evaluation {
            Evaluation::Silence(silence) => {
                writeln!(f, "SILENCE {}: {}", silence.reason, silence.sentence)?;
            }
            Evaluation::Decided(decided) => match &decided.verdict {
                Verdict::Permit { .. } => writeln!(f, "the policy permits it")?,
                Verdict::Deny { reason, .. } => writeln!(f, "the policy denies it: {reason}")?,
            },
        }
        for deciding in &self.deciding {
            writeln!(f, "  by {deciding}")?;
        }
        if let Some(seen) = &self.seen {
            write!(f, "{seen}")?;
        }
        match &self.change {
            None => Ok(()),
            Some(change) => write!(f, "{change}"),
        }
    }
}

impl Display for Deciding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = if self.forbids { "forbid" } else { "permit" };
        write!(f, "{word} `{}`", self.id)?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl Display for Seen {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "what the policies saw")?;
        writeln!(f, "  now  {}", instant(self.now_ms))?;
        writeln!(f, "  principal  {}", self.principal)?;
        writeln!(f, "  resource  {}", self.resource)?;
        writeln!(f, "  windows open  {}", list(&self.windows))?;
        if !self.evidence.is_empty() {
            writeln!(f, "  evidence  {}", list(&self.evidence))?;
        }
        for quorum in &self.quorums {
            writeln!(f, "  quorum  {quorum}")?;
        }
        for (name, value) in &self.params {
            writeln!(f, "  params.{name}  {}", value.to_canonical())?;
        }
        Ok(())
    }
}

impl Display for QuorumSeen {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let met = if self.is_met() { "met" } else { "not met" };
        let (have, min) = (self.approvers.len(), self.min);
        write!(f, "`{}` {met}, {have} of {min}", self.quorum)?;
        let approvers: Vec<&str> = self.approvers.iter().map(AsRef::as_ref).collect();
        if approvers.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", approvers.join(", "))
    }
}

impl Display for WouldHaveToChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "what would have to change")?;
        for forbid in &self.forbids {
            writeln!(f, "  no approval lifts {forbid}")?;
        }
        for missing in &self.missing {
            writeln!(f, "  {}", Lacking(missing))?;
        }
        for permit in &self.permits {
            writeln!(f, "  then it is permitted by {permit}")?;
        }
        if self.permits.is_empty() {
            writeln!(f, "  no policy permits it, whoever approves")?;
        }
        for candidate in &self.candidates {
            writeln!(f, "  does not hold: {candidate}")?;
        }
        match &self.opening {
            None => Ok(()),
            Some(opening) => writeln!(f, "  {opening}"),
        }
    }
}

impl Display for Opening {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let said = [("opens", &self.opens), ("closes", &self.closes)];
        let said = said.into_iter().filter(|(_, names)| !names.is_empty());
        let said: Vec<String> = said
            .map(|(word, names)| format!("{} {word}", list(names)))
            .collect();
        write!(f, "from {} on", instant(self.at_ms))?;
        if !said.is_empty() {
            write!(f, ", when {},", said.join(" and "))?;
        }
        if self.missing.is_empty() {
            return write!(f, " the policy permits it");
        }
        let missing: Vec<String> = self
            .missing
            .iter()
            .map(|missing| Lacking(missing).to_string())
            .collect();
        write!(f, " it can be approved: {}", missing.join(", "))
    }
}

/// A quorum that is not met.
struct Lacking<'a>(&'a Missing);

impl Display for Lacking<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Missing {
            quorum, min, have, ..
        } = self.0;
        write!(f, "quorum `{quorum}` has {have} of {min} approvals")
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    format!("`{}`", names.join("`, `"))
}

fn instant(at_ms: u64) -> String {
    time::show_instant(at_ms).unwrap_or_else(|| "after the year 9999".to_owned())
}
