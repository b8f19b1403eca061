//! The figures of a cell: what tables show, what medians are taken of and what is compared.

use std::time::Duration;

use crate::fixed::Fixed;

/// What one figure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Steps that had a result, in a second.
    Rate,
    /// Milliseconds within which half of them had it.
    P50,
    /// 99 of a hundred.
    P99,
    /// 999 of a thousand.
    P999,
    /// Microseconds of processor time of all servers, for each step.
    ServerCpu,
    /// Of the process that asks.
    ClientCpu,
    /// Syncs of all servers, for each step.
    Syncs,
    /// Bytes that all servers had written, for each step.
    Written,
    /// Memory of all servers, in MiB.
    Resident,
    /// Steps in a hundred that found the key held.
    Held,
    /// Steps without a result, in a second.
    Missed,
}

impl Metric {
    /// All of them, in the order of the columns.
    pub(crate) const ALL: [Self; 11] = [
        Self::Rate,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::ServerCpu,
        Self::ClientCpu,
        Self::Syncs,
        Self::Written,
        Self::Resident,
        Self::Held,
        Self::Missed,
    ];

    /// The heading of its column, in which `steps` is what they are.
    pub(crate) fn heading(self, steps: &str) -> String {
        match self {
            Self::Rate => format!("{steps}/s"),
            Self::P50 => "p50 ms".to_owned(),
            Self::P99 => "p99 ms".to_owned(),
            Self::P999 => "p99.9 ms".to_owned(),
            Self::ServerCpu => "server CPU us".to_owned(),
            Self::ClientCpu => "client CPU us".to_owned(),
            Self::Syncs => "syncs".to_owned(),
            Self::Written => "bytes written".to_owned(),
            Self::Resident => "resident MiB".to_owned(),
            Self::Held => "held %".to_owned(),
            Self::Missed => "no result/s".to_owned(),
        }
    }
}

/// One figure for each metric; none where there is nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures(Vec<(Metric, Option<Fixed>)>);

/// What the servers and the client used while a cell was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) server_us: u64,
    pub(crate) client_us: u64,
    pub(crate) written_bytes: u64,
    pub(crate) resident_bytes: u64,
}

/// What was counted in a cell.
#[derive(Debug)]
pub(crate) struct Counted<'a> {
    /// Steps that had a result.
    pub(crate) steps: u64,
    /// Of them, those that found the key held.
    pub(crate) held: u64,
    /// Steps that had none.
    pub(crate) missed: u64,
    pub(crate) measured: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) p999: Duration,
    pub(crate) spent: &'a Spent,
    /// Syncs, and the steps while they were counted.
    pub(crate) syncs: Option<(u64, u64)>,
}

impl Figures {
    pub(crate) fn of(counted: &Counted<'_>) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let ms = |time: Duration| {
            let measured = (counted.steps > 0).then(|| Fixed::per(micros(time), 1_000));
            measured.flatten()
        };
        let each = |sum: u64| Fixed::per(sum, counted.steps);
        let a_second =
            |count: u64| Fixed::per(count.saturating_mul(1_000_000), micros(counted.measured));
        let figure = |metric| match metric {
            Metric::Rate => a_second(counted.steps),
            Metric::P50 => ms(counted.p50),
            Metric::P99 => ms(counted.p99),
            Metric::P999 => ms(counted.p999),
            Metric::ServerCpu => each(counted.spent.server_us),
            Metric::ClientCpu => each(counted.spent.client_us),
            Metric::Syncs => counted
                .syncs
                .and_then(|(syncs, steps)| Fixed::per(syncs, steps)),
            Metric::Written => each(counted.spent.written_bytes),
            Metric::Resident => Fixed::per(counted.spent.resident_bytes, 1 << 20),
            Metric::Held => Fixed::per(counted.held.saturating_mul(100), counted.steps),
            Metric::Missed => a_second(counted.missed),
        };
        Self(Metric::ALL.map(|metric| (metric, figure(metric))).to_vec())
    }

    /// The figure of a metric.
    pub(crate) fn get(&self, metric: Metric) -> Option<Fixed> {
        let found = self.0.iter().find(|(of, _)| *of == metric);
        found.and_then(|(_, figure)| *figure)
    }

    /// What a table shows of it.
    pub(crate) fn shown(&self, metric: Metric) -> String {
        let figure = self.get(metric);
        figure.map_or_else(|| "–".to_owned(), |figure| figure.to_string())
    }

    /// The middle of each figure by itself.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let middle = |metric| {
            let figures = rounds.iter().filter_map(|round| round.get(metric));
            (metric, Fixed::median(figures.collect()))
        };
        Self(Metric::ALL.map(middle).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(spent: &Spent, steps: u64) -> Figures {
        Figures::of(&Counted {
            steps,
            held: 1,
            missed: 0,
            measured: Duration::from_secs(2),
            p50: Duration::from_micros(1_500),
            p99: Duration::from_millis(2),
            p999: Duration::from_millis(3),
            spent,
            syncs: None,
        })
    }

    const SPENT: Spent = Spent {
        server_us: 1_000,
        client_us: 10,
        written_bytes: 40_960,
        resident_bytes: 3 << 20,
    };

    #[test]
    fn figures_are_of_each_step_and_say_nothing_where_there_was_none() {
        let figures = counted(&SPENT, 10);
        let expected = [
            (Metric::Rate, "5.000"),
            (Metric::P50, "1.500"),
            (Metric::ServerCpu, "100.0"),
            (Metric::Written, "4,096"),
            (Metric::Resident, "3.000"),
            (Metric::Held, "10.0"),
            (Metric::Syncs, "–"),
        ];
        for (metric, shown) in expected {
            assert_eq!(figures.shown(metric), shown, "{metric:?}");
        }
        assert_eq!(counted(&SPENT, 0).shown(Metric::P50), "–");
    }

    #[test]
    fn median_is_taken_of_each_figure_by_itself() {
        let rounds = [10, 30, 20].map(|steps| counted(&SPENT, steps));
        let median = Figures::median(&rounds);
        assert_eq!(median.shown(Metric::Rate), "10.0");
        assert_eq!(median.shown(Metric::Syncs), "–");
    }
}
