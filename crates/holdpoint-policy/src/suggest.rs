//! "Did you mean …": the known word that is nearest to an unknown one.

/// Words longer than this are not compared: the cost grows with the product of the lengths.
const WORD_BYTES_MAX: usize = 64;

/// `(did you mean …)` with a leading space, or nothing if no candidate is near.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"))
}

/// The candidate with the fewest edits, the first of equals, if it is near enough to be a slip.
fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let edits_max = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((edits(word, candidate)?, candidate)))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn edits(a: &str, b: &str) -> Option<usize> {
    if a.len() > WORD_BYTES_MAX || b.len() > WORD_BYTES_MAX {
        return None;
    }
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut a_before = None;
    for (index, a_char) in a.to_lowercase().chars().enumerate() {
        let mut next = vec![index.saturating_add(1)];
        let mut b_before = None;
        for (column, b_char) in b.iter().enumerate() {
            let cost = |cell: Option<&usize>, extra: usize| {
                cell.map_or(usize::MAX, |count| count.saturating_add(extra))
            };
            let here = column.saturating_add(1);
            let replaced = cost(row.get(column), usize::from(a_char != *b_char));
            let deleted = cost(row.get(here), 1);
            let inserted = cost(next.get(column), 1);
            let swapped = if a_before == Some(*b_char) && b_before == Some(a_char) {
                cost(column.checked_sub(1).and_then(|left| above.get(left)), 1)
            } else {
                usize::MAX
            };
            next.push(replaced.min(deleted).min(inserted).min(swapped));
            b_before = Some(*b_char);
        }
        above = std::mem::replace(&mut row, next);
        a_before = Some(a_char);
    }
    row.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slip_of_the_finger_is_recognised() {
        assert_eq!(
            nearest("worksapce", ["workspace", "plan_sha256"]),
            Some("workspace")
        );
        assert_eq!(
            nearest("permitfor", ["permit_for", "principal"]),
            Some("permit_for")
        );
        assert_eq!(edits("abc", "abc"), Some(0));
        assert_eq!(edits("abc", "acb"), Some(1));
        assert_eq!(edits("kitten", "sitting"), Some(3));
    }

    #[test]
    fn unrelated_word_is_not_suggested() {
        assert_eq!(nearest("colour", ["workspace", "plan_sha256"]), None);
        assert_eq!(nearest("x", ["workspace"]), None);
    }
}
