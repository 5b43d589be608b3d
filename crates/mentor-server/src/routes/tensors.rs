//! The input of an inference request, within limits: numbers in lists of any depth, or texts.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::routes::served::MAX_PICTURES;

/// The body of `POST /v2/models/{model}/infer`; fields that say how, such as `parameters`, are passed over.
#[derive(Debug, Deserialize)]
pub(crate) struct Inference {
    #[serde(default)]
    pub(crate) id: Option<String>,
    pub(crate) inputs: Vec<InputTensor>,
    #[serde(default)]
    pub(crate) outputs: Option<Vec<WantedTensor>>,
}

/// A tensor that is given.
#[derive(Debug, Deserialize)]
pub(crate) struct InputTensor {
    pub(crate) name: String,
    pub(crate) datatype: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) data: Data,
}

/// A tensor that is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct WantedTensor {
    pub(crate) name: String,
}

/// The values of a tensor in order, whatever lists they stand in. Texts are base64.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) bytes: Vec<u8>,
    pub(crate) files: Vec<Vec<u8>>,
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut data = Self::default();
        Append(&mut data).deserialize(deserializer)?;
        Ok(data)
    }
}

/// Appends a value, or those of a list, to the data.
struct Append<'a>(&'a mut Data);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Append<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers from 0 to 255, files in base64, or lists of them")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        let byte = u8::try_from(value).map_err(|_| E::custom(format!("{value} is not from 0 to 255")))?;
        self.0.bytes.push(byte);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.0.files.len() == MAX_PICTURES {
            return Err(E::custom(format!("a request holds at most {MAX_PICTURES} pictures")));
        }
        let file = BASE64_STANDARD.decode(text).map_err(|error| E::custom(format!("base64: {error}")))?;
        self.0.files.push(file);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Append(self.0))?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_order_in_lists_of_any_depth_and_others_are_refused() {
        let data: Data = serde_json::from_str("[[1,[2]],[],255,\"AAE=\"]").unwrap();
        assert_eq!((data.bytes, data.files), (vec![1, 2, 255], vec![vec![0, 1]]));
        let deep = "[".repeat(200) + &"]".repeat(200);
        for bad in ["[256]", "[-1]", "[1.5]", "[null]", "{}", "[\"%\"]", "[true]", deep.as_str()] {
            assert!(serde_json::from_str::<Data>(bad).is_err(), "{bad}");
        }
        let many = format!("[{}\"\"]", "\"\",".repeat(MAX_PICTURES));
        assert!(serde_json::from_str::<Data>(&many).unwrap_err().to_string().contains("at most 64"));
    }
}
