//! Numbers as a reader wants them: few digits, thousands apart, never `NaN` without a word.

/// A count with thousands separated: `1,797`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count with its noun: `1 epoch`, `40 epochs`.
pub(crate) fn counted(number: u64, singular: &str, plural: &str) -> String {
    format!("{}\u{a0}{}", count(number), if number == 1 { singular } else { plural })
}

/// A share as per cent with one decimal: `97.8 %`.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1}\u{202f}%", share * 100.0) } else { not_finite(share) }
}

/// A share that may be undefined, such as the recall of a class without samples.
pub(crate) fn percent_or_undefined(share: Option<f64>) -> String {
    share.map_or_else(|| "undefined".to_owned(), percent)
}

/// Any value, about four significant digits: `0.1798`, `12.35`, `1.2e-6`.
pub(crate) fn value(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        not_finite(number)
    } else if number == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e6).contains(&size) {
        format!("{number:.2e}")
    } else if size < 1e-2 {
        format!("{number:.5}")
    } else if size < 10.0 {
        format!("{number:.4}")
    } else if size < 100.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.1}")
    }
}

/// A value as it was written in a configuration: no digits added.
pub(crate) fn setting(number: f64) -> String {
    if number != 0.0 && !(1e-3..1e6).contains(&number.abs()) {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}

/// A duration: `0.42 s`, `12.3 s`, `4 min 12 s`, `2 h 05 min`.
pub(crate) fn duration(secs: f64) -> String {
    if !secs.is_finite() || secs < 0.0 {
        not_finite(secs)
    } else if secs < 10.0 {
        format!("{secs:.2}\u{202f}s")
    } else if secs < 60.0 {
        format!("{secs:.1}\u{202f}s")
    } else {
        // A cast from f64 saturates, and no run lasts 2^64 seconds.
        let whole = secs.round() as u64;
        let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
        if hours == 0 {
            format!("{minutes}\u{202f}min {seconds:02}\u{202f}s")
        } else {
            format!("{hours}\u{202f}h {minutes:02}\u{202f}min")
        }
    }
}

fn not_finite(number: f64) -> String {
    if number.is_nan() {
        "not a number".to_owned()
    } else {
        format!("{}∞", if number < 0.0 { "−" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn values_keep_about_four_digits() {
        let shown = [0.0, 0.179814, -12.3456, 1234.56, 0.00234, 1.5e-9, 3e12].map(value);
        assert_eq!(shown, ["0", "0.1798", "-12.35", "1234.6", "0.00234", "1.50e-9", "3.00e12"]);
    }

    #[test]
    fn what_is_not_finite_is_said_in_words() {
        assert_eq!(percent(f64::NAN), "not a number");
        assert_eq!(value(f64::NEG_INFINITY), "−∞");
        assert_eq!(duration(f64::INFINITY), "∞");
    }

    #[test]
    fn durations_change_their_unit() {
        let shown = [0.416, 12.34, 252.0, 7500.0].map(duration);
        assert_eq!(
            shown,
            ["0.42\u{202f}s", "12.3\u{202f}s", "4\u{202f}min 12\u{202f}s", "2\u{202f}h 05\u{202f}min"]
        );
    }

    #[test]
    fn settings_are_shown_as_written() {
        assert_eq!([0.0, 0.05, 1e-5, 128.0].map(setting), ["0", "0.05", "1e-5", "128"]);
    }
}
