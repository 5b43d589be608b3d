//! The Python module `mentor._mentor`, on which the package `python/mentor` stands.
//!
//! It brings arrays in and out, lets go of the interpreter's lock while it computes, and turns errors into
//! exceptions with the same words. What it computes is in the other crates.

mod arrays;
mod backbones;
mod errors;
mod linear;
mod losses;
mod retrieval;
mod runs;
mod tensors;
mod work;

use std::ffi::OsString;

use pyo3::prelude::*;

/// Training allocates large buffers again and again: see the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the command line with these arguments, the program's name first, and gives its exit status.
#[pyfunction]
fn command_line(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
    work::compute(py, || Ok(mentor_cli::status(arguments)))
}

#[pymodule]
fn _mentor(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(command_line, module)?)?;
    module.add_function(wrap_pyfunction!(losses::all_triplets, module)?)?;
    module.add_function(wrap_pyfunction!(losses::triplets_of_pairs, module)?)?;
    module.add_function(wrap_pyfunction!(losses::given_triplets, module)?)?;
    module.add_function(wrap_pyfunction!(losses::contrastive, module)?)?;
    module.add_function(wrap_pyfunction!(losses::weston_watkins, module)?)?;
    module.add_function(wrap_pyfunction!(losses::distillation, module)?)?;
    module.add_function(wrap_pyfunction!(linear::solve_linear, module)?)?;
    module.add_function(wrap_pyfunction!(retrieval::retrieval, module)?)?;
    module.add_function(wrap_pyfunction!(retrieval::nearest_rows, module)?)?;
    module.add_function(wrap_pyfunction!(runs::keyword_names, module)?)?;
    module.add_function(wrap_pyfunction!(runs::train, module)?)?;
    module.add_function(wrap_pyfunction!(runs::summary, module)?)?;
    module.add_function(wrap_pyfunction!(runs::report, module)?)?;
    module.add_function(wrap_pyfunction!(runs::report_head, module)?)?;
    module.add_function(wrap_pyfunction!(tensors::to_safetensors, module)?)?;
    module.add_function(wrap_pyfunction!(tensors::from_safetensors, module)?)?;
    module.add_class::<backbones::Backbone>()?;
    module.add_class::<runs::Model>()
}
