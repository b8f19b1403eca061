//! The nodes as a table for people, and as JSON.

use std::collections::BTreeMap;

use holdpoint_client::{ClusterStatus, Member, NodeAnswer, NodeReport};
use serde_json::{Value, json};

use super::audit;
use crate::output::number;

/// One node of the table: what is known of it, and from whom.
pub(super) struct Row<'a> {
    id: Option<u64>,
    address: &'a str,
    /// What the node says of itself; where it says nothing, what the reporting node says of it.
    member: Option<&'a Member>,
    /// What the reporting node says of it: only the leader knows how far behind a node is, and by
    /// how much the clocks of both differ.
    seen: Option<&'a Member>,
    answer: Option<&'a NodeAnswer>,
}

/// Every member that `report` names, then every address that answered nothing and is none of them.
pub(super) fn rows<'a>(status: &'a ClusterStatus, report: &'a NodeReport) -> Vec<Row<'a>> {
    let mut own: BTreeMap<u64, (&NodeAnswer, Option<&Member>)> = BTreeMap::new();
    for node in &status.nodes {
        if let Ok(answered) = &node.report {
            let of_itself = answered
                .members
                .iter()
                .find(|member| member.id == answered.node_id);
            own.insert(answered.node_id.get(), (node, of_itself));
        }
    }
    let mut rows: Vec<Row<'_>> = report
        .members
        .iter()
        .map(|member| {
            let answered = own.get(&member.id.get());
            let silent = || {
                status
                    .nodes
                    .iter()
                    .find(|node| node.address.as_str() == member.client)
            };
            Row {
                id: Some(member.id.get()),
                address: &member.client,
                member: answered
                    .and_then(|(_, of_itself)| *of_itself)
                    .or(Some(member)),
                seen: Some(member),
                answer: answered.map(|(node, _)| *node).or_else(silent),
            }
        })
        .collect();
    for node in &status.nodes {
        let is_shown = rows
            .iter()
            .any(|row| row.answer.is_some_and(|answer| std::ptr::eq(answer, node)));
        if !is_shown {
            rows.push(Row::unknown(node));
        }
    }
    rows
}

impl<'a> Row<'a> {
    /// A node of which nothing is known but where it was asked.
    pub(super) fn unknown(node: &'a NodeAnswer) -> Self {
        Self {
            id: None,
            address: node.address.as_str(),
            member: None,
            seen: None,
            answer: Some(node),
        }
    }
}

impl Row<'_> {
    /// Why there is no report of its own; none if there is one, or if it was not asked.
    fn fault(&self) -> Option<String> {
        let node = self.answer?;
        let error = node.report.as_ref().err()?;
        Some(format!(
            "did not answer ({error}, {:.1} s)",
            node.took.as_secs_f64()
        ))
    }

    /// Its own report.
    fn report(&self) -> Option<&NodeReport> {
        self.answer?.report.as_ref().ok()
    }

    /// Entries behind the leader.
    fn lag(&self) -> Option<u64> {
        let seen = self.seen.and_then(|member| member.lag);
        seen.or_else(|| self.member.and_then(|member| member.lag))
    }

    /// Milliseconds that its wall clock is ahead of the leader's.
    fn clock_offset_ms(&self) -> Option<i64> {
        let seen = self.seen.and_then(|member| member.clock_offset_ms);
        seen.or_else(|| self.member.and_then(|member| member.clock_offset_ms))
    }

    /// The node as JSON.
    pub(super) fn json(&self) -> Value {
        let member = self.member;
        json!({
            "id": self.id.map(number),
            "address": self.address,
            "answered": self.answer.map(|node| node.report.is_ok()),
            "fault": self.fault(),
            "role": member.map(|member| member.role.as_str()),
            "applied": member.map(|member| number(member.applied)),
            "lag": self.lag().map(number),
            "clock_offset_ms": self.clock_offset_ms().map(|ms| ms.to_string()),
            "signing": member.map(|member| member.signing.as_str()),
            "disk_free_percent": member.and_then(|member| member.disk_free_percent),
            "audit": self.report().map(|report| audit::json(&report.audit)),
        })
    }

    fn cells(&self) -> [String; 8] {
        let dash = || "-".to_owned();
        let id = self.id.map_or_else(|| "?".to_owned(), |id| id.to_string());
        let of = |value: Option<String>| value.unwrap_or_else(dash);
        let member = self.member;
        [
            id,
            self.address.to_owned(),
            of(member.map(|member| member.role.clone())),
            of(member.map(|member| grouped(member.applied))),
            of(self.lag().map(grouped)),
            of(member
                .map(|member| member.signing.clone())
                .filter(|signing| !signing.is_empty())),
            of(member
                .and_then(|member| member.disk_free_percent)
                .map(|share| format!("{share} %"))),
            of(self.clock_offset_ms().map(|ms| format!("{ms:+} ms"))),
        ]
    }
}

const HEADINGS: [&str; 8] = [
    "NODE",
    "ADDRESS",
    "ROLE",
    "APPLIED",
    "LAG",
    "SIGNING",
    "DISK FREE",
    "CLOCK",
];

/// The lines of the table.
pub(super) fn table(rows: &[Row<'_>]) -> Vec<String> {
    let cells: Vec<[String; 8]> = rows.iter().map(Row::cells).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let padded = |words: &mut dyn Iterator<Item = (&str, &usize)>| {
        let cells: Vec<String> = words
            .map(|(word, width)| format!("{word:<width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![padded(&mut HEADINGS.into_iter().zip(&widths))];
    for (row, cells) in rows.iter().zip(&cells) {
        lines.push(match row.fault() {
            Some(fault) => {
                let start = padded(&mut cells.iter().map(String::as_str).zip(&widths).take(2));
                let width = widths.iter().take(2).sum::<usize>().saturating_add(2);
                format!("{start:<width$}  {fault}")
            }
            None => padded(&mut cells.iter().map(String::as_str).zip(&widths)),
        });
    }
    lines
}

/// `104 233`.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_number_is_grouped() {
        assert_eq!(grouped(104_233), "104 233");
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_000_000), "1 000 000");
    }
}
