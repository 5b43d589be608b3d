//! Models whose answers can be computed by hand, and pictures for them.

use std::sync::{Arc, Condvar, Mutex};

use mentor_data::{ImageFormat, Limits};
use mentor_server::{Description, Neighbour, ServedModel};

/// P(light) is the mean brightness; the embedding is the bytes. It can be held, as by a long pass.
pub(crate) struct Brightness {
    description: Description,
    is_held: Mutex<bool>,
    released: Condvar,
}

impl Brightness {
    pub(crate) fn new(name: &str, classes: &[&str]) -> Self {
        let description = Description {
            name: name.to_owned(),
            architecture: "brightness".to_owned(),
            classes: classes.iter().map(|&class| class.to_owned()).collect(),
            format: ImageFormat::new(1, 1, 2),
            limits: Limits { max_pixels: 10_000, ..Limits::default() },
            embedding_size: 2,
            num_indexed: 0,
        };
        Self { description, is_held: Mutex::new(false), released: Condvar::new() }
    }

    /// A classifier of "dark" and "light".
    pub(crate) fn classifier() -> Arc<Self> {
        Arc::new(Self::new("brightness", &["dark", "light"]))
    }

    /// Embeddings alone, and an index of a black, a gray and a white picture.
    pub(crate) fn embedder() -> Arc<Self> {
        let mut model = Self::new("vectors", &[]);
        model.description.num_indexed = 3;
        Arc::new(model)
    }

    /// Embeddings so long that no socket holds them.
    pub(crate) fn verbose() -> Arc<Self> {
        let mut model = Self::new("verbose", &[]);
        model.description.embedding_size = 3_000_000;
        Arc::new(model)
    }

    pub(crate) fn hold(&self, held: bool) {
        *self.is_held.lock().unwrap() = held;
        self.released.notify_all();
    }

    fn wait(&self) {
        drop(self.released.wait_while(self.is_held.lock().unwrap(), |held| *held).unwrap());
    }
}

impl ServedModel for Brightness {
    fn description(&self) -> &Description {
        &self.description
    }

    fn probabilities(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f64>>, String> {
        self.wait();
        let row = |image: &Vec<u8>| {
            assert!(image != &[13, 13], "a panic of the model");
            let sum: f64 = image.iter().map(|&byte| f64::from(byte) / 255.0).sum();
            let light = sum / image.len() as f64;
            vec![1.0 - light, light]
        };
        Ok(images.iter().map(row).collect())
    }

    fn embeddings(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f32>>, String> {
        self.wait();
        let size = self.description.embedding_size;
        let row = |image: &Vec<u8>| image.iter().cycle().take(size).map(|&byte| f32::from(byte)).collect();
        Ok(images.iter().map(row).collect())
    }

    fn nearest(&self, embedding: &[f32], count: usize) -> Result<Vec<Neighbour>, String> {
        let mut found: Vec<Neighbour> = [("black.png", 0.0), ("gray.png", 128.0), ("white.png", 255.0)]
            .iter()
            .map(|&(path, value)| {
                let square = |&x: &f32| f64::from(x - value).powi(2);
                Neighbour {
                    path: path.to_owned(),
                    distance: embedding.iter().map(square).sum::<f64>().sqrt(),
                }
            })
            .collect();
        found.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        found.truncate(count);
        Ok(found)
    }
}

/// A picture of two pixels.
pub(crate) fn picture(left: u8, right: u8) -> Vec<u8> {
    let mut bytes = b"P5 2 1 255\n".to_vec();
    bytes.extend([left, right]);
    bytes
}

/// A BMP file of 64 × 64 pixels of one gray, which browsers show.
pub(crate) fn bitmap(gray: u8) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for number in [54 + 64 * 64 * 3_u32, 0, 54, 40, 64, 64, 1 | (24 << 16), 0, 64 * 64 * 3, 2835, 2835, 0, 0]
    {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(std::iter::repeat_n(gray, 64 * 64 * 3));
    bytes
}
