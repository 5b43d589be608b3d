//! NumPy's npy format, version 1.0: what `mentor embed` writes.

/// The file of a matrix `[rows, columns]` of f32, row by row.
///
/// # Panics
///
/// If the number of values is not a multiple of `columns`.
pub(crate) fn matrix(values: &[f32], columns: usize) -> Vec<u8> {
    assert_eq!(values.len() % columns.max(1), 0, "rows of {columns} values do not fill {}", values.len());
    let rows = values.len() / columns.max(1);
    let mut file = header("<f4", &format!("({rows}, {columns})"), 4 * values.len());
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    file
}

/// The file of a vector of class indices, as i64.
pub(crate) fn labels(labels: &[u32]) -> Vec<u8> {
    let mut file = header("<i8", &format!("({},)", labels.len()), 8 * labels.len());
    file.extend(labels.iter().flat_map(|&label| i64::from(label).to_le_bytes()));
    file
}

/// Magic, version and dictionary, padded so that the values start at a multiple of 64 bytes.
fn header(descr: &str, shape: &str, num_bytes: usize) -> Vec<u8> {
    let mut dictionary = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let padding = (64 - (10 + dictionary.len() + 1) % 64) % 64;
    dictionary.push_str(&" ".repeat(padding));
    dictionary.push('\n');
    let mut file = Vec::with_capacity(10 + dictionary.len() + num_bytes);
    file.extend_from_slice(b"\x93NUMPY\x01\x00");
    // A dictionary of a shape of one or two numbers is shorter than 128 bytes.
    file.extend_from_slice(&(dictionary.len() as u16).to_le_bytes());
    file.extend_from_slice(dictionary.as_bytes());
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_numpy() {
        // numpy.save of numpy.array([[1, 2], [3, 4], [5, 6]], dtype="<f4")
        let file = matrix(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2);
        let text = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
        assert_eq!(&file[..text.len()], text);
        assert_eq!((file.len(), file[127]), (128 + 24, b'\n'));
        assert_eq!(file[128..132], 1.0_f32.to_le_bytes());
        assert_eq!(labels(&[7])[128..], 7_i64.to_le_bytes());
    }
}
