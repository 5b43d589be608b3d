//! Image files.

/// Large enough for each way through a decoder, small enough for thousands of pictures a second.
const MAX_PIXELS: u64 = 1 << 16;

/// A picture has the size that its header says, and as many bytes.
pub fn image(bytes: &[u8]) {
    let header = mentor_codec::read_header(bytes, MAX_PIXELS);
    if let Ok(picture) = mentor_codec::decode(bytes, MAX_PIXELS) {
        let header = header.expect("what is decoded has a header");
        assert_eq!((picture.height, picture.width), (header.height, header.width));
        assert!(picture.height as u64 * picture.width as u64 <= MAX_PIXELS);
        assert_eq!(picture.bytes.len(), picture.height * picture.width * picture.channels);
    }
}
