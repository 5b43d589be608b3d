//! What a pickle builds.

use super::globals::Global;
use crate::tensor::Scalar;

/// A value on the stack; what has parts is a place in the [`Arena`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Text(usize),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Global(Global),
    Storage(usize),
    Tensor(usize),
}

impl Value {
    /// What it is, for a message.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Int(_) => "a number",
            Self::Float => "a fraction",
            Self::Text(_) => "a text",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Global(_) => "a type",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "one tensor",
        }
    }
}

/// Values with parts, in the order of their making. They name their parts by number: nothing is freed by
/// recursion, and a list may hold itself.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    pub(crate) texts: Vec<String>,
    pub(crate) tuples: Vec<Vec<Value>>,
    pub(crate) lists: Vec<Vec<Value>>,
    pub(crate) dicts: Vec<Vec<(Value, Value)>>,
    pub(crate) storages: Vec<StorageName>,
    pub(crate) tensors: Vec<TensorView>,
}

/// A storage that the file holds beside the pickle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StorageName {
    pub(crate) key: String,
    pub(crate) scalar: Scalar,
    /// Values.
    pub(crate) len: usize,
}

/// A tensor as a view of a storage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TensorView {
    pub(crate) storage: usize,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

impl Arena {
    /// The text that a value is.
    pub(crate) fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(at) => Some(&self.texts[at]),
            _ => None,
        }
    }

    /// The items of a tuple or list.
    pub(crate) fn items(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Tuple(at) => Some(&self.tuples[at]),
            Value::List(at) => Some(&self.lists[at]),
            _ => None,
        }
    }

    /// The sizes that a tuple or list of numbers holds.
    pub(crate) fn sizes(&self, value: Value) -> Option<Vec<usize>> {
        let size = |&value: &Value| match value {
            Value::Int(size) => usize::try_from(size).ok(),
            _ => None,
        };
        self.items(value)?.iter().map(size).collect()
    }
}
