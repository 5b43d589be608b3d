//! From the bytes of pictures to what the network sees, inside the graph.
//!
//! Resizing is two products with matrices that the graph makes of the picture's size: those of a bilinear
//! filter which widens where the picture shrinks, as `mentor-data` resizes, rounded to bytes after each. The
//! operator `Resize` with `antialias` is not used: rten lacks it, and it does not round between its passes.

use mentor_data::{Preprocessing, Resize};
use rten_onnx::onnx::DataType;

use crate::graph::{Attribute, Axis, Graph, Value};

/// Brightness by ITU-R BT.601 as `mentor-data` computes it, in parts of 2¹⁶: floats hold all sums exactly.
const LUMA: [f32; 3] = [19_595.0, 38_470.0, 7_471.0];
/// `FLOAT` of ONNX's types.
const FLOAT: i64 = 1;

/// The input `image`, bytes `[N, H, W, 3]`, as normalised floats `[N, C, H', W']` of the format.
pub(crate) fn image(graph: &mut Graph, preprocessing: &Preprocessing) -> Value {
    let format = &preprocessing.format;
    let axes = [Axis::Any("batch"), Axis::Any("height"), Axis::Any("width"), Axis::Fixed(3)];
    let image = graph.input("image", DataType::UINT8, &axes);
    let mut pixels = graph.node("Cast", "pixels", &[&image], &[("to", Attribute::Int(FLOAT))]);
    if format.channels == 1 {
        pixels = gray(graph, &pixels);
    }
    let sides = Sides::of(graph, &image);
    let [rows, columns] = axes_of(graph, &sides, preprocessing);
    let channels = format.channels as i64;
    // A row of pixels is one row of a matrix: [N, H, W·C].
    let lines = graph.ints("lines.shape", &[0, 0, -1]);
    let lines = graph.node("Reshape", "lines", &[&pixels, &lines], &[]);
    let weights = rows.weights(graph, "rows");
    let scaled = graph.node("MatMul", "rows.product", &[&weights, &lines], &[]);
    let scaled = to_bytes(graph, &scaled);
    let shape = graph.ints("columns.shape", &[0, format.height as i64, -1, channels]);
    let scaled = graph.node("Reshape", "columns.lines", &[&scaled, &shape], &[]);
    let order = Attribute::Ints(vec![0, 3, 1, 2]);
    let planes = graph.node("Transpose", "planes", &[&scaled], &[("perm", order)]);
    let weights = columns.weights(graph, "columns");
    let order = Attribute::Ints(vec![1, 0]);
    let weights = graph.node("Transpose", "columns.transposed", &[&weights], &[("perm", order)]);
    let resized = graph.node("MatMul", "columns.product", &[&planes, &weights], &[]);
    let resized = to_bytes(graph, &resized);
    normalise(graph, &resized, preprocessing)
}

/// Red, green and blue to brightness: `[N, H, W, 3]` to `[N, H, W, 1]`.
fn gray(graph: &mut Graph, pixels: &Value) -> Value {
    let luma = graph.floats("luma", &[3, 1], &LUMA);
    let half = graph.float("luma.half", 32_768.0);
    let whole = graph.float("luma.whole", 65_536.0);
    let sum = graph.node("MatMul", "gray.sum", &[pixels, &luma], &[]);
    let sum = graph.node("Add", "gray.rounded", &[&sum, &half], &[]);
    let parts = graph.node("Div", "gray.parts", &[&sum, &whole], &[]);
    graph.node("Floor", "gray", &[&parts], &[])
}

/// Rounds to whole numbers, halves up.
fn to_bytes(graph: &mut Graph, values: &Value) -> Value {
    let half = graph.float(format!("{values}.half"), 0.5);
    let sum = graph.node("Add", format!("{values}.plus"), &[values, &half], &[]);
    graph.node("Floor", format!("{values}.bytes"), &[&sum], &[])
}

/// x · 1/(255 σ) − μ/σ of each channel, as training computes it.
fn normalise(graph: &mut Graph, pixels: &Value, preprocessing: &Preprocessing) -> Value {
    let Preprocessing { mean, std, .. } = preprocessing;
    let scale: Vec<f32> = std.iter().map(|&std| 1.0 / (255.0 * std)).collect();
    let shift: Vec<f32> = mean.iter().zip(std).map(|(&mean, &std)| -mean / std).collect();
    let shape = [1, scale.len(), 1, 1];
    let (scale, shift) = (graph.floats("scale", &shape, &scale), graph.floats("shift", &shape, &shift));
    let scaled = graph.node("Mul", "scaled", &[pixels, &scale], &[]);
    graph.node("Add", "normalised", &[&scaled, &shift], &[])
}

/// Height and width of the pictures, as integers and as floats.
struct Sides {
    integers: [Value; 2],
    floats: [Value; 2],
}

impl Sides {
    fn of(graph: &mut Graph, image: &Value) -> Self {
        let shape = graph.node("Shape", "shape", &[image], &[]);
        let integers = [(1, "height"), (2, "width")].map(|(axis, name)| {
            let axis = graph.int(format!("{name}.axis"), axis);
            graph.node("Gather", format!("{name}.length"), &[&shape, &axis], &[("axis", Attribute::Int(0))])
        });
        let floats = integers.clone().map(|side| {
            graph.node("Cast", format!("{side}.float"), &[&side], &[("to", Attribute::Int(FLOAT))])
        });
        Self { integers, floats }
    }
}

/// How the pixels of one axis of the result lie over those of the picture: pixel r has its centre at
/// `start + (r − margin + 1/2) · step` there, and is black where r − margin is not in `0..inner`.
struct Scaling {
    /// Pixels of the picture: an integer.
    length: Value,
    /// Pixels of the result.
    outputs: usize,
    /// Pixels of the picture for one of the result.
    step: Value,
    start: Option<Value>,
    padding: Option<Padding>,
}

/// Where the picture lies in a result that it does not fill.
struct Padding {
    margin: Value,
    inner: Value,
}

/// The scaling of rows and of columns.
fn axes_of(graph: &mut Graph, sides: &Sides, preprocessing: &Preprocessing) -> [Scaling; 2] {
    let format = &preprocessing.format;
    let outputs = [format.height, format.width];
    let targets = ["rows", "columns"].map(|name| format!("{name}.target"));
    let targets: [Value; 2] =
        std::array::from_fn(|axis| graph.float(targets[axis].clone(), outputs[axis] as f32));
    // Pixels of the picture for one of the result, where each axis is scaled alone.
    let steps: [Value; 2] = std::array::from_fn(|axis| {
        let inputs = [&sides.floats[axis], &targets[axis]];
        graph.node("Div", format!("{}.step", ["rows", "columns"][axis]), &inputs, &[])
    });
    std::array::from_fn(|axis| {
        let name = |part: &str| format!("{}.{part}", ["rows", "columns"][axis]);
        let (side, target) = (&sides.floats[axis], &targets[axis]);
        let mut scaling = Scaling {
            length: sides.integers[axis].clone(),
            outputs: outputs[axis],
            step: steps[axis].clone(),
            start: None,
            padding: None,
        };
        match format.resize {
            Resize::Stretch => {}
            Resize::CenterShare { .. } => unreachable!("to_onnx refuses what pretrained networks want"),
            Resize::CropCenter => {
                let two = graph.float(name("two"), 2.0);
                let step = graph.node("Min", name("cover"), &[&steps[0], &steps[1]], &[]);
                let used = graph.node("Mul", name("used"), &[&step, target], &[]);
                let rest = graph.node("Sub", name("rest"), &[side, &used], &[]);
                scaling.start = Some(graph.node("Div", name("start"), &[&rest, &two], &[]));
                scaling.step = step;
            }
            Resize::FitPad => {
                let [own, other] = [&sides.integers[axis], &sides.integers[1 - axis]];
                let inner = fitted(graph, axis, [own, other], [outputs[axis], outputs[1 - axis]]);
                let whole = graph.int(name("whole"), outputs[axis] as i64);
                let two = graph.int(name("two"), 2);
                let rest = graph.node("Sub", name("rest"), &[&whole, &inner], &[]);
                let margin = graph.node("Div", name("margin"), &[&rest, &two], &[]);
                let [margin, inner] = [margin, inner].map(|length| {
                    let to = [("to", Attribute::Int(FLOAT))];
                    graph.node("Cast", format!("{length}.float"), &[&length], &to)
                });
                scaling.step = graph.node("Div", name("inner.step"), &[side, &inner], &[]);
                scaling.padding = Some(Padding { margin, inner });
            }
        }
        scaling
    })
}

/// Pixels of one axis that a picture takes which is scaled until all of it fits: what its own length allows
/// and what the other axis allows, rounded, at least 1. Whole numbers, so that no tie is missed.
fn fitted(graph: &mut Graph, axis: usize, sides: [&Value; 2], outputs: [usize; 2]) -> Value {
    let name = |part: &str| format!("{}.fit.{part}", ["rows", "columns"][axis]);
    let [own, other] = sides;
    let [limit, other_output] = outputs.map(|length| length as i64);
    let twice = graph.int(name("twice"), 2 * other_output);
    let two = graph.int(name("two"), 2);
    let scaled = graph.node("Mul", name("scaled"), &[own, &twice], &[]);
    let rounded = graph.node("Add", name("rounded"), &[&scaled, other], &[]);
    let divisor = graph.node("Mul", name("divisor"), &[other, &two], &[]);
    let length = graph.node("Div", name("length"), &[&rounded, &divisor], &[]);
    let [one, limit] = [("one", 1), ("limit", limit)].map(|(part, value)| graph.int(name(part), value));
    let length = graph.node("Min", name("limited"), &[&length, &limit], &[]);
    graph.node("Max", name("inner"), &[&length, &one], &[])
}

impl Scaling {
    /// The share of each pixel of the picture in each of the result, `[outputs, length]`: a triangle as wide
    /// as two pixels of the coarser of both, whose values have the sum 1.
    fn weights(&self, graph: &mut Graph, axis: &str) -> Value {
        let name = |part: &str| format!("{axis}.{part}");
        let places: Vec<f32> = (0..self.outputs).map(|place| place as f32 + 0.5).collect();
        let mut places = graph.floats(name("places"), &[self.outputs, 1], &places);
        if let Some(Padding { margin, .. }) = &self.padding {
            places = graph.node("Sub", name("inside"), &[&places, margin], &[]);
        }
        let mut centres = graph.node("Mul", name("centres"), &[&places, &self.step], &[]);
        if let Some(start) = &self.start {
            centres = graph.node("Add", name("moved"), &[&centres, start], &[]);
        }
        let [zero, one] = [("from", 0), ("by", 1)].map(|(part, value)| graph.int(name(part), value));
        let [half, nothing, unit] = [("half", 0.5), ("nothing", 0.0), ("unit", 1.0)]
            .map(|(part, value)| graph.float(name(part), value));
        let pixels = graph.node("Range", name("numbers"), &[&zero, &self.length, &one], &[]);
        let pixels = graph.node("Cast", name("pixels"), &[&pixels], &[("to", Attribute::Int(FLOAT))]);
        let pixels = graph.node("Add", name("middles"), &[&pixels, &half], &[]);
        let apart = graph.node("Sub", name("apart"), &[&pixels, &centres], &[]);
        let apart = graph.node("Abs", name("distance"), &[&apart], &[]);
        let radius = graph.node("Max", name("radius"), &[&self.step, &unit], &[]);
        let share = graph.node("Div", name("relative"), &[&apart, &radius], &[]);
        let share = graph.node("Sub", name("triangle"), &[&unit, &share], &[]);
        let share = graph.node("Max", name("shares"), &[&share, &nothing], &[]);
        let axes = graph.ints(name("sum.axis"), &[1]);
        let sum = graph.node("ReduceSum", name("sum"), &[&share, &axes], &[("keepdims", Attribute::Int(1))]);
        let Some(Padding { inner, .. }) = &self.padding else {
            return graph.node("Div", name("weights"), &[&share, &sum], &[]);
        };
        // Outside of the picture the triangle may reach no pixel, and 0/0 would be no number.
        let below = graph.node("Less", name("below"), &[&places, &nothing], &[]);
        let above = graph.node("Greater", name("above"), &[&places, inner], &[]);
        let outside = graph.node("Or", name("outside"), &[&below, &above], &[]);
        let sum = graph.node("Max", name("sum.positive"), &[&sum, &half], &[]);
        let weights = graph.node("Div", name("weights"), &[&share, &sum], &[]);
        graph.node("Where", name("padded"), &[&outside, &nothing, &weights], &[])
    }
}
