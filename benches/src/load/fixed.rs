//! Figures with three digits behind the point, without floating point.

use std::fmt;

/// A figure in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fixed(u64);

impl Fixed {
    /// `part` for each of `whole`; none of nothing.
    pub(crate) fn per(part: u64, whole: u64) -> Option<Self> {
        let thousandths = u128::from(part)
            .saturating_mul(1_000)
            .checked_div(u128::from(whole))?;
        u64::try_from(thousandths).ok().map(Self)
    }

    /// How often `other` goes into it; none into nothing.
    pub(crate) fn over(self, other: Self) -> Option<Self> {
        Self::per(self.0, other.0)
    }

    /// The whole number that is nearest.
    pub(crate) const fn rounded(self) -> u64 {
        self.0.saturating_add(500) / 1_000
    }

    /// The middle one; of an even number the lower middle. None of nothing.
    pub(crate) fn median(mut figures: Vec<Self>) -> Option<Self> {
        figures.sort_unstable();
        figures.get(figures.len().saturating_sub(1) / 2).copied()
    }
}

/// As many digits as say something: three behind the point below 10, one below 1,000, else none.
impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            small @ ..10_000 => format!("{}.{:03}", small / 1_000, small % 1_000),
            middle @ 10_000..1_000_000 => {
                let tenths = middle.saturating_add(50) / 100;
                format!("{}.{}", tenths / 10, tenths % 10)
            }
            _ => grouped(self.rounded()),
        };
        f.pad(&text)
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figure_shows_as_many_digits_as_say_something() {
        let shown = |thousandths| Fixed(thousandths).to_string();
        assert_eq!(shown(18), "0.018");
        assert_eq!(shown(9_999), "9.999");
        assert_eq!(shown(10_050), "10.1");
        assert_eq!(shown(999_900), "999.9");
        assert_eq!(shown(12_345_678), "12,346");
        assert_eq!(shown(1_000_000_000), "1,000,000");
    }

    #[test]
    fn nothing_has_no_share_and_no_median() {
        assert_eq!(Fixed::per(1, 0), None);
        assert_eq!(Fixed::median(vec![]), None);
        assert_eq!(Fixed::per(1, 3), Some(Fixed(333)));
        let figures = [3, 1, 2].map(Fixed);
        assert_eq!(Fixed::median(figures.to_vec()), Some(Fixed(2)));
    }
}
