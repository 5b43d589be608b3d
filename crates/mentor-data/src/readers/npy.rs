//! The header of a NumPy array and its numbers. Only what images and labels need: plain integers and
//! floats in C order. A header can declare anything, so every size is checked.

use std::io::Read;

/// Type of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Bool,
    Unsigned,
    Signed,
    Float,
}

/// What precedes the numbers of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) element: Element,
    /// Bytes of an element: 1, 2, 4 or 8.
    pub(crate) size: usize,
    pub(crate) big_endian: bool,
    pub(crate) shape: Vec<u64>,
}

/// One element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

impl Header {
    /// Number of elements, unless it overflows.
    pub(crate) fn num_elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, &size| product.checked_mul(size))
    }

    /// Position in every dimension of the element at `index` in the file.
    pub(crate) fn position(&self, mut index: u64) -> Vec<u64> {
        let mut position: Vec<u64> = self
            .shape
            .iter()
            .rev()
            .map(|&size| {
                let here = index % size.max(1);
                index /= size.max(1);
                here
            })
            .collect();
        position.reverse();
        position
    }

    /// The element that `bytes`, `size` of them, stand for. Integers over 2^63 become 2^63 - 1.
    pub(crate) fn number(&self, bytes: &[u8]) -> Number {
        let mut little = [0; 8];
        let little = &mut little[..self.size];
        little.copy_from_slice(bytes);
        if self.big_endian {
            little.reverse();
        }
        let bits = little.iter().rev().fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
        let unused = 64 - 8 * self.size as u32;
        match self.element {
            Element::Bool => Number::Integer(i64::from(bits != 0)),
            Element::Unsigned => Number::Integer(i64::try_from(bits).unwrap_or(i64::MAX)),
            Element::Signed => Number::Integer((bits << unused) as i64 >> unused),
            Element::Float if self.size == 2 => Number::Float(half(bits as u16)),
            Element::Float if self.size == 4 => Number::Float(f64::from(f32::from_bits(bits as u32))),
            Element::Float => Number::Float(f64::from_bits(bits)),
        }
    }
}

/// A float of 16 bits (IEEE 754 binary16): a sign, 5 bits of exponent, 10 of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    match exponent {
        0 => sign * fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        _ => sign * (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    }
}

/// Reads a header and leaves `reader` at the first element. The error is a reason.
pub(crate) fn read_header(reader: &mut impl Read) -> Result<Header, String> {
    /// NumPy writes 128 bytes; a longer header is one of a structured type, or damaged.
    const MAX_LENGTH: usize = 4096;
    let mut start = [0; 8];
    let mut exactly = |buffer: &mut [u8]| {
        reader.read_exact(buffer).map_err(|error| format!("has a header that cannot be read ({error})"))
    };
    exactly(&mut start)?;
    let length = match start {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _] => {
            let mut length = [0; 2];
            exactly(&mut length)?;
            usize::from(u16::from_le_bytes(length))
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _] => {
            let mut length = [0; 4];
            exactly(&mut length)?;
            u32::from_le_bytes(length) as usize
        }
        _ => return Err("is not in NumPy's format".to_owned()),
    };
    if length > MAX_LENGTH {
        return Err(format!("has a header of {length} bytes, unlike a plain array"));
    }
    let mut text = vec![0; length];
    exactly(&mut text)?;
    let text = String::from_utf8(text).map_err(|_| "has a header that is not text".to_owned())?;
    parse_header(&text)
}

/// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
fn parse_header(text: &str) -> Result<Header, String> {
    let value = |key: &str| {
        let missing = || format!("has a header without {key}");
        let (_, rest) = text.split_once(&format!("'{key}'")).ok_or_else(missing)?;
        Ok::<_, String>(rest.trim_start().strip_prefix(':').ok_or_else(missing)?.trim_start())
    };
    if !value("fortran_order")?.starts_with("False") {
        return Err("is in Fortran order (numpy.ascontiguousarray changes that)".to_owned());
    }
    let descr = value("descr")?.strip_prefix('\'').and_then(|rest| rest.split('\'').next());
    let descr = descr.ok_or("has a structured type, not numbers")?;
    let accepted =
        |descr: &str| format!("has type {descr:?}, not bool, integers or floats of 16, 32 or 64 bits");
    let (order, kind_and_size) = descr.split_at_checked(1).ok_or_else(|| accepted(descr))?;
    let (element, size) = match kind_and_size {
        "b1" => (Element::Bool, 1),
        "u1" => (Element::Unsigned, 1),
        "u2" => (Element::Unsigned, 2),
        "u4" => (Element::Unsigned, 4),
        "u8" => (Element::Unsigned, 8),
        "i1" => (Element::Signed, 1),
        "i2" => (Element::Signed, 2),
        "i4" => (Element::Signed, 4),
        "i8" => (Element::Signed, 8),
        "f2" => (Element::Float, 2),
        "f4" => (Element::Float, 4),
        "f8" => (Element::Float, 8),
        _ => return Err(accepted(descr)),
    };
    let big_endian = match order {
        ">" => true,
        "<" | "|" => false,
        _ => return Err(accepted(descr)),
    };
    let shape = value("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (shape, _) = shape.ok_or("has a header without shape")?;
    let shape = shape
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| {
            size.parse::<u64>().map_err(|_| format!("has the shape ({shape}), which is not one of numbers"))
        })
        .collect::<Result<_, _>>()?;
    Ok(Header { element, size, big_endian, shape })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(descr: &str) -> Result<Header, String> {
        parse_header(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2, 3), }}  \n"))
    }

    #[test]
    fn numbers_of_every_type_and_byte_order_are_read() {
        let number = |descr: &str, bytes: &[u8]| header(descr).unwrap().number(bytes);
        assert_eq!(number("|u1", &[200]), Number::Integer(200));
        assert_eq!(number("|i1", &[0xfe]), Number::Integer(-2));
        assert_eq!(number("<i2", &[0x34, 0x12]), Number::Integer(0x1234));
        assert_eq!(number(">i8", &[0xff; 8]), Number::Integer(-1));
        assert_eq!(number("<u8", &[0xff; 8]), Number::Integer(i64::MAX));
        assert_eq!(number("<f4", &0.5_f32.to_le_bytes()), Number::Float(0.5));
        assert_eq!(number(">f8", &(-2.5_f64).to_be_bytes()), Number::Float(-2.5));
        assert_eq!(number("|b1", &[1]), Number::Integer(1));
        // numpy.float16: 1/3, the smallest, the largest, -inf.
        for (bits, value) in [
            (0x3555_u16, 0.333_251_953_125),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x7bff, 65_504.0),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(number("<f2", &bits.to_le_bytes()), Number::Float(value));
            assert_eq!(number(">f2", &bits.to_be_bytes()), Number::Float(value));
        }
        assert!(matches!(number("<f2", &[0, 0x7e]), Number::Float(value) if value.is_nan()));
    }

    #[test]
    fn what_is_no_plain_array_is_refused() {
        for descr in ["<U5", "<c8", "|O", "", "<f3", "<M8"] {
            assert!(header(descr).is_err(), "{descr}");
        }
        let fortran = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }";
        assert!(parse_header(fortran).unwrap_err().contains("ascontiguousarray"));
        let structured = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }";
        assert!(parse_header(structured).unwrap_err().contains("structured"));
    }

    #[test]
    fn positions_count_the_last_dimension_fastest() {
        assert_eq!(header("<f4").unwrap().position(4), [1, 1]);
    }

    proptest! {
        #[test]
        fn random_headers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut npy = b"\x93NUMPY\x01\x00".to_vec();
            npy.extend((bytes.len() as u16).to_le_bytes());
            npy.extend(&bytes);
            let _ = read_header(&mut &npy[..]);
            let _ = read_header(&mut &bytes[..]);
        }

        #[test]
        fn huge_shapes_are_no_overflow(a in any::<u64>(), b in any::<u64>()) {
            let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({a}, {b})}}");
            prop_assert_eq!(parse_header(&text).unwrap().num_elements(), a.checked_mul(b));
        }
    }
}
