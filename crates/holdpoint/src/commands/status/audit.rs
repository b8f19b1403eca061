//! What the nodes' audits of verdicts have come to: lines where something is to be looked at, JSON always.

use holdpoint_client::{AuditReport, ClusterStatus};
use serde_json::{Value, json};

use crate::output::number;

/// Leaves that an audit may be behind without a word: a moment's decisions.
const LAG_USUAL: u64 = 10_000;

/// One line for each node that has something to say.
pub(super) fn lines(status: &ClusterStatus) -> Vec<String> {
    let reports = status.reports();
    let said = reports.filter_map(|report| Some((report.node_id, words(&report.audit)?)));
    said.map(|(node, words)| format!("audit by node {node}: {words}"))
        .collect()
}

/// What is to be looked at in one audit; nothing where all is usual.
fn words(audit: &AuditReport) -> Option<String> {
    let mut words = Vec::new();
    if audit.disagreement_count > 0 {
        let count = audit.disagreement_count;
        words.push(format!("{count} decisions evaluated otherwise"));
    }
    if audit.untold_count > 0 {
        let count = audit.untold_count;
        words.push(format!("{count} of them not in the log yet"));
    }
    if audit.skipped_count > 0 {
        words.push(format!("{} skipped", audit.skipped_count));
    }
    if audit.lag > LAG_USUAL {
        words.push(format!("{} leaves behind", audit.lag));
    }
    (!words.is_empty()).then(|| words.join(", "))
}

pub(super) fn json(audit: &AuditReport) -> Value {
    json!({
        "state": audit.state,
        "checked": number(audit.checked_count),
        "skipped": number(audit.skipped_count),
        "disagreements": number(audit.disagreement_count),
        "untold": number(audit.untold_count),
        "lag": number(audit.lag),
        "cpu_us": number(u64::try_from(audit.cpu.as_micros()).unwrap_or(u64::MAX)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audit_has_a_line_only_where_something_is_to_be_looked_at() {
        let usual = AuditReport {
            checked_count: 1_000,
            lag: 12,
            ..AuditReport::default()
        };
        assert_eq!(words(&usual), None);
        let wrong = AuditReport {
            disagreement_count: 2,
            untold_count: 1,
            ..usual
        };
        let said = words(&wrong);
        let expected = "2 decisions evaluated otherwise, 1 of them not in the log yet";
        assert_eq!(said.as_deref(), Some(expected));
    }
}
