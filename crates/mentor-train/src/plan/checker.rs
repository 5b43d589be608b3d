//! Everything that is wrong with a configuration, collected while it is checked.

use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

/// Everything that is wrong with a configuration, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// One sentence a problem, none empty.
    pub problems: Vec<String>,
}

impl std::fmt::Display for PlanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(f, "{only}"),
            problems => {
                write!(f, "the configuration has {} problems:", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

impl std::error::Error for PlanError {}

/// Collects problems while values are taken, so that a user hears of all of them.
pub(crate) struct Checker {
    pub(crate) problems: Vec<String>,
}

impl Checker {
    /// `value`, and a problem where it does not hold. NaN never holds.
    pub(crate) fn number(&mut self, name: &str, value: f64, holds: fn(f64) -> bool, range: &str) -> f64 {
        if !(value.is_finite() && holds(value)) {
            self.problems.push(format!("{name} is {value}, and must be {range}"));
        }
        value
    }

    /// As [`Checker::number`], for a value that the engine takes as an f32. One that is no 0 must not become
    /// 0, or a number of fewer digits, and one below 1 must not become 1.
    pub(crate) fn f32(&mut self, name: &str, value: f64, holds: fn(f64) -> bool, range: &str) -> f64 {
        let before = self.problems.len();
        self.number(name, value, holds, range);
        let taken = value as f32;
        if self.problems.len() == before && !((value == 0.0 || taken.is_normal()) && holds(f64::from(taken)))
        {
            self.problems
                .push(format!("{name} is {value:?}, and must be {range} also as a number of 32 bits"));
        }
        value
    }

    pub(crate) fn at_least_one(&mut self, name: &str, value: usize) -> usize {
        if value == 0 {
            self.problems.push(format!("{name} is 0, and must be at least 1"));
        }
        value
    }

    /// TOML has whole numbers below 2^63; a configuration with larger ones could not be read again.
    pub(crate) fn whole_numbers(&mut self, config: &impl Serialize) {
        let value = serde_json::to_value(config).unwrap_or_default();
        self.whole_numbers_of("", &value);
    }

    fn whole_numbers_of(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                    self.whole_numbers_of(&name, value);
                }
            }
            Value::Number(number) if number.is_u64() && !number.is_i64() => {
                self.problems.push(format!("{name} is {number}, and must be below 2^63"));
            }
            _ => {}
        }
    }

    /// What `text` names; `fallback` if there is no text, or with a problem where it names nothing.
    pub(crate) fn parse<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
        text: Option<&str>,
        fallback: T,
    ) -> T {
        match text.map(str::parse) {
            None => fallback,
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.problems.push(format!("{name}: {error}"));
                fallback
            }
        }
    }

    /// `checked`, unless there is a problem with it.
    pub(crate) fn into_result<T>(self, checked: T) -> Result<T, PlanError> {
        if self.problems.is_empty() { Ok(checked) } else { Err(PlanError { problems: self.problems }) }
    }

    pub(crate) fn check(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }
}

pub(crate) const NON_NEGATIVE: (fn(f64) -> bool, &str) = (|x| x >= 0.0, "a finite number of at least 0");
pub(crate) const POSITIVE: (fn(f64) -> bool, &str) = (|x| x > 0.0, "a finite number greater than 0");
pub(crate) const BELOW_ONE: (fn(f64) -> bool, &str) = (|x| (0.0..1.0).contains(&x), "in [0, 1)");
