//! Layers of the families as operators. Each takes the network's tensors and the path of its own.

use crate::error::ExportError;
use crate::graph::{Attribute, Graph, Value};
use crate::model::Tensors;

/// ε of batch normalisation, as training has it.
const BATCH_NORM_EPSILON: f64 = 1e-5;
/// ε of layer normalisation, as training has it.
const LAYER_NORM_EPSILON: f32 = 1e-6;

/// A network while its graph is built.
pub(crate) struct Builder<'a> {
    pub(crate) graph: Graph,
    pub(crate) tensors: &'a Tensors,
    /// Channels of the images.
    pub(crate) channels: usize,
}

/// What a network gives: the features that the head sees, and what the head makes of them.
pub(crate) struct Features {
    /// `[N, D]`.
    pub(crate) features: Value,
    /// `D`.
    pub(crate) width: usize,
    /// `[N, C]`.
    pub(crate) head: Value,
    /// `C`.
    pub(crate) outputs: usize,
}

/// Scale and shift of each channel.
struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl<'a> Builder<'a> {
    /// `[N, …]` to `[N, D]`.
    pub(crate) fn flatten(&mut self, name: &str, input: &Value) -> Value {
        self.graph.node("Flatten", name, &[input], &[("axis", Attribute::Int(1))])
    }

    pub(crate) fn relu(&mut self, input: &Value) -> Value {
        self.graph.node("Relu", format!("{input}.relu"), &[input], &[])
    }

    /// x W + b of rows `[N, D_in]`, and the number of values that it gives for each.
    pub(crate) fn dense(&mut self, path: &str, input: &Value) -> Result<(Value, usize), ExportError> {
        let (weight, bias, outputs) = self.weight_and_bias(path)?;
        Ok((self.graph.node("Gemm", path, &[input, &weight, &bias], &[]), outputs))
    }

    /// x W + b of tokens `[N, T, D_in]`.
    pub(crate) fn dense_tokens(&mut self, path: &str, input: &Value) -> Result<Value, ExportError> {
        let (weight, bias, _) = self.weight_and_bias(path)?;
        let product = self.graph.node("MatMul", format!("{path}.product"), &[input, &weight], &[]);
        Ok(self.graph.node("Add", path, &[&product, &bias], &[]))
    }

    /// The head over the features.
    pub(crate) fn head(&mut self, features: Value) -> Result<Features, ExportError> {
        let ([width, _], _) = self.tensors.get("head.weight")?;
        let (head, outputs) = self.dense("head", &features)?;
        Ok(Features { features, width, head, outputs })
    }

    fn weight_and_bias(&mut self, path: &str) -> Result<(Value, Value, usize), ExportError> {
        let name = format!("{path}.weight");
        let (shape, values) = self.tensors.get::<2>(&name)?;
        let weight = self.graph.floats(name, &shape, values);
        let bias = self.bias(path, shape[1])?;
        Ok((weight, bias, shape[1]))
    }

    pub(crate) fn bias(&mut self, path: &str, length: usize) -> Result<Value, ExportError> {
        let name = format!("{path}.bias");
        let values = self.vector(&name, length)?;
        Ok(self.graph.floats(name, &[length], values))
    }

    /// A tensor of one axis, of this length.
    fn vector(&self, path: &str, length: usize) -> Result<&'a [f32], ExportError> {
        let ([found], values) = self.tensors.get(path)?;
        if found == length {
            return Ok(values);
        }
        let problem = format!("has {found} values, and {length} are needed");
        Err(ExportError::Tensor { path: path.to_owned(), problem })
    }

    /// A convolution with its own bias: odd kernel, same padding.
    pub(crate) fn conv(&mut self, path: &str, input: &Value) -> Result<Value, ExportError> {
        let name = format!("{path}.weight");
        let (shape, values) = self.tensors.get::<4>(&name)?;
        let weight = self.graph.floats(name, &shape, values);
        let bias = self.bias(path, shape[0])?;
        Ok(self.conv_of(path, [input, &weight, &bias], shape, 1))
    }

    /// A convolution without a bias and the batch normalisation behind it, folded into one:
    /// w′ = w γ/√(σ² + ε) and b′ = β − μ γ/√(σ² + ε).
    pub(crate) fn conv_norm(
        &mut self,
        conv: &str,
        norm: &str,
        input: &Value,
        stride: usize,
    ) -> Result<Value, ExportError> {
        let name = format!("{conv}.weight");
        let (shape, values) = self.tensors.get::<4>(&name)?;
        let Affine { scale, shift } = self.batch_norm_of(norm, shape[0])?;
        let per_output = shape[1] * shape[2] * shape[3];
        let scaled = values.chunks_exact(per_output.max(1)).zip(&scale);
        let folded: Vec<f32> = scaled
            .flat_map(|(values, scale)| values.iter().map(move |&value| (f64::from(value) * scale) as f32))
            .collect();
        let shift: Vec<f32> = shift.iter().map(|&value| value as f32).collect();
        if let Some(value) = folded.iter().chain(&shift).find(|value| !value.is_finite()) {
            let problem = format!("holds {value} with its normalisation");
            return Err(ExportError::Tensor { path: name, problem });
        }
        let weight = self.graph.floats(name, &shape, &folded);
        let bias = self.graph.floats(format!("{conv}.bias"), &[shape[0]], &shift);
        Ok(self.conv_of(conv, [input, &weight, &bias], shape, stride))
    }

    /// A convolution without a bias, with nothing folded into it.
    pub(crate) fn conv_plain(
        &mut self,
        path: &str,
        input: &Value,
        stride: usize,
    ) -> Result<Value, ExportError> {
        let name = format!("{path}.weight");
        let (shape, values) = self.tensors.get::<4>(&name)?;
        let weight = self.graph.floats(name, &shape, values);
        let bias = self.graph.floats(format!("{path}.bias"), &[shape[0]], &vec![0.0; shape[0]]);
        Ok(self.conv_of(path, [input, &weight, &bias], shape, stride))
    }

    fn conv_of(&mut self, path: &str, inputs: [&Value; 3], shape: [usize; 4], stride: usize) -> Value {
        let [_, _, height, width] = shape.map(|side| side as i64);
        let stride = stride as i64;
        let padding = vec![height / 2, width / 2, height / 2, width / 2];
        let attributes = [
            ("kernel_shape", Attribute::Ints(vec![height, width])),
            ("strides", Attribute::Ints(vec![stride, stride])),
            ("pads", Attribute::Ints(padding)),
        ];
        self.graph.node("Conv", path, &inputs, &attributes)
    }

    /// A batch normalisation that no convolution can take in.
    pub(crate) fn batch_norm(&mut self, path: &str, input: &Value) -> Result<Value, ExportError> {
        let ([channels], _) = self.tensors.get(&format!("{path}.gamma"))?;
        let Affine { scale, shift } = self.batch_norm_of(path, channels)?;
        let [scale, shift] = [("scale", scale), ("shift", shift)].map(|(name, values)| {
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            self.graph.floats(format!("{path}.{name}"), &[1, channels, 1, 1], &values)
        });
        let scaled = self.graph.node("Mul", format!("{path}.scaled"), &[input, &scale], &[]);
        Ok(self.graph.node("Add", path, &[&scaled, &shift], &[]))
    }

    fn batch_norm_of(&self, path: &str, channels: usize) -> Result<Affine, ExportError> {
        let vector = |name: &str| self.vector(&format!("{path}.{name}"), channels);
        let (gamma, beta) = (vector("gamma")?, vector("beta")?);
        let (mean, variance) = (vector("running_mean")?, vector("running_var")?);
        let scale: Vec<f64> = gamma
            .iter()
            .zip(variance)
            .map(|(&gamma, &variance)| f64::from(gamma) / (f64::from(variance) + BATCH_NORM_EPSILON).sqrt())
            .collect();
        let shift = beta.iter().zip(mean).zip(&scale);
        let shift = shift.map(|((&beta, &mean), scale)| f64::from(beta) - f64::from(mean) * scale).collect();
        Ok(Affine { scale, shift })
    }

    /// Maximum over windows of `side`, `stride` apart.
    pub(crate) fn max_pool(&mut self, input: &Value, side: i64, stride: i64, padding: i64) -> Value {
        let attributes = [
            ("kernel_shape", Attribute::Ints(vec![side; 2])),
            ("strides", Attribute::Ints(vec![stride; 2])),
            ("pads", Attribute::Ints(vec![padding; 4])),
        ];
        self.graph.node("MaxPool", format!("{input}.pool"), &[input], &attributes)
    }

    /// Mean over the image plane: `[N, C, H, W]` to `[N, C]`.
    pub(crate) fn global_average(&mut self, input: &Value) -> Value {
        let mean = self.graph.node("GlobalAveragePool", "mean", &[input], &[]);
        self.flatten("features", &mean)
    }

    /// Normalises each token alone.
    pub(crate) fn layer_norm(
        &mut self,
        path: &str,
        input: &Value,
        width: usize,
    ) -> Result<Value, ExportError> {
        let mut parameter = |name: &str| {
            let name = format!("{path}.{name}");
            let values = self.vector(&name, width)?;
            Ok(self.graph.floats(name, &[width], values))
        };
        let (gamma, beta) = (parameter("gamma")?, parameter("beta")?);
        let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(LAYER_NORM_EPSILON))];
        Ok(self.graph.node("LayerNormalization", path, &[input, &gamma, &beta], &attributes))
    }

    /// x Φ(x), the exact GELU: x (1 + erf(x/√2)) / 2.
    pub(crate) fn gelu(&mut self, input: &Value) -> Value {
        let name = |part: &str| format!("{input}.gelu.{part}");
        let root = self.graph.float(name("root"), std::f32::consts::SQRT_2);
        let [one, half] =
            [("one", 1.0), ("half", 0.5)].map(|(part, value)| self.graph.float(name(part), value));
        let scaled = self.graph.node("Div", name("scaled"), &[input, &root], &[]);
        let erf = self.graph.node("Erf", name("erf"), &[&scaled], &[]);
        let sum = self.graph.node("Add", name("sum"), &[&erf, &one], &[]);
        let product = self.graph.node("Mul", name("product"), &[input, &sum], &[]);
        self.graph.node("Mul", format!("{input}.gelu"), &[&product, &half], &[])
    }
}
