//! What the fuzz targets call. The tests of the command line replay the same functions on every stored input.

pub mod parsers;
