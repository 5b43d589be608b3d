//! Natural order: "2" before "10".

use std::cmp::Ordering;

/// Compares runs of digits as numbers and everything else character by character, case ignored at first.
/// A total order on strings: equal only if the strings are.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    by_chunks(a, b).then_with(|| a.cmp(b))
}

fn by_chunks(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (Some(first), Some(second)) = (a.chars().next(), b.chars().next()) else {
            return a.len().cmp(&b.len());
        };
        let order = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (number_a, rest_a) = split_number(a);
            let (number_b, rest_b) = split_number(b);
            (a, b) = (rest_a, rest_b);
            // Without leading zeros a longer number is the larger one, however long.
            number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b))
        } else {
            (a, b) = (&a[first.len_utf8()..], &b[second.len_utf8()..]);
            first.to_lowercase().cmp(second.to_lowercase())
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// The leading number without its leading zeros, and what follows it.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (number.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_ordered_by_value_and_names_by_letter() {
        let mut names = vec!["10", "a10b", "2", "B", "a2b", "01", "1", "a", "a10a", "100000000000000000000"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["01", "1", "2", "10", "100000000000000000000", "a", "a2b", "a10a", "a10b", "B"]);
    }

    proptest! {
        #[test]
        fn it_is_a_total_order(a in "[a-bA0-2é]{0,5}", b in "[a-bA0-2é]{0,5}", c in "[a-bA0-2é]{0,5}") {
            prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            prop_assert_eq!(natural_order(&a, &b).is_eq(), a == b);
            if natural_order(&a, &b).is_le() && natural_order(&b, &c).is_le() {
                prop_assert!(natural_order(&a, &c).is_le());
            }
        }
    }
}
