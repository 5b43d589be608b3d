//! A file of weights, whatever its form.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::error::BackboneError;
use crate::pickle;
use crate::tensor::{MAX_VALUES, Scalar, Tensor, Tensors, check_finite};

/// The largest file that is read: every value as a double.
const MAX_FILE_BYTES: u64 = 8 * MAX_VALUES as u64;

/// The form of a file of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileForm {
    /// safetensors.
    Safetensors,
    /// A zip file of `torch.save`.
    TorchZip,
    /// A pickle of `torch.save` before PyTorch 1.6.
    TorchLegacy,
}

impl FileForm {
    /// For people.
    pub fn description(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "PyTorch, zip",
            Self::TorchLegacy => "PyTorch, pickle",
        }
    }
}

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) form: FileForm,
    pub(crate) tensors: Tensors,
    pub(crate) blake3: blake3::Hash,
}

/// Reads a file.
pub(crate) fn read_file(path: &Path) -> Result<Weights, BackboneError> {
    let io = |source| BackboneError::Io { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(BackboneError::NotWeights {
            what: if metadata.is_dir() { "a folder" } else { "no regular file" },
        });
    }
    let too_large = |bytes| BackboneError::TooLarge { bytes, limit: MAX_FILE_BYTES };
    if metadata.len() > MAX_FILE_BYTES {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    File::open(path).map_err(io)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    read(&bytes)
}

/// Reads the bytes of a file.
pub(crate) fn read(bytes: &[u8]) -> Result<Weights, BackboneError> {
    let (form, tensors) = if pickle::is_legacy(bytes) {
        (FileForm::TorchLegacy, pickle::read_legacy(bytes)?)
    } else if bytes.starts_with(b"PK\x03\x04") {
        (FileForm::TorchZip, pickle::read_zip(bytes)?)
    } else if bytes.get(8) == Some(&b'{') {
        (FileForm::Safetensors, read_safetensors(bytes)?)
    } else {
        return Err(BackboneError::NotWeights { what: looks_like(bytes) });
    };
    check_finite(&tensors)?;
    Ok(Weights { form, tensors, blake3: blake3::hash(bytes) })
}

fn looks_like(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "empty",
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file",
        [b'G', b'G', b'U', b'F', ..] => "a GGUF file",
        [8, _, 18 | 26, ..] => "an ONNX model",
        [0x80, 2..=5, ..] => "a pickle that torch.save did not write",
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "a NumPy array",
        _ if bytes.get(257..262) == Some(b"ustar") => "a tar file",
        _ => "something else",
    }
}

fn read_safetensors(bytes: &[u8]) -> Result<Tensors, BackboneError> {
    let damaged = |error: safetensors::SafeTensorError| BackboneError::Damaged { reason: error.to_string() };
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let mut tensors = Tensors::new();
    for (name, view) in file.iter() {
        let scalar = match view.dtype() {
            Dtype::F64 => Scalar::F64,
            Dtype::F32 => Scalar::F32,
            Dtype::F16 => Scalar::F16,
            Dtype::BF16 => Scalar::Bf16,
            Dtype::I64 | Dtype::I32 | Dtype::I16 | Dtype::I8 | Dtype::U8 | Dtype::BOOL => Scalar::Whole(0),
            other => {
                let what = format!("{name} of type {other:?}");
                return Err(BackboneError::Unknown { what });
            }
        };
        let tensor = Tensor {
            shape: view.shape().to_vec(),
            values: scalar.decode(view.data()),
            is_float: !matches!(scalar, Scalar::Whole(_)),
        };
        tensors.insert(name.to_string(), tensor);
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_torch_save_hold_the_same_values_whatever_their_type_and_strides() {
        for form in ["zip", "legacy"] {
            let path = format!("{}/tests/files/values.{form}.pt", env!("CARGO_MANIFEST_DIR"));
            let weights = read_file(Path::new(&path)).unwrap();
            let tensor = |name: &str| (&weights.tensors[name].shape[..], &weights.tensors[name].values[..]);
            assert_eq!(tensor("plain"), (&[2, 3][..], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0][..]), "{form}");
            assert_eq!(tensor("turned"), (&[3, 2][..], &[1.0, 13.0, 2.0, 14.0, 3.0, 15.0][..]));
            assert_eq!(tensor("shared"), (&[4][..], &[20.0, 21.0, 22.0, 23.0][..]));
            assert_eq!(tensor("half"), tensor("brain"));
            assert_eq!(tensor("half"), (&[4][..], &[0.0, 1.0, 2.0, 3.0][..]));
            assert_eq!(tensor("double"), (&[2][..], &[0.0, 1.0][..]));
            assert_eq!(tensor("parameter"), (&[2][..], &[3.0, 4.0][..]));
            assert_eq!(tensor("nothing"), (&[0, 3][..], &[][..]));
            assert!(!weights.tensors["counter"].is_float);
        }
    }
}
