//! Images a second of a data set, decoded to 64x64: in the order of the data, and in a shuffled order.
//!
//! `cargo run --release -p mentor-data --example reading_rate -- DATA [NUM_RANDOM]`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;
use std::time::Instant;

use mentor_data::{Limits, OpenOptions, Source};
use mentor_random::{Purpose, Stream};
use rayon::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = arguments.next().ok_or("name the data")?;
    let num_random: usize = arguments.next().as_deref().unwrap_or("2000").parse()?;
    // So little memory that nothing is kept.
    let limits = Limits { max_memory_bytes: 16 << 20, ..Limits::default() };
    let options = OpenOptions { limits, size: Some([64, 64]), channels: Some(3), ..OpenOptions::default() };
    let start = Instant::now();
    let source = Source::open_undivided(&data, &options)?;
    let opened = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let images = source.load_all_as(source.format())?;
    let in_order = images.len() as f64 / start.elapsed().as_secs_f64();
    let order = Stream::new(1, Purpose::Analysis, &[0]).permutation(images.len() as u32);
    let some = &order[..num_random.min(images.len())];
    let start = Instant::now();
    let read = |&index: &u32| {
        let mut pixels = vec![0; images.format().num_values()];
        images.read(index as usize, &mut pixels)
    };
    some.par_iter().map(read).collect::<Result<(), _>>()?;
    let shuffled = some.len() as f64 / start.elapsed().as_secs_f64();
    let count = images.len();
    println!("{count} images; opened in {opened:.2} s; in order {in_order:.0}/s, shuffled {shuffled:.0}/s");
    println!("{}", source.fingerprint());
    Ok(())
}
