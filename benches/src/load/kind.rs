//! The systems by name, and how each is started.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::Fault;
use crate::run::{Cell, Place, Plan, run};
use crate::system::System;
use crate::system::etcd::Etcd;
use crate::system::holdpoint::Holdpoint;
use crate::system::postgres::Postgres;

/// A system that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Ours.
    Holdpoint,
    /// etcd.
    Etcd,
    /// PostgreSQL with two synchronous standbys.
    Postgres,
}

/// How long a call to our gate may take.
const DEADLINE: Duration = Duration::from_secs(10);

impl Kind {
    /// All of them, ours first.
    pub(crate) const ALL: [Self; 3] = [Self::Holdpoint, Self::Etcd, Self::Postgres];

    /// Its name in tables.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Holdpoint => "Holdpoint",
            Self::Etcd => "etcd",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// Why it cannot be measured here; none if it can.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::Holdpoint => None,
            Self::Etcd => Etcd::missing(),
            Self::Postgres => Postgres::missing(),
        }
    }

    /// Starts its servers in an empty folder, runs `plans` one after the other and tells of each cell.
    /// The servers are gone when this returns.
    pub(crate) async fn measure(
        self,
        folder: &Path,
        plans: &[Plan],
        told: &mut impl FnMut(&Plan, Cell),
    ) -> Result<(), Fault> {
        let file_system = crate::machine::file_system(folder);
        let place = Place {
            folder,
            file_system: &file_system,
        };
        match self {
            Self::Holdpoint => {
                let system = Holdpoint::start(folder, 1, DEADLINE).await?;
                all(&system, plans, place, told).await
            }
            Self::Etcd => all(&Etcd::start(folder).await?, plans, place, told).await,
            Self::Postgres => all(&Postgres::start(folder).await?, plans, place, told).await,
        }
    }
}

async fn all<S: System>(
    system: &S,
    plans: &[Plan],
    place: Place<'_>,
    told: &mut impl FnMut(&Plan, Cell),
) -> Result<(), Fault> {
    let pids = system.processes();
    eprintln!("  servers: processes {pids:?}");
    for plan in plans {
        let cell = run(system, plan, place).await?;
        told(plan, cell);
    }
    Ok(())
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |kind: &Self| kind.title().eq_ignore_ascii_case(text);
        let found = Self::ALL.into_iter().find(named);
        found.ok_or_else(|| {
            format!("`{text}` is no system; there are holdpoint, etcd and postgresql")
        })
    }
}
