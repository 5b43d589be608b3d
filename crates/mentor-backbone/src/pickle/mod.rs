//! Files of `torch.save`, read without running anything.
//!
//! A pickle is a program for a stack machine that may name any function and call it. [`machine`] knows the
//! instructions that `torch.save` writes for weights, and [`globals`] the few names that those need; a file
//! with anything else is refused by that name. Calls build values of this module and nothing else. All sizes
//! are checked before memory is taken.

mod calls;
mod globals;
mod legacy;
mod machine;
mod opcodes;
mod state_dict;
mod storage;
mod value;
mod zip_file;

pub(crate) use legacy::{is_legacy, read as read_legacy};
pub(crate) use zip_file::read as read_zip;
