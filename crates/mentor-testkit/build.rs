//! Nothing is built: the crate only has build dependencies because of their features, see `Cargo.toml`.

fn main() {}
