//! What two lists of classes do not have in common, for an error that names it.

use crate::shown::shown;

/// Names shown of one list; of more, their number.
const NUM_SHOWN: usize = 8;

/// Says of each list which of its names the other lacks, after the words that go with the list; that the
/// order differs, where no name does.
///
/// ```
/// let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
/// let (data, model) = (names("cat frog"), names("cat dog"));
/// let found = mentor_data::class_differences(("in the data", &data), ("in the model", &model));
/// assert_eq!(found, [r#"only in the data: "frog""#, r#"only in the model: "dog""#]);
/// ```
pub fn class_differences(first: (&str, &[String]), second: (&str, &[String])) -> Vec<String> {
    let only = |(place, names): (&str, &[String]), others: &[String]| {
        let missing: Vec<String> = names
            .iter()
            .filter(|name| !others.contains(name))
            .map(|name| format!("\"{}\"", shown(name)))
            .collect();
        match missing.len() {
            0 => None,
            1..=NUM_SHOWN => Some(format!("only {place}: {}", missing.join(", "))),
            len => {
                let shown = missing[..NUM_SHOWN].join(", ");
                Some(format!("only {place}: {shown} and {} more", len - NUM_SHOWN))
            }
        }
    };
    let found: Vec<String> = [only(first, second.1), only(second, first.1)].into_iter().flatten().collect();
    if found.is_empty() { vec!["the same names, in another order".to_owned()] } else { found }
}
