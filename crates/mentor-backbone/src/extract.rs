//! Features of many images: the next are decoded while the network computes those before.

use mentor_codec::Picture;
use rayon::prelude::*;

use crate::backbone::Backbone;

impl Backbone {
    /// The features of each item, or why it has none, in order.
    ///
    /// `read` gives the picture of an item, and is called by several threads. `batch` images are held as
    /// pixels, and as many are decoded meanwhile: memory does not grow with the number of items, but for the
    /// features. `progress` hears how many items are done.
    pub fn extract<T: Sync, E: Send>(
        &self,
        items: &[T],
        batch: usize,
        read: impl Fn(&T) -> Result<Picture, E> + Sync,
        mut progress: impl FnMut(usize),
    ) -> Vec<Result<Vec<f32>, E>> {
        let size = self.preprocessing.size;
        let decode = |items: &[T]| -> Vec<Result<Vec<f32>, E>> {
            items
                .par_iter()
                .map(|item| read(item).map(|picture| self.preprocessing.apply(&picture)))
                .collect()
        };
        let mut chunks = items.chunks(batch.max(1));
        let mut next = chunks.next().map(decode);
        let mut results = Vec::with_capacity(items.len());
        while let Some(decoded) = next {
            let mut pixels = Vec::with_capacity(decoded.len() * 3 * size * size);
            let outcomes: Vec<Result<(), E>> =
                decoded.into_iter().map(|image| image.map(|image| pixels.extend(image))).collect();
            let following = chunks.next();
            let (features, decoded) =
                rayon::join(|| self.network.features(&pixels, [size; 2]), || following.map(&decode));
            next = decoded;
            let mut rows = features.chunks_exact(self.network.num_features());
            for outcome in outcomes {
                results.push(outcome.map(|()| rows.next().unwrap_or_default().to_vec()));
            }
            progress(results.len());
        }
        results
    }
}
