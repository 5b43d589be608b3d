//! The form that `torch.save` wrote before PyTorch 1.6: five pickles, and the bytes of each storage after
//! them.

use std::collections::HashMap;

use super::storage::{Allowance, damaged, materialise, num_bytes};
use super::value::{Arena, Value};
use super::{machine, state_dict};
use crate::error::BackboneError;
use crate::tensor::Tensors;

/// How the first pickle begins: protocol 2, and the mark 0x1950a86a20f9469cfc6c as a whole number.
const MARK: [u8; 14] = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Whether a file is of this form.
pub(crate) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.starts_with(&MARK)
}

/// The tensors of the file.
pub(crate) fn read(bytes: &[u8]) -> Result<Tensors, BackboneError> {
    let mut arena = Arena::default();
    let (_, rest) = machine::run(bytes, &mut arena)?;
    let (version, rest) = machine::run(rest, &mut arena)?;
    if version != Value::Int(1001) {
        return Err(super::globals::unsupported("another version of torch.save's form"));
    }
    let (_, rest) = machine::run(rest, &mut arena)?;
    let (root, rest) = machine::run(rest, &mut arena)?;
    let (keys, mut rest) = machine::run(rest, &mut arena)?;
    let names = state_dict::find(root, &arena)?;
    let keys = arena.items(keys).ok_or_else(|| damaged("it lists no storages"))?;
    let mut by_key = HashMap::new();
    for storage in &arena.storages {
        by_key.entry(storage.key.as_str()).or_insert(storage);
    }
    let mut bytes_of = HashMap::new();
    for &key in keys {
        let key = arena.text(key).ok_or_else(|| damaged("a storage has no name"))?;
        let storage = by_key.get(key).ok_or_else(|| damaged("it lists a storage that no tensor has"))?;
        let (count, after) =
            rest.split_first_chunk().ok_or_else(|| damaged("it ends before its storages do"))?;
        if usize::try_from(i64::from_le_bytes(*count)).ok() != Some(storage.len) {
            return Err(damaged("a storage has another length than its tensor says"));
        }
        let (values, after) = after
            .split_at_checked(num_bytes(storage)?)
            .ok_or_else(|| damaged("it ends before its storages do"))?;
        rest = after;
        bytes_of.insert(key, values);
    }
    let mut allowance = Allowance::new();
    let mut tensors = Tensors::new();
    for (name, tensor) in names {
        let view = &arena.tensors[tensor];
        let storage = &arena.storages[view.storage];
        let bytes =
            *bytes_of.get(storage.key.as_str()).ok_or_else(|| damaged(&format!("{name} has no storage")))?;
        if bytes.len() != num_bytes(storage)? {
            return Err(damaged(&format!("{name} has a storage of another length")));
        }
        tensors.insert(name.clone(), materialise(&name, view, storage, bytes, &mut allowance)?);
    }
    Ok(tensors)
}
