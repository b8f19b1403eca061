//! The results as a page.

use std::fmt::{self, Write as _};

use crate::args::Compare;
use crate::compare::Results;
use crate::figures::{Figures, Metric};
use crate::kind::Kind;

use crate::schedule::Load;
use crate::workload::Workload;

/// What is compared by how many times it is: of rates more is better, of the others less.
const COMPARED: [Metric; 4] = [Metric::Rate, Metric::ServerCpu, Metric::P50, Metric::P99];

/// The whole page.
pub(crate) fn page(
    machine: &[(&'static str, String)],
    compare: &Compare,
    results: &Results,
) -> Result<String, fmt::Error> {
    let mut page = String::from(
        "# Results\n\nWritten by `cargo xtask bench`; [README.md](README.md) says what each figure is.\n\n",
    );
    for (name, value) in machine {
        writeln!(page, "* {name}: {value}")?;
    }
    writeln!(
        page,
        "* method: rounds: {}, in each of which the systems take turns at every workload; {} s a cell after \
         {} s of warming up; medians of the rounds. Servers and client share the machine.",
        compare.rounds,
        compare.measure.as_secs_f32(),
        compare.warm_up.as_secs_f32(),
    )?;
    for (kind, why) in &results.missing {
        writeln!(page, "* {kind} was left out: {why}")?;
    }
    for workload in &compare.workloads {
        table(&mut page, *workload, results)?;
        ratios(&mut page, *workload, results)?;
        misses(&mut page, *workload, results)?;
    }
    Ok(page)
}

fn table(page: &mut String, workload: Workload, results: &Results) -> fmt::Result {
    writeln!(page, "\n## {}\n", workload.title())?;
    write!(page, "| in flight | system |")?;
    for metric in Metric::ALL {
        write!(page, " {} |", metric.heading(workload.steps()))?;
    }
    writeln!(page, "\n|---:|---|{}", "---:|".repeat(Metric::ALL.len()))?;
    for at in results.rounds.keys().filter(|(of, ..)| *of == workload) {
        let (_, load, kind) = at;
        let Some(median) = results.median(*at) else {
            continue;
        };
        write!(page, "| {} | {kind} |", load.name())?;
        for metric in Metric::ALL {
            write!(page, " {} |", median.shown(metric))?;
        }
        writeln!(page)?;
    }
    Ok(())
}

/// Ours over each peer's.
fn ratios(page: &mut String, workload: Workload, results: &Results) -> fmt::Result {
    let mut lines = String::new();
    let ours = results
        .rounds
        .keys()
        .filter(|(of, _, kind)| *of == workload && *kind == Kind::Holdpoint);
    for (_, load, _) in ours {
        for peer in [Kind::Etcd, Kind::Postgres] {
            line(&mut lines, workload, *load, peer, results)?;
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    write!(page, "\n| in flight | Holdpoint over |")?;
    for metric in COMPARED {
        write!(page, " {} |", metric.heading(workload.steps()))?;
    }
    writeln!(page, "\n|---:|---|{}", "---:|".repeat(COMPARED.len()))?;
    page.push_str(&lines);
    Ok(())
}

fn line(
    lines: &mut String,
    workload: Workload,
    load: Load,
    peer: Kind,
    results: &Results,
) -> fmt::Result {
    let median = |kind| results.median((workload, load, kind));
    let (Some(ours), Some(theirs)) = (median(Kind::Holdpoint), median(peer)) else {
        return Ok(());
    };
    write!(lines, "| {} | {peer} |", load.name())?;
    for metric in COMPARED {
        write!(lines, " {} |", times(&ours, &theirs, metric))?;
    }
    writeln!(lines)
}

fn times(ours: &Figures, theirs: &Figures, metric: Metric) -> String {
    let both = ours.get(metric).zip(theirs.get(metric));
    let ratio = both.and_then(|(ours, theirs)| ours.over(theirs));
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio}×"))
}

/// What had no result, in words.
fn misses(page: &mut String, workload: Workload, results: &Results) -> fmt::Result {
    let all = results
        .unanswered
        .iter()
        .filter(|((of, ..), missed)| *of == workload && !missed.is_empty());
    for ((_, load, kind), missed) in all {
        let words = missed
            .iter()
            .map(|(word, count)| format!("{count} × `{word}`"));
        let words: Vec<String> = words.collect();
        let load = load.name();
        writeln!(
            page,
            "\nWithout a result, {kind} at {load}: {}.",
            words.join(", ")
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::figures::{Counted, Spent};

    fn figures(steps: u64) -> Vec<Figures> {
        let spent = Spent {
            server_us: 1_000_000,
            client_us: 10,
            written_bytes: 4_096,
            resident_bytes: 1 << 20,
        };
        vec![Figures::of(&Counted {
            steps,
            held: 0,
            missed: 0,
            measured: Duration::from_secs(1),
            p50: Duration::from_millis(2),
            p99: Duration::from_millis(3),
            p999: Duration::from_millis(4),
            spent: &spent,
            syncs: Some((steps, steps)),
        })]
    }

    #[test]
    fn page_has_a_row_for_each_system_and_what_ours_is_over_theirs() {
        let load = Load::Closed { in_flight: 64 };
        let mut results = Results::default();
        for (kind, steps) in [(Kind::Holdpoint, 20_000), (Kind::Etcd, 4_000)] {
            let at = (Workload::Fresh, load, kind);
            results.rounds.insert(at, figures(steps));
        }
        let at = (Workload::Fresh, load, Kind::Etcd);
        let missed = [("Unavailable".to_owned(), 3)];
        results.unanswered.insert(at, missed.into());
        let Ok(crate::args::Command::Compare(compare)) = crate::args::parse(&["compare"]) else {
            panic!("`compare` is a command");
        };
        let page = page(&[("commit", "abc".to_owned())], &compare, &results).unwrap();
        for line in [
            "* commit: abc",
            "| 64 | Holdpoint | 20,000 | 2.000 | 3.000 | 4.000 | 50.0 |",
            "| 64 | etcd | 5.000× | 0.200× | 1.000× | 1.000× |",
            "Without a result, etcd at 64: 3 × `Unavailable`.",
        ] {
            assert!(page.contains(line), "no `{line}` in\n{page}");
        }
    }
}
