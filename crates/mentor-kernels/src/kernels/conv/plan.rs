//! Where a convolution reads and writes, worked out once for each shape.
//!
//! A convolution is a matrix product whose right factor has a row for each (channel, tap) and a column for
//! each output position. That factor is never built. The image is copied with its padding into *planes*, in
//! which the value that a tap needs for a position lies at `offset(channel, tap) + offset(position)`;
//! neighbouring positions are neighbours in memory, so a vector of positions is one load.
//!
//! ```text
//! stride s: plane (a, b) holds the padded image's rows a, a+s, a+2s, … and columns b, b+s, …
//!           tap (i, j) with dilation d reads plane (id mod s, jd mod s) at (⌊id/s⌋, ⌊jd/s⌋)
//! ```
//!
//! The input gradient of a convolution with stride s is s² convolutions of stride 1 over dy, one for the
//! input positions (a, b) modulo s each, which use the taps i with a + padding − id divisible by s.

use std::sync::{Arc, Mutex};

use super::shape::ConvShape;

/// The padded image of a group of images, and the passes over it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) source: Source,
    /// Whether the planes are the image as it is, and no vector reads past its end: a kernel of 1 × 1.
    pub(crate) reads_images: bool,
    /// Images that are worked on together, at most.
    pub(crate) group: usize,
    /// Values of the padded images of a group, with what vectors read beyond the last.
    pub(crate) source_len: usize,
    pub(crate) passes: Vec<Pass>,
    /// Values of the largest pass's results for a group, if they are not written in place.
    pub(crate) results_len: usize,
    /// Values of one channel of the output, and of a row of it.
    pub(crate) output_plane: usize,
    pub(crate) output_width: usize,
    /// Where each position of the first pass is in the planes, for each image of a group.
    pub(crate) positions: Vec<u32>,
}

/// One padded image: `[channels, planes, rows, pitch]`.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) channels: usize,
    /// Rows and columns of the image without padding.
    pub(crate) image: [usize; 2],
    pub(crate) step: usize,
    /// The phase of each plane: its first row and column of the padded image.
    pub(crate) planes: Vec<[usize; 2]>,
    pub(crate) rows: usize,
    pub(crate) pitch: usize,
    /// Rows above and columns left of the image.
    pub(crate) padding: [usize; 2],
}

impl Source {
    pub(crate) fn plane_len(&self) -> usize {
        self.rows * self.pitch
    }

    pub(crate) fn image_len(&self) -> usize {
        self.channels * self.planes.len() * self.plane_len()
    }

    /// Whether the planes are the even and odd rows and columns, with room for vectors that reach past the
    /// end of a row.
    pub(crate) fn splits(&self) -> bool {
        let [rows, pitch] = self.room();
        let four = self.step == 2 && self.planes == [[0, 0], [0, 1], [1, 0], [1, 1]];
        four && self.padding[1] <= 2 && self.rows >= rows && self.pitch >= pitch
    }

    /// The rows and the pitch from which it splits.
    fn room(&self) -> [usize; 2] {
        let [rows, columns] = [0, 1].map(|axis| (self.padding[axis] + self.image[axis]).div_ceil(2));
        [rows + 1, columns.max(2)]
    }
}

/// A convolution of stride 1 over the planes.
#[derive(Debug)]
pub(crate) struct Pass {
    /// The kernel positions in use.
    pub(crate) taps: Vec<[usize; 2]>,
    /// One for each (channel, tap): where in a padded image position 0 reads.
    pub(crate) offsets: Vec<u32>,
    /// Positions: rows and columns.
    pub(crate) positions: [usize; 2],
    /// The output row and column of position (0, 0), and the distance between positions.
    pub(crate) first: [usize; 2],
    pub(crate) step: usize,
    /// For each vector of the group, image after image: where it reads, added to the offset.
    pub(crate) vector_reads: Vec<u32>,
    /// And where its results go, relative to a row (output channel) of the results.
    pub(crate) vector_writes: Vec<u32>,
    pub(crate) vectors: usize,
    /// Whether results are written to their place at once; otherwise they pass through
    /// `[images, channels, plane]`.
    pub(crate) in_place: bool,
    pub(crate) result_pitch: usize,
    pub(crate) result_plane: usize,
}

/// Padded images of a group stay below this many values, a third of a common second-level cache.
const GROUP_VALUES: usize = 40 << 10;

/// The taps of one axis that a pass uses: kernel position, phase of the plane, offset in the plane.
type AxisTaps = Vec<(usize, usize, usize)>;

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Forward(ConvShape, usize),
    InputGradient(ConvShape, usize),
}

static PLANS: Cache<Key, Plan> = Cache::new();

/// The plan of the forward pass, whose source the weight gradient reads too.
pub(crate) fn forward(shape: &ConvShape, lanes: usize) -> Arc<Plan> {
    let key = Key::Forward(ConvShape { batch: 0, ..*shape }, lanes);
    PLANS.get(key, || make_forward(shape, lanes))
}

/// The plan of the input gradient.
pub(crate) fn input_gradient(shape: &ConvShape, lanes: usize) -> Arc<Plan> {
    let key = Key::InputGradient(ConvShape { batch: 0, ..*shape }, lanes);
    PLANS.get(key, || make_input_gradient(shape, lanes))
}

/// What was worked out before, in the order of its making: a model has a few dozen shapes.
pub(crate) struct Cache<K, T>(Mutex<Vec<(K, Arc<T>)>>);

impl<K: PartialEq, T> Cache<K, T> {
    /// Entries, at most; the oldest goes first.
    const KEEP: usize = 256;

    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(crate) fn get(&self, key: K, make: impl FnOnce() -> T) -> Arc<T> {
        let lock = || self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, known)) = lock().iter().find(|(known, _)| *known == key) {
            return Arc::clone(known);
        }
        let made = Arc::new(make());
        let mut entries = lock();
        if entries.len() == Self::KEEP {
            entries.remove(0);
        }
        entries.push((key, Arc::clone(&made)));
        made
    }
}

fn make_forward(shape: &ConvShape, lanes: usize) -> Plan {
    let step = shape.stride;
    let axis = |kernel: usize| -> AxisTaps {
        (0..kernel).map(|tap| (tap, tap * shape.dilation % step, tap * shape.dilation / step)).collect()
    };
    let output = [shape.out_height(), shape.out_width()];
    let taps = [axis(shape.kernel[0]), axis(shape.kernel[1])];
    let source = Source {
        channels: shape.in_channels,
        image: [shape.height, shape.width],
        step,
        planes: Vec::new(),
        rows: 0,
        pitch: 0,
        padding: [shape.padding; 2],
    };
    make(source, vec![(taps, output, [0, 0])], 1, output, shape.out_channels, lanes)
}

fn make_input_gradient(shape: &ConvShape, lanes: usize) -> Plan {
    let (stride, input) = (shape.stride, [shape.height, shape.width]);
    // Input row y is reached from output row (y + padding − tap·dilation) / stride: for y = stride·i + a,
    // from i + shift.
    let shifts = |kernel: usize, a: usize| -> Vec<(usize, isize)> {
        let shift = |tap: usize| (a + shape.padding) as isize - (tap * shape.dilation) as isize;
        let taps = (0..kernel).filter(|&tap| shift(tap).rem_euclid(stride as isize) == 0);
        taps.map(|tap| (tap, shift(tap).div_euclid(stride as isize))).collect()
    };
    let before = [0, 1].map(|axis| {
        let all = (0..stride).flat_map(|a| shifts(shape.kernel[axis], a));
        all.map(|(_, shift)| (-shift).max(0)).max().unwrap_or(0)
    });
    let mut passes = Vec::new();
    for a in 0..stride.min(input[0]) {
        for b in 0..stride.min(input[1]) {
            let taps = [(0, a), (1, b)].map(|(axis, phase)| -> AxisTaps {
                let shifts = shifts(shape.kernel[axis], phase).into_iter();
                shifts.map(|(tap, shift)| (tap, 0, (shift + before[axis]) as usize)).collect()
            });
            passes.push((taps, [(input[0] - a).div_ceil(stride), (input[1] - b).div_ceil(stride)], [a, b]));
        }
    }
    let source = Source {
        channels: shape.out_channels,
        image: [shape.out_height(), shape.out_width()],
        step: 1,
        planes: Vec::new(),
        rows: 0,
        pitch: 0,
        padding: before.map(|rows| rows as usize),
    };
    make(source, passes, stride, input, shape.in_channels, lanes)
}

/// Completes the source and lays out the passes `(taps of both axes, positions, first output)`.
fn make(
    mut source: Source,
    passes: Vec<([AxisTaps; 2], [usize; 2], [usize; 2])>,
    step: usize,
    output: [usize; 2],
    out_channels: usize,
    lanes: usize,
) -> Plan {
    let reach = |axis: usize| {
        let reach = |(taps, positions, _): &([AxisTaps; 2], [usize; 2], _)| {
            positions[axis] + taps[axis].iter().map(|tap| tap.2).max().unwrap_or(0)
        };
        passes.iter().map(reach).max().unwrap_or(0).max(1)
    };
    source.rows = reach(0);
    // The zeros right of a row and those left of the next one are the same where nothing else shows through.
    let shared = source.image[1] + source.padding[1];
    let reach = reach(1);
    let columns = passes.iter().map(|(_, positions, _)| positions[1]).max().unwrap_or(0);
    let fits = reach > shared && reach - shared <= source.padding[1] && columns <= shared;
    let share = source.step == 1 && fits;
    source.pitch = if share { shared } else { reach };
    for (taps, ..) in &passes {
        for (_, row, _) in &taps[0] {
            for (_, column, _) in &taps[1] {
                if !source.planes.contains(&[*row, *column]) {
                    source.planes.push([*row, *column]);
                }
            }
        }
    }
    if source.planes.len() == 4 {
        let [rows, pitch] = source.room();
        (source.rows, source.pitch) = (source.rows.max(rows), source.pitch.max(pitch));
    }
    let image_len = source.image_len();
    let group = (GROUP_VALUES / image_len.max(1)).clamp(1, 8);
    let mut plan = Plan {
        positions: positions(&source, passes[0].1, group),
        reads_images: source.step == 1
            && source.padding == [0, 0]
            && [source.rows, source.pitch] == source.image
            && passes.iter().all(|(_, positions, _)| *positions == source.image)
            && source.plane_len() >= lanes,
        source,
        group,
        source_len: group * image_len,
        passes: Vec::new(),
        results_len: 0,
        output_plane: output[0] * output[1],
        output_width: output[1],
    };
    for (taps, positions, first) in passes {
        let pass = lay_out(&plan, &taps, positions, first, step, output, out_channels, lanes);
        let last = |values: &[u32]| values.iter().max().map_or(0, |&last| last as usize);
        plan.source_len = plan.source_len.max(last(&pass.offsets) + last(&pass.vector_reads) + lanes);
        if !pass.in_place {
            plan.results_len = plan.results_len.max(group * out_channels * pass.result_plane + lanes);
        }
        plan.passes.push(pass);
    }
    plan
}

/// Chooses how the positions of a pass are cut into vectors.
///
/// Either each row of positions on its own, the last vector of a row overlapping the one before; or all rows
/// as one line at the pitch of the source, whose vectors also compute the columns between two rows, which are
/// then dropped.
#[allow(clippy::too_many_arguments, reason = "called once; a struct would name the same things again")]
fn lay_out(
    plan: &Plan,
    taps: &[AxisTaps; 2],
    positions: [usize; 2],
    first: [usize; 2],
    step: usize,
    output: [usize; 2],
    out_channels: usize,
    lanes: usize,
) -> Pass {
    let source = &plan.source;
    let [rows, columns] = positions;
    let pitch = source.pitch;
    let mut kernel_positions = Vec::new();
    let mut tap_offsets = Vec::new();
    for &(i, plane_row, row) in &taps[0] {
        for &(j, plane_column, column) in &taps[1] {
            kernel_positions.push([i, j]);
            let plane =
                source.planes.iter().position(|plane| *plane == [plane_row, plane_column]).unwrap_or(0);
            tap_offsets.push(plane * source.plane_len() + row * pitch + column);
        }
    }
    let channel_len = source.planes.len() * source.plane_len();
    let offsets: Vec<u32> = (0..source.channels)
        .flat_map(|channel| tap_offsets.iter().map(move |tap| small(channel * channel_len + tap)))
        .collect();

    let line = (rows - 1) * pitch + columns;
    let dense = pitch == columns && line >= lanes;
    let by_line = line.div_ceil(lanes);
    let by_row = rows * columns.div_ceil(lanes);
    // In half cycles for each output channel: two multiply-adds a cycle against copying a vector.
    let line_cost = by_line * offsets.len() + if step == 1 { rows * columns / 3 } else { 0 };
    let rows_fit = columns >= lanes && (by_row * offsets.len() <= line_cost || by_row <= by_line);
    let in_place = step == 1 && (dense || rows_fit);
    let result_pitch = if dense || rows_fit { columns } else { pitch };
    let mut starts = Vec::new();
    if dense {
        // One line without gaps, in the source and in the results.
        starts.extend((0..by_line).map(|v| (v * lanes).min(line - lanes)).map(|at| (at, at)));
    } else if rows_fit {
        for row in 0..rows {
            let within = (0..columns.div_ceil(lanes)).map(|v| (v * lanes).min(columns - lanes));
            starts.extend(within.map(|column| (row * pitch + column, row * columns + column)));
        }
    } else {
        starts.extend((0..by_line).map(|v| (v * lanes, v * lanes)));
    }
    let result_plane = if in_place {
        output[0] * output[1]
    } else if dense || rows_fit {
        rows * columns
    } else {
        by_line * lanes
    };
    let vectors = starts.len();
    let images = (0..plan.group).flat_map(|image| starts.iter().map(move |&start| (image, start)));
    let (vector_reads, vector_writes) = images
        .map(|(image, (read, write))| {
            let write = image * out_channels * result_plane + write;
            (small(image * source.image_len() + read), small(write))
        })
        .unzip();
    Pass {
        taps: kernel_positions,
        offsets,
        positions,
        first,
        step,
        vector_reads,
        vector_writes,
        vectors,
        in_place,
        result_pitch,
        result_plane,
    }
}

fn positions(source: &Source, [rows, columns]: [usize; 2], group: usize) -> Vec<u32> {
    let (image_len, pitch) = (source.image_len(), source.pitch);
    let rows = (0..group).flat_map(move |image| (0..rows).map(move |row| image * image_len + row * pitch));
    rows.flat_map(|row| (0..columns).map(move |column| small(row + column))).collect()
}

/// An offset within a group of images.
fn small(offset: usize) -> u32 {
    u32::try_from(offset).expect("an image of less than 2^32 values")
}
