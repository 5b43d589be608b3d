//! Event files of TensorBoard.
//!
//! A file is a list of records: length (u64), masked CRC-32C of the length, the bytes of an `Event` in
//! protobuf, masked CRC-32C of them; all little-endian. Source: `tensorflow/core/lib/io/record_writer.cc` and
//! `tensorflow/core/util/event.proto`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use mentor_run::{RunDir, Started};

use super::sink::{End, Scalar, Sink, slug};

/// Fields of `Event`, `Summary`, `Summary.Value` and `SessionLog`, and the state that one begins with.
const WALL_TIME: u64 = 1;
const STEP: u64 = 2;
const FILE_VERSION: u64 = 3;
const SUMMARY: u64 = 5;
const SESSION_LOG: u64 = 7;
const VALUE: u64 = 1;
const TAG: u64 = 1;
const SIMPLE_VALUE: u64 = 2;
const STATUS: u64 = 1;
const START: u64 = 1;

/// The event files of a run, in its folder `tensorboard`: one for each time that a stage begins or goes on.
pub(super) struct TensorBoard {
    out: PathBuf,
    file: Option<File>,
    num_files: usize,
}

impl TensorBoard {
    pub(super) fn new(out: &Path) -> Self {
        Self { out: out.to_owned(), file: None, num_files: 0 }
    }

    fn write(&mut self, event: &[u8]) -> anyhow::Result<()> {
        match &mut self.file {
            // A record in one call: whoever reads while the run goes on sees it whole, or its beginning.
            Some(file) => Ok(file.write_all(&record(event))?),
            None => Ok(()),
        }
    }
}

impl Sink for TensorBoard {
    fn started(&mut self, stage: Option<&str>, started: &Started) -> anyhow::Result<()> {
        let folder = Path::new("tensorboard").join(stage.map_or(PathBuf::new(), slug));
        let now = seconds();
        let (secs, process) = (now as u64, std::process::id());
        let name = format!("events.out.tfevents.{secs:010}.mentor.{process}.{}", self.num_files);
        self.num_files += 1;
        self.file = Some(RunDir::open(&self.out)?.create_log(&folder, &name)?);
        self.write(&event(now, 0, FILE_VERSION, b"brain.Event:2"))?;
        // What an earlier part of the run wrote after this update is no longer shown.
        let mut session = Vec::new();
        field_number(&mut session, STATUS, START);
        self.write(&event(now, started.resumed_step, SESSION_LOG, &session))
    }

    fn scalars(&mut self, step: u64, scalars: &[Scalar]) -> anyhow::Result<()> {
        let mut summary = Vec::new();
        for (name, number) in scalars {
            let mut value = Vec::new();
            field_bytes(&mut value, TAG, name.as_bytes());
            varint(&mut value, SIMPLE_VALUE << 3 | 5);
            value.extend((*number as f32).to_le_bytes());
            field_bytes(&mut summary, VALUE, &value);
        }
        self.write(&event(seconds(), step, SUMMARY, &summary))
    }

    fn ended(&mut self, _: End) -> anyhow::Result<()> {
        self.file = None;
        Ok(())
    }
}

/// Since 1970.
fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// An `Event` with one field besides time and step.
fn event(wall_time: f64, step: u64, field: u64, bytes: &[u8]) -> Vec<u8> {
    let mut event = Vec::new();
    varint(&mut event, WALL_TIME << 3 | 1);
    event.extend(wall_time.to_le_bytes());
    field_number(&mut event, STEP, step);
    field_bytes(&mut event, field, bytes);
    event
}

fn field_number(message: &mut Vec<u8>, field: u64, number: u64) {
    varint(message, field << 3);
    varint(message, number);
}

fn field_bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(message, field << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

/// Seven bits a byte, the lowest first.
fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), event, &masked(event)].concat()
}

/// A CRC that may stand inside of what another CRC is taken of.
fn masked(bytes: &[u8]) -> [u8; 4] {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// CRC-32C (Castagnoli), bit by bit: an event has some hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ (0x82f6_3b78 * (crc & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_standard_and_the_mask_of_tensorflow() {
        // RFC 3720, B.4, and the catalogue's check value.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        // The length 24 of the first record of every file of TensorFlow: `brain.Event:2` and a time.
        assert_eq!(record(&[0; 24])[..12], [0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]);
    }

    #[test]
    fn numbers_take_seven_bits_a_byte() {
        let mut bytes = Vec::new();
        [0, 127, 128, 300, u64::MAX].iter().for_each(|&number| varint(&mut bytes, number));
        assert_eq!(bytes[..6], [0, 127, 0x80, 1, 0xac, 2]);
        assert_eq!(bytes.len(), 6 + 10);
    }
}
