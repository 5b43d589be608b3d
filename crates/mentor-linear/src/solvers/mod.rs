//! One solver a file: weights to begin with in, a record of primal and dual points out.

mod bias;
mod dual_coordinate;
mod hessian;
mod newton_cg;
mod proximal;

pub(crate) use dual_coordinate::dual_coordinate;
pub(crate) use newton_cg::newton_cg;
pub(crate) use proximal::proximal_newton;
