//! A model as a folder of files.

mod folder;
mod safetensors;
mod timm;
mod triton;
mod web;

pub use folder::Folder;
pub use safetensors::to_safetensors;
pub use triton::to_triton;
pub use web::to_web;
