//! Between what numbers the values of a network lie.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::error::ExportError;
use crate::graph::Value;
use crate::int8::rounded::rounded;
use crate::model::ExportModel;
use crate::onnx::{Input, graph_of};

/// The name of what the network sees, which the forms of a file name otherwise.
const IMAGES: &str = "images";

/// The least and the greatest value of each activation that is rounded.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges(BTreeMap<Value, [f32; 2]>);

impl Ranges {
    /// The range of a value of a graph whose network sees `images`.
    pub(super) fn of(&self, value: &Value, images: &Value) -> Result<[f32; 2], ExportError> {
        let name = if value == images { IMAGES } else { value };
        let missing =
            || ExportError::Tensor { path: name.to_owned(), problem: "was not measured".to_owned() };
        self.0.get(name).copied().ok_or_else(missing)
    }
}

/// Runs a model on pictures by the second engine and watches its values.
pub struct Calibrator {
    engine: Engine,
    shape: [usize; 3],
    values: Vec<Value>,
    ranges: Vec<[f32; 2]>,
}

impl Calibrator {
    /// A calibrator that has seen no picture.
    ///
    /// # Errors
    ///
    /// [`ExportError::NoEngine`] without the feature `verify`; those of [`to_onnx`](crate::to_onnx).
    pub fn new(model: &ExportModel) -> Result<Self, ExportError> {
        let mut whole = graph_of(model, Input::Tensor)?;
        let mut values: Vec<Value> = rounded(&whole).into_values().collect();
        values.sort();
        values.dedup();
        values.iter().filter(|value| **value != whole.images).for_each(|value| whole.graph.watch(value));
        let engine = Engine::load_as_written(whole.graph.into_bytes(&[])?)?;
        let ranges = vec![[f32::INFINITY, f32::NEG_INFINITY]; values.len()];
        Ok(Self { engine, shape: model.preprocessing.format.shape(), values, ranges })
    }

    /// Widens the ranges to what the network makes of normalised pictures `[N, C, H, W]`.
    ///
    /// # Errors
    ///
    /// [`ExportError::Engine`] if the engine refuses, [`ExportError::Tensor`] if a value is not finite.
    ///
    /// # Panics
    ///
    /// If the pictures are not whole.
    pub fn add(&mut self, pictures: &[f32]) -> Result<(), ExportError> {
        let [channels, height, width] = self.shape;
        let count = pictures.len() / (channels * height * width);
        let shape = [count, channels, height, width];
        let own = Input::Tensor.name();
        let watched: Vec<&str> =
            self.values.iter().map(String::as_str).filter(|&value| value != own).collect();
        let mut found = self.engine.extents(own, shape, pictures, &watched)?.into_iter();
        for (value, range) in self.values.iter().zip(&mut self.ranges) {
            let [least, greatest] =
                if value == own { extent(pictures) } else { found.next().unwrap_or(*range) };
            if !(least.is_finite() && greatest.is_finite()) {
                let problem = "holds what is no finite number for a picture".to_owned();
                return Err(ExportError::Tensor { path: value.clone(), problem });
            }
            *range = [range[0].min(least), range[1].max(greatest)];
        }
        Ok(())
    }

    /// The ranges over all pictures.
    #[must_use]
    pub fn finish(self) -> Ranges {
        let own = Input::Tensor.name();
        let named = |value: Value| if value == own { IMAGES.to_owned() } else { value };
        Ranges(self.values.into_iter().map(named).zip(self.ranges).collect())
    }
}

fn extent(values: &[f32]) -> [f32; 2] {
    let widened = |[least, greatest]: [f32; 2], &value: &f32| [least.min(value), greatest.max(value)];
    values.iter().fold([f32::INFINITY, f32::NEG_INFINITY], widened)
}
