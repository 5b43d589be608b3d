//! One solver a file: weights to begin with in, a record of primal and dual points out.

mod bias;
mod hessian;
mod newton_cg;
mod preconditioner;
mod proximal;
mod proximal_point;

pub(crate) use newton_cg::newton_cg;
pub(crate) use proximal::proximal_newton;
pub(crate) use proximal_point::proximal_point;
