//! What a leader knows of the clocks, as it says it: to operators, to the log, to whoever grants.

use std::fmt;
use std::time::Duration;

use crate::limits;

/// What a leader knows of the clocks. A node that does not lead knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockStatus {
    /// Milliseconds by which this node's wall clock is ahead of all that a majority of the voters'
    /// clocks vouches for, behind it if negative; none unless this node leads and has read the clocks
    /// of a majority. Of clocks that agree that is their median; of two that do not, neither is off.
    pub offset_ms: Option<i64>,
    /// The same of cluster time.
    pub lead_ms: Option<i64>,
    /// Whether this node is the only voter, so that nobody vouches for its clock.
    pub is_lone: bool,
    /// Whether cluster time waits for the clocks, at a tenth of its pace.
    pub is_waiting: bool,
}

/// What is wrong with the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// This node's wall clock is off the voters' median.
    Off,
    /// Cluster time is ahead of the voters' clocks, and waits for them.
    Ahead,
    /// Cluster time is ahead of or behind the clock of the only voter, and follows it slowly.
    Slow,
}

impl ClockStatus {
    /// Whether this node's clock is fit to grant: within the skew of the voters' median. So it is
    /// where no majority says otherwise: without one, nothing is granted anyway.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.offset_ms
            .is_none_or(|offset| offset.unsigned_abs() <= limits::SKEW_MS_MAX)
    }

    /// Whether a majority's clocks are known.
    pub(crate) fn is_known(&self) -> bool {
        self.offset_ms.is_some()
    }

    /// How long steering takes until cluster time is where the clocks are; none where it is near, or
    /// where an entry steps there.
    #[must_use]
    pub fn catches_up_in(&self) -> Option<Duration> {
        let lead = self.lead_ms?;
        let distance = lead.unsigned_abs();
        if distance <= limits::SKEW_MS_MAX {
            return None;
        }
        let per_mille = if self.is_waiting {
            1_000 - limits::LEADING_PER_MILLE
        } else if self.is_lone {
            limits::STEERING_PER_MILLE
        } else {
            return None;
        };
        Some(Duration::from_millis(
            distance.saturating_mul(1_000) / u64::from(per_mille),
        ))
    }

    /// What is worth a warning.
    fn trouble(&self) -> Option<Trouble> {
        if !self.is_sound() {
            return Some(Trouble::Off);
        }
        self.catches_up_in()?;
        Some(if self.is_waiting {
            Trouble::Ahead
        } else {
            Trouble::Slow
        })
    }
}

/// What is wrong, in words; empty where nothing is.
impl fmt::Display for ClockStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset_ms.unwrap_or_default();
        let lead = self.lead_ms.unwrap_or_default().unsigned_abs();
        let closed = self.catches_up_in().unwrap_or_default().as_secs();
        match self.trouble() {
            None => Ok(()),
            Some(Trouble::Off) => {
                let side = if offset < 0 { "behind" } else { "ahead of" };
                let offset = offset.unsigned_abs();
                write!(
                    f,
                    "this node's wall clock is {} {side} the median of the voters' clocks: it grants \
                     nothing; set its clock",
                    Seconds(offset)
                )
            }
            Some(Trouble::Ahead) => write!(
                f,
                "cluster time is ahead of the median by {}: it waits at a tenth of its pace and is \
                 right in {closed} s; until then attempts end sooner than their callers expect",
                Seconds(lead)
            ),
            Some(Trouble::Slow) => {
                let is_behind = self.lead_ms.unwrap_or_default() < 0;
                let (side, sooner) = if is_behind {
                    ("behind", ", or at once after a restart")
                } else {
                    ("ahead of", "")
                };
                write!(
                    f,
                    "cluster time is {side} this node's wall clock by {}, because the clock of a lone \
                     voter is followed slowly: it is right in {closed} s{sooner}",
                    Seconds(lead)
                )
            }
        }
    }
}

/// Milliseconds, printed as seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000, self.0 % 1_000)
    }
}

/// Says in the log what is wrong with the clocks: when it begins, now and then, and when it is over.
#[derive(Debug, Default)]
pub(crate) struct Herald {
    /// What is wrong, and when that was last said.
    said: Option<(Trouble, Duration)>,
}

impl Herald {
    /// Logs what is worth it.
    pub(crate) fn tell(&mut self, status: &ClockStatus, monotonic: Duration) {
        if !status.is_known() {
            return;
        }
        let trouble = status.trouble();
        if !self.is_due(trouble, monotonic) {
            return;
        }
        let (offset_ms, lead_ms) = (status.offset_ms, status.lead_ms);
        if trouble.is_some() {
            tracing::warn!(offset_ms, lead_ms, "{status}");
        } else {
            tracing::info!(offset_ms, lead_ms, "the clocks agree again");
        }
        self.said = trouble.map(|trouble| (trouble, monotonic));
    }

    fn is_due(&self, trouble: Option<Trouble>, monotonic: Duration) -> bool {
        match (self.said, trouble) {
            (None, None) => false,
            (Some((said, at)), Some(trouble)) if said == trouble => {
                monotonic.saturating_sub(at) >= limits::CLOCK_TOLD_PERIOD
            }
            (Some(_) | None, _) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(offset_ms: i64, lead_ms: i64, is_lone: bool) -> ClockStatus {
        ClockStatus {
            offset_ms: Some(offset_ms),
            lead_ms: Some(lead_ms),
            is_lone,
            is_waiting: !is_lone && lead_ms > 500,
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_how_far_and_for_how_long() {
        let said = |status: ClockStatus| status.to_string();
        assert_eq!(said(ClockStatus::default()), "");
        assert_eq!(said(status(500, -500, false)), "");
        assert_eq!(
            said(status(-120_000, 0, false)),
            "this node's wall clock is 120.000 s behind the median of the voters' clocks: it grants \
             nothing; set its clock"
        );
        assert_eq!(
            said(status(0, 3_600_000, false)),
            "cluster time is ahead of the median by 3600.000 s: it waits at a tenth of its pace and \
             is right in 4000 s; until then attempts end sooner than their callers expect"
        );
        assert_eq!(
            said(status(0, -3_600_000, false)),
            "",
            "an entry steps there"
        );
        assert_eq!(
            said(status(0, -120_000, true)),
            "cluster time is behind this node's wall clock by 120.000 s, because the clock of a lone \
             voter is followed slowly: it is right in 2400 s, or at once after a restart"
        );
        assert_eq!(
            said(status(0, 120_000, true)),
            "cluster time is ahead of this node's wall clock by 120.000 s, because the clock of a \
             lone voter is followed slowly: it is right in 2400 s"
        );
    }

    #[test]
    fn clock_beyond_the_skew_is_not_sound_and_an_unknown_one_is() {
        let sound = |offset| status(offset, 0, false).is_sound();
        assert!(ClockStatus::default().is_sound());
        assert!(sound(500) && sound(-500));
        assert!(!sound(501) && !sound(-501) && !sound(i64::MIN));
    }

    #[test]
    fn trouble_is_said_when_it_begins_now_and_then_and_when_it_ends() {
        let mut herald = Herald::default();
        let (off, well) = (status(9_000, 0, false), status(0, 0, false));
        let minute = limits::CLOCK_TOLD_PERIOD;
        assert!(!herald.is_due(well.trouble(), Duration::ZERO));
        assert!(herald.is_due(off.trouble(), Duration::ZERO));
        herald.tell(&off, Duration::ZERO);
        assert!(!herald.is_due(off.trouble(), minute / 2));
        assert!(herald.is_due(off.trouble(), minute));
        assert!(herald.is_due(status(0, 9_000, false).trouble(), minute / 2));
        assert!(herald.is_due(well.trouble(), minute / 2));
        herald.tell(&well, minute);
        assert!(!herald.is_due(well.trouble(), minute * 2));
    }
}
