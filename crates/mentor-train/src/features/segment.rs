//! The layout of a file of features: a magic, the number of rows and of their values as little-endian u32,
//! the hash of the image of each row, the rows as little-endian f32, and blake3 of all that.

use std::sync::Arc;

/// A feature vector.
pub(super) type Row = Arc<[f32]>;

/// blake3 of what an image was made from: of its file, or of its pixels in an array.
pub(super) type ImageHash = [u8; blake3::OUT_LEN];

const MAGIC: &[u8; 8] = b"mentorFE";
const HEADER: usize = MAGIC.len() + 2 * size_of::<u32>();
/// Rows of a file, at most.
pub(super) const MAX_ROWS: usize = 512;

/// Bytes of a file of rows of `num_features` values, at most.
pub(super) fn max_bytes(num_features: usize) -> u64 {
    length(MAX_ROWS, num_features) as u64
}

fn length(num_rows: usize, num_features: usize) -> usize {
    HEADER + num_rows * (blake3::OUT_LEN + size_of::<f32>() * num_features) + blake3::OUT_LEN
}

/// The file of some rows of equal length.
pub(super) fn bytes(rows: &[(ImageHash, Row)]) -> Vec<u8> {
    let num_features = rows.first().map_or(0, |(_, row)| row.len());
    let mut bytes = Vec::with_capacity(length(rows.len(), num_features));
    bytes.extend(MAGIC);
    bytes.extend((rows.len() as u32).to_le_bytes());
    bytes.extend((num_features as u32).to_le_bytes());
    rows.iter().for_each(|(image, _)| bytes.extend(image));
    rows.iter().for_each(|(_, row)| bytes.extend(row.iter().flat_map(|value| value.to_le_bytes())));
    let hash = blake3::hash(&bytes);
    bytes.extend(hash.as_bytes());
    bytes
}

/// The rows of a file, each of `num_features` finite values; `None` if the bytes are no such file.
pub(super) fn read(bytes: &[u8], num_features: usize) -> Option<impl Iterator<Item = (ImageHash, Row)>> {
    let (content, hash) = bytes.split_last_chunk::<{ blake3::OUT_LEN }>()?;
    let number = |at: usize| Some(u32::from_le_bytes(content.get(at..at + 4)?.try_into().ok()?) as usize);
    let (num_rows, found) = (number(MAGIC.len())?, number(MAGIC.len() + 4)?);
    let is_whole = content.starts_with(MAGIC)
        && found == num_features
        && num_rows <= MAX_ROWS
        && bytes.len() == length(num_rows, num_features)
        && blake3::hash(content).as_bytes() == hash;
    if !is_whole {
        return None;
    }
    let (images, values) = content[HEADER..].split_at(num_rows * blake3::OUT_LEN);
    let images = images.as_chunks::<{ blake3::OUT_LEN }>().0.iter().copied();
    let values: Vec<f32> = values.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
    if !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let rows: Vec<Row> = values.chunks_exact(num_features).map(Row::from).collect();
    Some(images.zip(rows))
}
