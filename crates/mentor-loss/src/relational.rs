//! Distillation of embeddings: the student learns its teacher's distances between images, or its directions.

use burn::tensor::Tensor;

use crate::explicit_gradient::{attach, on_host, with_gradient};
use crate::ranking::relative_distances;
use crate::shapes;

/// Relational distillation of distances: the student's distances between the images of a batch shall be the
/// teacher's, up to one factor.
///
/// # Definition
///
/// ```text
/// d_ij = ‖e_i − e_j‖,  μ = mean of d over the P = N(N − 1) ordered pairs i ≠ j,  ψ_ij = d_ij / μ
/// L    = (1/P) Σ_{i≠j} h( ψ_ij(student) − ψ_ij(teacher) )
/// h(x) = ½x² for |x| ≤ 1, |x| − ½ beyond                                    (Huber, δ = 1)
/// ```
///
/// Distances are Euclidean, and relative to their mean: embeddings of other lengths and of another dimension
/// agree if their proportions do. If all embeddings of a side are equal, μ and with it every ψ of that side
/// is 0. With one sample there is no pair, and L is 0.
///
/// # Shapes
///
/// `student` `[N, D]`, `teacher` `[N, E]`; result `[1]`: the loss belongs to the batch, not to a sample.
///
/// # Gradient
///
/// Through the distances and through μ. Zero at a distance of 0, which has no direction, and exactly 0 where
/// all relative distances agree bit for bit. None flows into the teacher.
///
/// # Numerics
///
/// Everything is computed on the host in `f64`. Distances are those of the differences themselves, not of a
/// Gram matrix, so that close embeddings keep their digits. Those of student and teacher are held: 16 N²
/// bytes. An embedding that is not finite gives NaN.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use mentor_loss::RelationalDistance;
///
/// let device = Device::flex();
/// // Distances 3, 4, 5 and 1, 1, 2 in proportion to their means 4 and 4/3: ¾, 1, 5/4 and ¾, ¾, 3/2.
/// let teacher = Tensor::<2>::from_floats([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], &device);
/// let student = Tensor::<2>::from_floats([[0.0], [1.0], [-1.0]], &device);
/// let loss = RelationalDistance::new().batch(student, teacher.clone());
/// // (½·0² + ½·¼² + ½·¼²) / 3
/// assert!((loss.into_scalar::<f32>() - 1.0 / 48.0).abs() < 1e-7);
/// let twice_as_far = teacher.clone().mul_scalar(2.0);
/// assert_eq!(RelationalDistance::new().batch(twice_as_far, teacher).into_scalar::<f32>(), 0.0);
/// ```
///
/// # Differs from
///
/// - The paper sums over the pairs; this is the mean, so that the weight does not depend on the batch.
/// - The authors' code takes the mean over all N² entries with the zeros of the diagonal, a factor (N − 1)/N,
///   and the mean distance over pairs that are not at distance 0. It adds an epsilon of 1e-12 below the root.
///
/// # Source
///
/// W. Park, D. Kim, Y. Lu, M. Cho, "Relational Knowledge Distillation", CVPR 2019, equations 4 to 6.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RelationalDistance;

impl RelationalDistance {
    /// The loss; it has no parameters.
    pub fn new() -> Self {
        Self
    }

    /// The loss of a batch, `[1]`.
    ///
    /// # Panics
    ///
    /// If student and teacher have different numbers of samples, or no dimension.
    #[track_caller]
    pub fn batch(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        let ([num_samples, dim], [num_teacher, teacher_dim]) = (student.dims(), teacher.dims());
        assert!(
            num_samples == num_teacher && dim > 0 && teacher_dim > 0,
            "RelationalDistance: student [N, D] and teacher [N, E] need the same N, D >= 1 and E >= 1, got \
             {:?} and {:?}",
            student.dims(),
            teacher.dims(),
        );
        if num_samples < 2 {
            return attach(student, 0.0, &vec![0.0; num_samples * dim]);
        }
        match relative_distances(&on_host(&student), &on_host(&teacher), num_samples) {
            Ok((loss, gradient)) => attach(student, loss, &gradient),
            // An embedding that is no number, which the sum passes on.
            Err(_) => student.sum().mul_scalar(f64::NAN),
        }
    }
}

/// Cosine distillation of embeddings: the student's embedding of an image shall point where the teacher's
/// does.
///
/// # Definition
///
/// ```text
/// L_i = 1 − cos(s_i, t_i) = ½ ‖ s_i/‖s_i‖ − t_i/‖t_i‖ ‖²        from 0 to 2
/// ```
///
/// An embedding of length 0 has no direction: its cosine is 0, so L is 1.
///
/// # Shapes
///
/// `student` and `teacher` `[N, D]`; result `[N]`.
///
/// # Gradient
///
/// (cos·ŝ − t̂)/‖s‖ with unit vectors ŝ and t̂: at a right angle to s. Zero where either length is 0, and
/// exactly 0 for equal embeddings. None flows into the teacher.
///
/// # Numerics
///
/// The second form of the definition: 1 minus a cosine near 1 would have no digits. Lengths are taken after
/// division by the largest coordinate, so that squares neither overflow nor vanish.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use mentor_loss::EmbeddingCosine;
///
/// let device = Device::flex();
/// let student = Tensor::<2>::from_floats([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0]], &device);
/// let teacher = Tensor::<2>::from_floats([[5.0, 0.0], [3.0, 4.0], [1.0, 0.0]], &device);
/// let losses = EmbeddingCosine::new().per_sample(student, teacher);
/// let losses = losses.into_data().try_to_vec::<f32>()?;
/// assert_eq!((losses[0], losses[2]), (0.0, 1.0));
/// assert!((losses[1] - 0.4).abs() < 1e-7); // 1 − 3/5
/// # Ok::<(), burn::tensor::DataError>(())
/// ```
///
/// # Differs from
///
/// PyTorch `CosineEmbeddingLoss` with targets 1 has the same value, with a cosine that clamps lengths at
/// 1e-8, and its gradient loses its digits near 0. Burn 0.22's gives NaN for equal embeddings.
///
/// # Source
///
/// The cosine loss on the teacher's embeddings as in V. Sanh et al., "DistilBERT", arXiv 1910.01108,
/// section 3.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EmbeddingCosine;

impl EmbeddingCosine {
    /// The loss; it has no parameters.
    pub fn new() -> Self {
        Self
    }

    /// The loss of each sample, `[N]`.
    ///
    /// # Panics
    ///
    /// If the shapes differ.
    #[track_caller]
    pub fn per_sample(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        shapes::check_same("EmbeddingCosine", ["student", "teacher"], &student, &teacher);
        let num_samples = student.dims()[0];
        let (unit, length) = unit(student.clone().detach());
        let (wanted, wanted_length) = self::unit(teacher.detach());
        let still = length.clone().equal_scalar(0.0);
        let undirected = still.clone().bool_or(wanted_length.equal_scalar(0.0)); // [N, 1]
        let apart = unit.clone().sub(wanted);
        let values = apart.clone().square().sum_dim(1).div_scalar(2.0); // 1 − cos
        // cos·ŝ − t̂ = (ŝ − t̂) − (1 − cos)·ŝ
        let gradient = apart.sub(unit.mul(values.clone()));
        let gradient = gradient.div(length.mask_fill(still, 1.0));
        let dims = gradient.dims();
        let gradient = gradient.mask_fill(undirected.clone().expand(dims), 0.0);
        let values = values.mask_fill(undirected, 1.0).reshape([num_samples]);
        with_gradient(values, student, gradient)
    }
}

/// Each row over its length, and the lengths `[N, 1]`; a row of zeros stays, with length 0.
fn unit(rows: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let largest = rows.clone().abs().max_dim(1);
    let scale = largest.clone().mask_fill(largest.clone().equal_scalar(0.0), 1.0);
    let scaled = rows.div(scale.clone());
    let length = scaled.clone().square().sum_dim(1).sqrt();
    let divisor = length.clone().mask_fill(largest.equal_scalar(0.0), 1.0);
    (scaled.div(divisor), length.mul(scale))
}
