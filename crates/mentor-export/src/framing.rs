//! Whether the outermost fields of a protobuf message lie within its bytes.
//!
//! `rten-onnx` checks this of every message inside of another, and not of the outermost: a field that claims
//! more bytes than there are moves its reader backwards, and it never ends.

/// Kinds of fields: how their length is known.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// Whether `bytes` are whole fields, one after the other, and at least one.
pub(crate) fn is_framed(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some(after) = after_field(rest) else { return false };
        rest = after;
    }
    !bytes.is_empty()
}

/// What follows the first field.
fn after_field(bytes: &[u8]) -> Option<&[u8]> {
    let (tag, rest) = varint(bytes)?;
    match tag & 7 {
        VARINT => Some(varint(rest)?.1),
        EIGHT_BYTES => rest.get(8..),
        FOUR_BYTES => rest.get(4..),
        LENGTH => {
            let (length, rest) = varint(rest)?;
            rest.get(usize::try_from(length).ok()?..)
        }
        _ => None,
    }
}

/// A number of seven bits a byte, the lowest first, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, &byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_must_end_where_the_bytes_end() {
        // Field 1 is 8; field 7 holds two bytes; field 2 has eight bytes and field 3 has four.
        let whole = [8, 8, 58, 2, 1, 2, 17, 1, 2, 3, 4, 5, 6, 7, 8, 29, 1, 2, 3, 4];
        assert!(is_framed(&whole));
        for length in [0, 1, 3, 4, 5, 7, 14, 16, 19] {
            assert!(!is_framed(&whole[..length]), "{length}");
        }
        // A length of 2⁶³ − 1, and one that never ends.
        assert!(!is_framed(&[58, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]));
        assert!(!is_framed(&[0xff; 99]));
        assert!(!is_framed(b"\x89PNG\r\n"));
    }
}
