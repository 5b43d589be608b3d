//! The second engine, rten, where it is compiled in: feature `verify`.

#[cfg(feature = "verify")]
use mentor_data::catch_panic;

use crate::error::ExportError;
#[cfg(feature = "verify")]
use crate::error::bounded;

/// Whether the second engine is compiled in.
pub const HAS_ENGINE: bool = cfg!(feature = "verify");

/// One row of numbers for each picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// `[picture, value]`, row-major.
    pub values: Vec<f32>,
    /// Values of a row.
    pub width: usize,
}

impl Rows {
    /// The rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }
}

/// A model that rten has loaded.
#[cfg(feature = "verify")]
pub(crate) struct Engine(rten::Model);

#[cfg(feature = "verify")]
impl Engine {
    pub(crate) fn load(bytes: Vec<u8>) -> Result<Self, ExportError> {
        let load = || rten::Model::load(bytes).map_err(|error| error.to_string());
        catch_panic(load).and_then(|loaded| loaded).map(Self).map_err(refusal)
    }

    /// As [`Engine::load`], with every value of the graph kept apart, and none of them joined to others.
    pub(crate) fn load_as_written(bytes: Vec<u8>) -> Result<Self, ExportError> {
        let load = || {
            let mut options = rten::ModelOptions::with_all_ops();
            options.enable_optimization(false).load(bytes).map_err(|error| error.to_string())
        };
        catch_panic(load).and_then(|loaded| loaded).map(Self).map_err(refusal)
    }

    /// Whether the graph has a value of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.find_node(name).is_some()
    }

    pub(crate) fn of_bytes(
        &self,
        input: &str,
        shape: [usize; 4],
        values: &[u8],
        outputs: &[&str],
    ) -> Result<Vec<Rows>, ExportError> {
        self.run(input, shape, rten::Value::from_shape(shape, values.to_vec()).ok(), outputs)
    }

    pub(crate) fn of_floats(
        &self,
        input: &str,
        shape: [usize; 4],
        values: &[f32],
        outputs: &[&str],
    ) -> Result<Vec<Rows>, ExportError> {
        self.run(input, shape, rten::Value::from_shape(shape, values.to_vec()).ok(), outputs)
    }

    /// The least and the greatest value of each output, of any shape.
    pub(crate) fn extents(
        &self,
        input: &str,
        shape: [usize; 4],
        values: &[f32],
        outputs: &[&str],
    ) -> Result<Vec<[f32; 2]>, ExportError> {
        let value = rten::Value::from_shape(shape, values.to_vec()).ok();
        let extent = |value: rten::Value| {
            let Some(values) = value.as_tensor_view::<f32>() else {
                return Err(refusal("a value is no float".to_owned()));
            };
            let widened = |[least, greatest]: [f32; 2], &value: &f32| [least.min(value), greatest.max(value)];
            Ok(values.iter().fold([f32::INFINITY, f32::NEG_INFINITY], widened))
        };
        self.values(input, value, outputs)?.into_iter().map(extent).collect()
    }

    /// The rows of each output.
    fn run(
        &self,
        input: &str,
        shape: [usize; 4],
        value: Option<rten::Value>,
        outputs: &[&str],
    ) -> Result<Vec<Rows>, ExportError> {
        let rows = |value: rten::Value| {
            let parts = value.into_shape_vec::<f32, 2>().map_err(|error| refusal(error.to_string()))?;
            match parts {
                ([count, width], values) if count == shape[0] => Ok(Rows { values, width }),
                (other, _) => Err(refusal(format!("it gives {other:?} values for {} pictures", shape[0]))),
            }
        };
        self.values(input, value, outputs)?.into_iter().map(rows).collect()
    }

    /// What the graph gives.
    fn values(
        &self,
        input: &str,
        value: Option<rten::Value>,
        outputs: &[&str],
    ) -> Result<Vec<rten::Value>, ExportError> {
        let value = value.expect("the values of whole pictures");
        let run = || {
            let id = |name: &str| self.0.node_id(name).map_err(|error| error.to_string());
            let outputs = outputs.iter().map(|name| id(name)).collect::<Result<Vec<_>, _>>()?;
            let inputs = vec![(id(input)?, value.into())];
            self.0.run(inputs, &outputs, None).map_err(|error| error.to_string())
        };
        catch_panic(run).and_then(|results| results).map_err(refusal)
    }
}

#[cfg(feature = "verify")]
fn refusal(reason: String) -> ExportError {
    ExportError::Engine { reason: bounded(reason.replace('\n', " ")) }
}

/// Without the engine there is no model.
#[cfg(not(feature = "verify"))]
pub(crate) enum Engine {}

#[cfg(not(feature = "verify"))]
impl Engine {
    pub(crate) fn load(_: Vec<u8>) -> Result<Self, ExportError> {
        Err(ExportError::NoEngine)
    }

    pub(crate) fn load_as_written(_: Vec<u8>) -> Result<Self, ExportError> {
        Err(ExportError::NoEngine)
    }

    pub(crate) fn extents(
        &self,
        _: &str,
        _: [usize; 4],
        _: &[f32],
        _: &[&str],
    ) -> Result<Vec<[f32; 2]>, ExportError> {
        match *self {}
    }

    pub(crate) fn has(&self, _: &str) -> bool {
        match *self {}
    }

    pub(crate) fn of_bytes(
        &self,
        _: &str,
        _: [usize; 4],
        _: &[u8],
        _: &[&str],
    ) -> Result<Vec<Rows>, ExportError> {
        match *self {}
    }

    pub(crate) fn of_floats(
        &self,
        _: &str,
        _: [usize; 4],
        _: &[f32],
        _: &[&str],
    ) -> Result<Vec<Rows>, ExportError> {
        match *self {}
    }
}
