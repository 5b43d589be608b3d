//! Which Thrift structures of a file the Parquet library is shown: those that mentor's writer makes, field by
//! field. The library reads known fields whatever type the file gives them, and skips others. A list of two
//! thousand million booleans takes it seconds to skip, and the file a few bytes.
//!
//! Source: the compact protocol of Apache Thrift, and `parquet.thrift` of Apache Parquet, whose numbers
//! these are.

/// What a field holds.
enum Field {
    I16,
    I32,
    I64,
    Bytes,
    List(&'static Field),
    Struct(&'static [(i64, Field)]),
}

use Field::{Bytes, I16, I32, I64, List, Struct};

const EMPTY: Field = Struct(&[]);
const LOGICAL_TYPE: Field = Struct(&[(1, EMPTY), (3, EMPTY)]);
const SCHEMA_ELEMENT: Field =
    Struct(&[(1, I32), (2, I32), (3, I32), (4, Bytes), (5, I32), (6, I32), (10, LOGICAL_TYPE)]);
const ENCODING_STATISTICS: Field = Struct(&[(1, I32), (2, I32), (3, I32)]);
const COLUMN_METADATA: Field = Struct(&[
    (1, I32),
    (2, List(&I32)),
    (3, List(&Bytes)),
    (4, I32),
    (5, I64),
    (6, I64),
    (7, I64),
    (9, I64),
    (11, I64),
    (13, List(&ENCODING_STATISTICS)),
]);
const COLUMN_CHUNK: Field = Struct(&[(2, I64), (3, COLUMN_METADATA), (4, I64), (5, I32)]);
const ROW_GROUP: Field =
    Struct(&[(1, List(&COLUMN_CHUNK)), (2, I64), (3, I64), (5, I64), (6, I64), (7, I16)]);
const KEY_VALUE: Field = Struct(&[(1, Bytes), (2, Bytes)]);
const COLUMN_ORDER: Field = Struct(&[(1, EMPTY), (2, EMPTY)]);
const FOOTER: &[(i64, Field)] = &[
    (1, I32),
    (2, List(&SCHEMA_ELEMENT)),
    (3, I64),
    (4, List(&ROW_GROUP)),
    (5, List(&KEY_VALUE)),
    (6, Bytes),
    (7, List(&COLUMN_ORDER)),
];
const PAGE_SIZE: i64 = 3;
const DATA_PAGE: Field = Struct(&[(1, I32), (2, I32), (3, I32), (4, I32)]);
const PAGE_HEADER: &[(i64, Field)] = &[(1, I32), (2, I32), (PAGE_SIZE, I32), (5, DATA_PAGE)];

/// Whether `bytes` begin with a footer that mentor writes.
pub(super) fn is_footer(bytes: &[u8]) -> bool {
    Scan { rest: bytes }.fields(FOOTER, &mut |_, _| ()).is_some()
}

/// The length of the header of a data page that mentor writes, and of the page behind it; `None` of other
/// bytes.
pub(super) fn page_header(bytes: &[u8]) -> Option<(u64, u64)> {
    let (mut scan, mut size) = (Scan { rest: bytes }, None);
    scan.fields(PAGE_HEADER, &mut |field, value| {
        if field == PAGE_SIZE {
            size = u64::try_from(value).ok();
        }
    })?;
    Some(((bytes.len() - scan.rest.len()) as u64, size?))
}

/// What is left of the bytes. Every step takes at least one of them.
struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    /// The fields of a struct, each known and of its type; `number` is told the whole numbers among them.
    fn fields(&mut self, known: &[(i64, Field)], number: &mut dyn FnMut(i64, i64)) -> Option<()> {
        let mut id = 0;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(());
            }
            id = match i64::from(header >> 4) {
                0 => self.integer()?,
                step => id + step,
            };
            let (_, field) = known.iter().find(|(known, _)| *known == id)?;
            if header & 15 != field.code() {
                return None;
            }
            if let Some(value) = self.value(field)? {
                number(id, value);
            }
        }
    }

    /// A value, which is given if it is a whole number.
    fn value(&mut self, field: &Field) -> Option<Option<i64>> {
        match field {
            I16 | I32 | I64 => return self.integer().map(Some),
            Bytes => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.rest = self.rest.get(length..)?;
            }
            Struct(known) => self.fields(known, &mut |_, _| ())?,
            List(element) => {
                let header = self.byte()?;
                let length = match u64::from(header >> 4) {
                    15 => self.varint()?,
                    length => length,
                };
                if length > 0 && header & 15 != element.code() {
                    return None;
                }
                for _ in 0..length {
                    self.value(element)?;
                }
            }
        }
        Some(None)
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }

    /// A number whose sign is its lowest bit.
    fn integer(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

impl Field {
    /// The type as a header of a field or a list names it.
    fn code(&self) -> u8 {
        match self {
            I16 => 4,
            I32 => 5,
            I64 => 6,
            Bytes => 8,
            List(_) => 9,
            Struct(_) => 12,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_known_and_of_their_type_and_all_there() {
        // Version 2, 300 rows, no row groups.
        let footer = [0x15, 4, 0x26, 0xd8, 0x04, 0x19, 0x0c, 0];
        assert!(is_footer(&footer));
        for length in 0..footer.len() {
            assert!(!is_footer(&footer[..length]), "{length}");
        }
        let others: [&[u8]; 6] = [
            &[0x16, 4, 0],                                  // a version of 64 bits
            &[0x11, 0],                                     // one that is a boolean
            &[0x85, 4, 0],                                  // field 8
            &[0x05, 0x11, 4, 0],                            // field -9
            &[0x29, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0], // a schema of booleans
            &[0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0], // of more elements than bytes
        ];
        others.iter().for_each(|bytes| assert!(!is_footer(bytes), "{bytes:?}"));
    }

    #[test]
    fn a_page_is_as_long_as_its_header_says() {
        let header = [0x15, 0, 0x15, 6, 0x15, 0x80, 0x02, 0x2c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
        assert_eq!(page_header(&[&header[..], &[9; 50]].concat()), Some((18, 128)));
        // Of a negative length, and without one.
        assert_eq!(page_header(&[0x15, 0, 0x15, 6, 0x15, 1, 0]), None);
        assert_eq!(page_header(&[0x15, 0, 0]), None);
    }
}
