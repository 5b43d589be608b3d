//! Where in what was saved the weights are.

use super::globals::unsupported;
use super::value::{Arena, Value};
use crate::error::BackboneError;

/// Under which names training scripts save weights, the best first.
const NAMES: [&str; 9] = [
    "state_dict_ema",
    "model_ema",
    "teacher",
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "student",
];

/// The tensors by name: of what was saved, or of the first of [`NAMES`] in it.
pub(crate) fn find(root: Value, arena: &Arena) -> Result<Vec<(String, usize)>, BackboneError> {
    let mut dict = root;
    for _ in 0..4 {
        let Value::Dict(at) = dict else {
            return Err(unsupported(format!("{} instead of tensors by name", dict.kind())));
        };
        let entries = &arena.dicts[at];
        let tensors: Vec<(String, usize)> = entries
            .iter()
            .filter_map(|(key, value)| match (arena.text(*key), value) {
                (Some(name), Value::Tensor(tensor)) => Some((name.to_owned(), *tensor)),
                _ => None,
            })
            .collect();
        if !tensors.is_empty() {
            return Ok(tensors);
        }
        let value_of = |name: &str| {
            let mut found = entries.iter().filter(|(key, _)| arena.text(*key) == Some(name));
            found.next().map(|(_, value)| *value)
        };
        if value_of("param_groups").is_some() {
            return Err(unsupported("the state of an optimiser and no weights"));
        }
        dict = match NAMES
            .iter()
            .find_map(|name| value_of(name).filter(|value| matches!(value, Value::Dict(_))))
        {
            Some(inner) => inner,
            None if value_of("optimizer").is_some() => {
                return Err(unsupported("the state of an optimiser and no weights"));
            }
            None => return Err(unsupported("no tensors by name")),
        };
    }
    Err(unsupported("dictionaries in dictionaries and no tensors"))
}
