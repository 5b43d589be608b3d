//! The form that `torch.save` writes since PyTorch 1.6: a zip file with `data.pkl`, and each storage as a
//! file.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::storage::{Allowance, damaged, materialise, num_bytes};
use super::value::Arena;
use super::{machine, state_dict};
use crate::error::BackboneError;
use crate::tensor::{MAX_VALUES, Tensors};

/// Bytes of `data.pkl`; that of a network of a thousand tensors has 200 kB.
const MAX_PICKLE: u64 = 64 << 20;

/// The tensors of a zip file.
pub(crate) fn read(bytes: &[u8]) -> Result<Tensors, BackboneError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(zip_error)?;
    let names = archive.file_names().flatten().map(std::borrow::Cow::into_owned);
    let pickle = names.into_iter().find(|name| name == "data.pkl" || name.ends_with("/data.pkl"));
    let Some(pickle) = pickle else {
        return Err(BackboneError::NotWeights { what: "a zip file without data.pkl" });
    };
    let folder = pickle.strip_suffix("data.pkl").unwrap_or_default().to_owned();
    if archive.index_for_name(&format!("{folder}constants.pkl")).is_some() {
        return Err(BackboneError::NotWeights { what: "a TorchScript program" });
    }
    if let Ok(order) = entry(&mut archive, &format!("{folder}byteorder"), 16)
        && order.trim_ascii() != b"little"
    {
        return Err(super::globals::unsupported("numbers of another byte order"));
    }
    let pickle = entry(&mut archive, &pickle, MAX_PICKLE)?;
    let mut arena = Arena::default();
    let (root, _) = machine::run(&pickle, &mut arena)?;
    let names = state_dict::find(root, &arena)?;
    let mut allowance = Allowance::new();
    let mut last: Option<(usize, Vec<u8>)> = None;
    let mut tensors = Tensors::new();
    for (name, tensor) in names {
        let view = &arena.tensors[tensor];
        let storage = &arena.storages[view.storage];
        let len = num_bytes(storage)?;
        if storage.len > MAX_VALUES {
            return Err(damaged("a storage with more values than any of the networks"));
        }
        // Tensors that share a storage mostly follow each other.
        if last.as_ref().is_none_or(|(at, _)| *at != view.storage) {
            let path = format!("{folder}data/{}", storage.key);
            let bytes = entry(&mut archive, &path, len as u64)?;
            if bytes.len() != len {
                return Err(damaged(&format!("{name} has {} of {len} bytes", bytes.len())));
            }
            last = Some((view.storage, bytes));
        }
        let bytes = last.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        tensors.insert(name.clone(), materialise(&name, view, storage, bytes, &mut allowance)?);
    }
    Ok(tensors)
}

fn entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, limit: u64) -> Result<Vec<u8>, BackboneError> {
    let file = archive.by_name(name).map_err(zip_error)?;
    if file.size() > limit {
        return Err(damaged(&format!("{name} has {} bytes, and may have {limit}", file.size())));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| damaged(&error.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(damaged(&format!("{name} has more than {limit} bytes")));
    }
    Ok(bytes)
}

fn zip_error(error: zip::result::ZipError) -> BackboneError {
    damaged(&error.to_string())
}
