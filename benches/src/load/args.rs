//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::kind::Kind;

use crate::run::Plan;
use crate::schedule::Load;
use crate::workload::Workload;

pub(crate) const USAGE: &str = "\
holdpoint-load compare [--quick] [--rounds 3] [--seconds 10] [--systems holdpoint,etcd,postgresql]
                       [--workloads w1,w2,w3,w4,w5] [--in-flight 1,64] [--rate 1000]
                       [--folder /var/tmp] [--out FILE]
holdpoint-load overload [--seconds 60] [--deadline-ms 1000] [--folder /var/tmp] [--out FILE]

  compare   starts each system in turn, runs its cells, and prints medians and ratios
  overload  three times as many requests as our gate can decide, in an open loop
";

/// Where servers have their data unless the command line says otherwise: a disk on every system, where
/// the folder for temporary files may be memory.
const FOLDER_DEFAULT: &str = "/var/tmp";

/// Workers of an open loop in the comparison.
const OPEN_WORKERS: usize = 1_024;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Measures systems side by side.
    Compare(Compare),
    /// Asks our gate for more than it can do.
    Overload {
        /// For how long.
        lasts: Duration,
        /// How long each caller waits for its answer.
        deadline: Duration,
        folder: PathBuf,
        /// Where the results are appended.
        out: Option<PathBuf>,
    },
}

/// A comparison.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Compare {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
    pub(crate) systems: Vec<Kind>,
    pub(crate) workloads: Vec<Workload>,
    /// Those of each workload, if none are named.
    levels: Vec<usize>,
    /// A rate at which W1 is asked in an open loop as well.
    rate: Option<u64>,
    pub(crate) folder: PathBuf,
    pub(crate) out: Option<PathBuf>,
}

impl Compare {
    fn full() -> Self {
        Self {
            rounds: 3,
            warm_up: Duration::from_secs(2),
            measure: Duration::from_secs(10),
            systems: Kind::ALL.to_vec(),
            workloads: Workload::ALL.to_vec(),
            levels: Vec::new(),
            rate: Some(1_000),
            folder: FOLDER_DEFAULT.into(),
            out: None,
        }
    }

    /// Whether everything works, and no more.
    fn quick() -> Self {
        Self {
            rounds: 1,
            warm_up: Duration::from_millis(500),
            measure: Duration::from_secs(2),
            levels: vec![8],
            rate: Some(50),
            ..Self::full()
        }
    }

    /// What is run of a workload, in order.
    pub(crate) fn plans(&self, workload: Workload) -> Vec<Plan> {
        let levels = match self.levels.as_slice() {
            [] => workload.levels(),
            levels => levels,
        };
        let closed = levels.iter().map(|in_flight| Load::Closed {
            in_flight: *in_flight,
        });
        let rate = self.rate.filter(|_| workload == Workload::Fresh);
        let open = rate.map(|rate| Load::Open {
            rate,
            workers: OPEN_WORKERS,
        });
        let plan = |load| Plan {
            workload,
            load,
            warm_up: self.warm_up,
            measure: self.measure,
        };
        closed.chain(open).map(plan).collect()
    }
}

/// Reads the words after the program's name.
///
/// # Errors
///
/// A sentence that says which word does not fit.
pub(crate) fn parse(words: &[&str]) -> Result<Command, String> {
    match words {
        ["compare", rest @ ..] => compare(rest).map(Command::Compare),
        ["overload", rest @ ..] => overload(rest),
        [other, ..] => Err(format!("`{other}` is no command")),
        [] => Err("no command is given".to_owned()),
    }
}

fn compare(words: &[&str]) -> Result<Compare, String> {
    let (mut compare, mut rest) = match words {
        ["--quick", rest @ ..] => (Compare::quick(), rest),
        rest => (Compare::full(), rest),
    };
    while let [name, value, after @ ..] = rest {
        match *name {
            "--rounds" => compare.rounds = number(name, value)?,
            "--seconds" => compare.measure = Duration::from_secs(number(name, value)?),
            "--systems" => compare.systems = list(name, value)?,
            "--workloads" => compare.workloads = list(name, value)?,
            "--in-flight" => compare.levels = list(name, value)?,
            "--rate" => compare.rate = Some(number(name, value)?).filter(|rate| *rate > 0),
            "--folder" => compare.folder = value.into(),
            "--out" => compare.out = Some(value.into()),
            other => return Err(format!("`{other}` is no option of `compare`")),
        }
        rest = after;
    }
    match rest {
        [] => Ok(compare),
        [alone, ..] => Err(format!(
            "`{alone}` has no value, or stands in the wrong place"
        )),
    }
}

fn overload(words: &[&str]) -> Result<Command, String> {
    let mut lasts = Duration::from_mins(1);
    let mut deadline = Duration::from_secs(1);
    let (mut folder, mut out) = (PathBuf::from(FOLDER_DEFAULT), None);
    let mut rest = words;
    while let [name, value, after @ ..] = rest {
        match *name {
            "--seconds" => lasts = Duration::from_secs(number(name, value)?),
            "--deadline-ms" => deadline = Duration::from_millis(number(name, value)?),
            "--folder" => folder = value.into(),
            "--out" => out = Some(value.into()),
            other => return Err(format!("`{other}` is no option of `overload`")),
        }
        rest = after;
    }
    match rest {
        [] => Ok(Command::Overload {
            lasts,
            deadline,
            folder,
            out,
        }),
        [alone, ..] => Err(format!("`{alone}` has no value")),
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    let fits = |_| format!("`{name}` takes a whole number, not `{value}`");
    value.parse().map_err(fits)
}

fn list<T: FromStr>(name: &str, value: &str) -> Result<Vec<T>, String> {
    let parsed: Result<Vec<T>, String> = value
        .split(',')
        .map(|word| {
            let fits = |_| format!("`{name}` does not take `{word}`");
            word.parse().map_err(fits)
        })
        .collect();
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(words: &[&str]) -> Compare {
        match parse(words) {
            Ok(Command::Compare(compare)) => compare,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn levels_are_those_of_the_workload_unless_they_are_named() {
        let names = |compare: &Compare, workload| -> Vec<String> {
            let plans = compare.plans(workload).into_iter();
            plans.map(|plan| plan.load.name()).collect()
        };
        let full = compared(&["compare"]);
        let w1 = ["1", "16", "64", "256", "1024", "1000/s"];
        assert_eq!(names(&full, Workload::Fresh), w1);
        assert_eq!(names(&full, Workload::HandOver), ["64"]);
        let one = compared(&["compare", "--in-flight", "4,5", "--rate", "0"]);
        assert_eq!(names(&one, Workload::Fresh), ["4", "5"]);
        assert_eq!(names(&one, Workload::HandOver), ["4", "5"]);
    }

    #[test]
    fn options_go_on_top_of_quick() {
        let quick = compared(&["compare", "--quick", "--systems", "etcd"]);
        assert_eq!((quick.rounds, quick.systems), (1, vec![Kind::Etcd]));
    }

    #[test]
    fn word_that_does_not_fit_is_named() {
        let refused = |words: &[&str], named: &str| {
            let error = parse(words).unwrap_err();
            assert!(error.contains(named), "{error}");
        };
        refused(&[], "no command");
        refused(&["race"], "`race`");
        refused(&["compare", "--seconds"], "`--seconds`");
        refused(&["compare", "--seconds", "ten"], "`ten`");
        refused(&["compare", "--workloads", "w9"], "`w9`");
        refused(&["overload", "--rate", "1"], "`--rate`");
    }
}
