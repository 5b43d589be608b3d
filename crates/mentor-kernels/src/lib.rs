//! Faster operations on the CPU, behind Burn's backend extension. The only crate of mentor with `unsafe`.
