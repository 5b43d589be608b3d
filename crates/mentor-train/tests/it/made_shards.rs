//! Shards of pseudo-labels that somebody made to break their reader, with manifests that vouch for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mentor_train::pseudo_labels::{
    LabelRow, LabelSet, LabelsError, LabelsHeader, LabelsWriter, Manifest, Shard,
};
use parquet::data_type::{
    ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, FloatType, Int32Type,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;

fn header() -> LabelsHeader {
    LabelsHeader {
        teacher_blake3: "ab".to_owned(),
        images_blake3: "cd".to_owned(),
        classes: vec!["cat".to_owned(), "dog".to_owned()],
        round: 1,
        temperature: 1.0,
    }
}

/// A whole shard of three images.
fn write(folder: &Path) -> PathBuf {
    let path = folder.join("labels.parquet");
    let mut writer = LabelsWriter::create(&path, header(), Shard::WHOLE).unwrap();
    for index in 0..3 {
        writer.push(&format!("{index}.png"), &[index; 32], &[0.5, f32::from(index)]).unwrap();
    }
    writer.finish().unwrap();
    path
}

/// The rows of `shard` as its manifest, which is made to fit, lets them be read.
fn rows(path: &Path, shard: &[u8], num_rows: u64) -> Result<Vec<LabelRow>, LabelsError> {
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(Manifest::path_of(path)).unwrap()).unwrap();
    manifest.num_rows = num_rows;
    manifest.num_bytes = shard.len() as u64;
    manifest.file_blake3 = blake3::hash(shard).to_hex().to_string();
    fs::write(path, shard).unwrap();
    fs::write(Manifest::path_of(path), serde_json::to_vec(&manifest).unwrap()).unwrap();
    LabelSet::open(path)?.rows().collect()
}

#[test]
fn a_shard_that_is_made_to_break_its_reader_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path());
    let whole = fs::read(&path).unwrap();
    assert_eq!(rows(&path, &whole, 3).unwrap().len(), 3);
    let mut num_refused = 0;
    for (position, value) in (0..whole.len()).flat_map(|at| [0x00, 0x7f, 0x80, 0xff].map(|value| (at, value)))
    {
        let mut changed = whole.clone();
        changed[position] = value;
        match rows(&path, &changed, 3) {
            // What was changed is a value, or is not read.
            Ok(rows) => assert!(rows.iter().all(|row| row.scores.len() == 2)),
            Err(error) => {
                assert!(matches!(error, LabelsError::Damaged { .. }), "byte {position}: {error}");
                num_refused += 1;
            }
        }
    }
    assert!(num_refused > whole.len() / 2, "{num_refused} of {}", 4 * whole.len());
}

/// A shard of images that all look the same, with lists of these lengths as their scores.
fn shard(like: &Path, lengths: &[usize], dictionary: bool) -> Vec<u8> {
    let metadata =
        SerializedFileReader::new(fs::File::open(like).unwrap()).unwrap().metadata().file_metadata().clone();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(dictionary)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(metadata.key_value_metadata().cloned());
    let mut bytes = Vec::new();
    let schema = metadata.schema_descr().root_schema_ptr();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties.build())).unwrap();
    let (num_rows, num_scores) = (lengths.len(), lengths.iter().sum());
    let starts: Vec<i16> =
        lengths.iter().flat_map(|&length| (0..length).map(|at| i16::from(at > 0))).collect();
    let mut group = file.next_row_group().unwrap();
    for column in 0..7 {
        let mut writer = group.next_column().unwrap().unwrap();
        let text = vec![ByteArray::from("a"); num_rows];
        let images = vec![FixedLenByteArray::from(ByteArray::from(vec![7; 32])); num_rows];
        match column {
            0 | 6 => writer.typed::<ByteArrayType>().write_batch(&text, None, None),
            1 => writer.typed::<FixedLenByteArrayType>().write_batch(&images, None, None),
            2 => {
                let (scores, defined) = (vec![0.5; num_scores], vec![1; num_scores]);
                writer.typed::<FloatType>().write_batch(&scores, Some(&defined), Some(&starts))
            }
            3 => writer.typed::<FloatType>().write_batch(&vec![0.5; num_rows], None, None),
            _ => writer.typed::<Int32Type>().write_batch(&vec![1; num_rows], None, None),
        }
        .unwrap();
        writer.close().unwrap();
    }
    group.close().unwrap();
    file.close().unwrap();
    bytes
}

#[test]
fn a_few_bytes_do_not_become_many_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path());
    let plain = shard(&path, &[2; 3], false);
    assert_eq!(rows(&path, &plain, 3).unwrap().len(), 3, "a shard may come from another program");
    let folded = shard(&path, &[2; 100_000], true);
    assert!(folded.len() < 40_000, "{} bytes", folded.len());
    let error = rows(&path, &folded, 100_000).unwrap_err().to_string();
    assert!(error.contains("not stored as mentor stores them"), "{error}");
}

#[test]
fn a_few_bytes_do_not_take_hours() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path());
    // A field that the library does not know, with lists of two thousand million booleans, which take no
    // byte.
    let list = [0xf1, 0xff, 0xff, 0xff, 0xff, 0x07];
    let footer = [&[0xd9, 0xf9, 0xff, 0x01][..], &list.repeat(255)].concat();
    let length = footer.len() as u32;
    let shard = [b"PAR1", &footer[..], &length.to_le_bytes(), b"PAR1"].concat();
    let error = rows(&path, &shard, 3).unwrap_err().to_string();
    assert!(error.contains("its footer is not one that mentor writes"), "{error}");
}

#[test]
fn scores_do_not_move_to_the_next_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path());
    let error = rows(&path, &shard(&path, &[1, 3, 2], false), 3).unwrap_err().to_string();
    assert!(error.contains("another number of scores than classes"), "{error}");
}
