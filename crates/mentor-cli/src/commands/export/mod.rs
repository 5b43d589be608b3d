//! `mentor export`: writes a trained model as a file, or a folder of files, that other programs run.

mod args;
mod folder;
mod int8;
mod onnx_file;
mod opened;
mod verify;

pub(crate) use self::args::Args;
use self::args::Format;
use crate::terminal::error::Failure;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match args.format {
        Format::Onnx => onnx_file::run(args),
        Format::Safetensors | Format::Triton | Format::Web => folder::run(args),
    }
}
