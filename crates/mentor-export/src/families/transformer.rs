//! `vit`: a vision transformer whose features are the mean over its tokens.

use crate::error::ExportError;
use crate::graph::{Attribute, Value};
use crate::layers::{Builder, Features};

/// Values of a head, in every network of the family.
const HEAD_WIDTH: usize = 64;

/// Tokens of a network.
#[derive(Clone, Copy)]
struct Tokens {
    /// Patches of an image.
    count: usize,
    /// Values of a token.
    width: usize,
}

pub(super) fn vit(builder: &mut Builder<'_>, images: &Value) -> Result<Features, ExportError> {
    let ([count, width], _) = builder.tensors.get("positions")?;
    let tokens = Tokens { count, width };
    let mut x = patches(builder, images, tokens)?;
    for block in 0.. {
        let path = format!("blocks.{block}");
        if !builder.tensors.contains(&format!("{path}.qkv.weight")) {
            break;
        }
        x = transformer_block(builder, &path, &x, tokens)?;
    }
    let x = builder.layer_norm("norm", &x, width)?;
    let axes = builder.graph.ints("mean.axes", &[1]);
    let features =
        builder.graph.node("ReduceMean", "features", &[&x, &axes], &[("keepdims", Attribute::Int(0))]);
    builder.head(features)
}

/// The patches as tokens `[N, T, D]`, with their positions: a convolution whose kernels lie side by side.
fn patches(builder: &mut Builder<'_>, images: &Value, tokens: Tokens) -> Result<Value, ExportError> {
    let path = "patches.weight";
    let ([inputs, width], values) = builder.tensors.get::<2>(path)?;
    let channels = builder.channels;
    let side = (inputs / channels).isqrt();
    if side * side * channels != inputs || width != tokens.width {
        let problem = format!("has {inputs} rows of {width} values, which are no patches");
        return Err(ExportError::Tensor { path: path.to_owned(), problem });
    }
    // [C·P·P, D] to [D, C, P, P].
    let transposed: Vec<f32> =
        (0..width).flat_map(|column| (0..inputs).map(move |row| values[row * width + column])).collect();
    let shape = [width, channels, side, side];
    let weight = builder.graph.floats(path, &shape, &transposed);
    let bias = builder.bias("patches", width)?;
    let sides = vec![side as i64; 2];
    let attributes = [("kernel_shape", Attribute::Ints(sides.clone())), ("strides", Attribute::Ints(sides))];
    let planes = builder.graph.node("Conv", "patches", &[images, &weight, &bias], &attributes);
    let rows = builder.graph.ints("patches.shape", &[0, width as i64, tokens.count as i64]);
    let rows = builder.graph.node("Reshape", "patches.rows", &[&planes, &rows], &[]);
    let order = Attribute::Ints(vec![0, 2, 1]);
    let x = builder.graph.node("Transpose", "patches.tokens", &[&rows], &[("perm", order)]);
    let (shape, values) = builder.tensors.get::<2>("positions")?;
    let positions = builder.graph.floats("positions", &shape, values);
    Ok(builder.graph.node("Add", "tokens", &[&x, &positions], &[]))
}

/// x + projection(attention(norm(x))), and then x + contract(gelu(expand(norm(x)))).
fn transformer_block(
    builder: &mut Builder<'_>,
    path: &str,
    input: &Value,
    tokens: Tokens,
) -> Result<Value, ExportError> {
    let at = |name: &str| format!("{path}.{name}");
    let x = builder.layer_norm(&at("norm1"), input, tokens.width)?;
    let qkv = builder.dense_tokens(&at("qkv"), &x)?;
    let attended = attention(builder, path, &qkv, tokens);
    let branch = builder.dense_tokens(&at("projection"), &attended)?;
    let x = builder.graph.node("Add", at("attended"), &[input, &branch], &[]);
    let hidden = builder.layer_norm(&at("norm2"), &x, tokens.width)?;
    let hidden = builder.dense_tokens(&at("expand"), &hidden)?;
    let hidden = builder.gelu(&hidden);
    let branch = builder.dense_tokens(&at("contract"), &hidden)?;
    Ok(builder.graph.node("Add", at("output"), &[&x, &branch], &[]))
}

/// softmax(Q Kᵀ / √d) V of each head, the heads side by side: `[N, T, 3 · D]` to `[N, T, D]`.
fn attention(builder: &mut Builder<'_>, path: &str, qkv: &Value, tokens: Tokens) -> Value {
    let graph = &mut builder.graph;
    let name = |part: &str| format!("{path}.attention.{part}");
    let Tokens { count, width } = tokens;
    let heads = width / HEAD_WIDTH;
    let sizes = graph.ints(name("sizes"), &[width as i64; 3]);
    let parts = ["queries", "keys", "values"];
    let flat = parts.map(|part| name(&format!("{part}.flat")));
    graph.nodes("Split", &name("split"), &[qkv, &sizes], &[("axis", Attribute::Int(-1))], flat.to_vec());
    let split = graph.ints(name("heads"), &[0, count as i64, heads as i64, HEAD_WIDTH as i64]);
    // [N, heads, T, d], and of the keys [N, heads, d, T].
    let orders = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]];
    let [queries, keys, values] = std::array::from_fn(|part| {
        let rows = graph.node("Reshape", format!("{}.rows", flat[part]), &[&flat[part], &split], &[]);
        let order = Attribute::Ints(orders[part].to_vec());
        graph.node("Transpose", name(parts[part]), &[&rows], &[("perm", order)])
    });
    let products = graph.node("MatMul", name("products"), &[&queries, &keys], &[]);
    let root = graph.float(name("root"), (HEAD_WIDTH as f32).sqrt());
    let scores = graph.node("Div", name("scores"), &[&products, &root], &[]);
    let weights = graph.node("Softmax", name("weights"), &[&scores], &[("axis", Attribute::Int(-1))]);
    let sums = graph.node("MatMul", name("sums"), &[&weights, &values], &[]);
    let order = Attribute::Ints(vec![0, 2, 1, 3]);
    let rows = graph.node("Transpose", name("side-by-side"), &[&sums], &[("perm", order)]);
    let shape = graph.ints(name("shape"), &[0, count as i64, width as i64]);
    graph.node("Reshape", name("output"), &[&rows, &shape], &[])
}
