//! Plain NumPy arrays of numbers: embeddings and labels that other programs wrote.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::error::DataError;
use crate::options::Limits;
use crate::readers::npy::{Element, Number, read_header};

/// A `.npy` file of integers or floats in C order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Size of every dimension.
    pub shape: Vec<usize>,
    /// The numbers, the last dimension fastest. Integers over 2^53 are rounded.
    pub values: Vec<f64>,
    /// Whether the file holds integers.
    pub integers: bool,
}

impl Array {
    /// Reads a whole file.
    ///
    /// # Errors
    ///
    /// [`DataError`] for a file that cannot be read, is no plain array, is larger than `max_memory_bytes`
    /// allows, is shorter or longer than its header declares, or holds a number that is not finite.
    pub fn read(path: &Path, limits: &Limits) -> Result<Self, DataError> {
        let damaged = |reason: String| DataError::Damaged { path: path.to_owned(), reason };
        let file = File::open(path).map_err(|error| DataError::io(path, error))?;
        let mut reader = BufReader::new(file);
        let header = read_header(&mut reader).map_err(damaged)?;
        let num = header.num_elements().unwrap_or(u64::MAX);
        if num > limits.max_memory_bytes / size_of::<f64>() as u64 {
            return Err(DataError::TooLarge {
                path: path.to_owned(),
                what: "the number of bytes of the array",
                size: num.saturating_mul(size_of::<f64>() as u64),
                limit: limits.max_memory_bytes,
                option: "max_memory_bytes",
            });
        }
        // Grown as bytes arrive: a header alone takes no memory.
        let mut bytes = Vec::new();
        let expected = num * header.size as u64;
        // One byte more than declared shows whether the file goes on.
        let limit = expected.saturating_add(1);
        reader.take(limit).read_to_end(&mut bytes).map_err(|error| DataError::io(path, error))?;
        let found = bytes.len() as u64;
        if found < expected {
            return Err(DataError::Truncated { path: path.to_owned(), expected, found });
        }
        if found > expected {
            return Err(damaged(format!(
                "holds more than the {expected} bytes of data that its header declares"
            )));
        }
        let number = |bytes: &[u8]| match header.number(bytes) {
            Number::Integer(value) => value as f64,
            Number::Float(value) => value,
        };
        let values: Vec<f64> = bytes.chunks_exact(header.size).map(number).collect();
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let (value, place) = (values[index], header.position(index as u64));
            return Err(damaged(format!("holds {value} at {place:?}, not a finite number")));
        }
        let integers = header.element != Element::Float;
        Ok(Self { shape: header.shape.iter().map(|&size| size as usize).collect(), values, integers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(descr: &str, shape: &str, data: &[u8]) -> Result<Array, DataError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        std::fs::write(&path, bytes).unwrap();
        Array::read(&path, &Limits::default())
    }

    #[test]
    fn floats_and_integers_come_with_their_shape() {
        let floats: Vec<u8> = [0.5_f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let array = npy("<f4", "(1, 2)", &floats).unwrap();
        assert_eq!((array.shape, array.values, array.integers), (vec![1, 2], vec![0.5, -2.0], false));
        let array = npy("|u1", "(3,)", &[1, 2, 255]).unwrap();
        assert_eq!((array.values, array.integers), (vec![1.0, 2.0, 255.0], true));
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_place() {
        let nan = npy("<f4", "(1, 1)", &f32::NAN.to_le_bytes()).unwrap_err().to_string();
        assert!(nan.contains("holds NaN at [0, 0]"), "{nan}");
        assert!(matches!(npy("<f4", "(2, 2)", &[0; 4]), Err(DataError::Truncated { expected: 16, .. })));
        let longer = npy("|u1", "(3,)", &[1, 2, 3, 4]).unwrap_err().to_string();
        assert!(longer.contains("holds more than the 3 bytes of data"), "{longer}");
        let huge = npy("<f8", "(9999999999, 9999999999)", &[]);
        assert!(matches!(huge, Err(DataError::TooLarge { .. })), "{huge:?}");
        let missing = Array::read(Path::new("/nonexistent/a.npy"), &Limits::default());
        assert!(matches!(missing, Err(DataError::NotFound { .. })), "{missing:?}");
    }
}
