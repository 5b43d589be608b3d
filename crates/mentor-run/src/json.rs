//! JSON as every file and every command writes it: a zero has no sign, whichever way a sum came to it.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use serde_json::{Result, Serializer};

/// `value` over several lines, indented.
///
/// ```
/// assert_eq!(mentor_run::json::pretty(&[-0.0, 1.5])?, b"[\n  0.0,\n  1.5\n]");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
///
/// If a key is no text.
pub fn pretty<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    written(value, PrettyFormatter::new())
}

/// `value` on one line.
///
/// # Errors
///
/// If a key is no text.
pub fn line<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    written(value, CompactFormatter)
}

/// A number in a cell of a CSV file.
pub fn cell(number: f64) -> String {
    (number + 0.0).to_string()
}

fn written<T: Serialize + ?Sized>(value: &T, formatter: impl Formatter) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, UnsignedZero(formatter)))?;
    Ok(bytes)
}

/// Another formatter, with zeros that have no sign: −0 + 0 is 0, and every other number stays what it is.
struct UnsignedZero<F>(F);

type Written = io::Result<()>;

impl<F: Formatter> Formatter for UnsignedZero<F> {
    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> Written {
        self.0.write_f32(writer, value + 0.0)
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> Written {
        self.0.write_f64(writer, value + 0.0)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Written {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Written {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zeros_lose_their_sign_and_all_else_is_as_serde_writes_it() {
        let value =
            serde_json::json!({ "a": [1.5, -1e-300, null, [], {}], "b": { "c": "−0", "d": -3 }, "e": true });
        assert_eq!(pretty(&value).unwrap(), serde_json::to_vec_pretty(&value).unwrap());
        assert_eq!(line(&value).unwrap(), serde_json::to_vec(&value).unwrap());
        assert_eq!(line(&(-0.0_f32, -0.0_f64, f64::NAN)).unwrap(), b"[0.0,0.0,null]");
        assert_eq!([cell(-0.0), cell(-0.25)], ["0", "-0.25"]);
    }
}
