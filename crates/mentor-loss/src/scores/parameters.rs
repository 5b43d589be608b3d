//! The parameters of losses by name: how a configuration and a model's file write them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Such as a margin.
    Number(f64),
    /// Such as the weights of the classes.
    Numbers(Vec<f64>),
}

/// The values of parameters, by their names in the configuration.
pub type Parameters = BTreeMap<String, Value>;

/// What a configuration may give for a parameter, in each of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// At least 0.
    NonNegative,
    /// At least 0 and below 1.
    BelowOne,
}

/// A parameter of a loss.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it may be.
    pub range: Range,
    /// Its value if none is given; `None` for a list, which is then empty.
    pub default: Option<f64>,
    /// Whether 0, or an empty list, asks for nothing, so that losses without the parameter take it too.
    pub can_be_off: bool,
}

impl Parameter {
    /// Its value if none is given.
    pub fn default_value(&self) -> Value {
        self.default.map_or_else(|| Value::Numbers(Vec::new()), Value::Number)
    }

    /// Whether the value asks for nothing.
    pub fn is_off(&self, value: &Value) -> bool {
        self.can_be_off
            && match value {
                Value::Number(number) => *number == 0.0,
                Value::Numbers(numbers) => numbers.is_empty(),
            }
    }
}

/// The number of this name, which a row of the table of losses promises.
pub(crate) fn number(parameters: &Parameters, name: &str) -> f64 {
    match parameters.get(name) {
        Some(Value::Number(number)) => *number,
        _ => f64::NAN,
    }
}

/// The list of this name; empty if there is none.
pub(crate) fn numbers(parameters: &Parameters, name: &str) -> Vec<f64> {
    match parameters.get(name) {
        Some(Value::Numbers(numbers)) => numbers.clone(),
        _ => Vec::new(),
    }
}
