//! A server: one model, asked by many connections at once. Threads of the standard library, and no framework.
//!
//! `cargo run --release --example server`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use mentor::burn::tensor::Device;
use mentor::data::{Limits, OpenOptions, Source, Split, decode};
use mentor::run::Config;
use mentor::train::{Execution, Plan, TrainedModel, train};

/// Answers every image of a connection, its length as four bytes and then the file, with a line: class and
/// probability.
fn answer(model: &TrainedModel, mut stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut file = Vec::new();
        let limit = u64::from(u32::from_le_bytes(length)).min(1 << 20);
        (&mut stream).take(limit).read_to_end(&mut file)?;
        // Any format that mentor reads, brought to the model's size and channels.
        let answer = match decode(&file, model.format(), &Limits::default()) {
            Ok(image) => match model.predict(&[image])?.best(0) {
                Some((class, probability)) => format!("{class} {probability:.4}"),
                None => "nothing".to_owned(),
            },
            Err(error) => format!("error: {error}"),
        };
        writeln!(stream, "{answer}")?;
    }
    Ok(())
}

/// Asks the server what a file shows.
fn ask(address: SocketAddr, file: &[u8]) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&(file.len() as u32).to_le_bytes())?;
    stream.write_all(file)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// What the example is about.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (run, device) = (folder.path().join("run"), Device::flex());
    let config = Config::from_toml("data.source = 'digits'\ntraining.epochs = 3", "example", &[])?;
    train(&Plan::try_from(config)?, &run, &Execution::new(&device))?;

    // `TrainedModel` is Send and Sync: a pointer to it goes to every thread.
    let model = Arc::new(TrainedModel::load(&run, &device)?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let model = Arc::clone(&model);
            thread::spawn(move || answer(&model, stream));
        }
    });

    let test = Source::open("digits", &OpenOptions::default())?.load(Split::Test)?;
    let mut pixels = [0; 64];
    test.read(0, &mut pixels)?;
    let file = [b"P5 8 8 255 ".as_slice(), &pixels].concat();
    let answers: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| ask(address, &file))).collect();
        clients.into_iter().filter_map(|client| client.join().ok()?.ok()).collect()
    });
    assert!(answers.len() == 8 && answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    println!("{} is a {}: {}", test.id(0), test.classes()[test.targets()[0] as usize], answers[0]);
    let refused = ask(address, b"no image").unwrap_or_default();
    assert!(refused.starts_with("error:"), "{refused}");
    Ok(())
}
