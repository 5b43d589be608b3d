//! Files of 16 bits or floats of whose values few bytes are left.

use mentor_codec::Extent;

use crate::notes::Note;
use crate::split::Split;

/// Below this share of the range from black to white that values use, a user should hear of it, as of floats
/// in arrays.
const USUAL_SHARE: f64 = 0.5;

/// The values of several image files taken together: one dark picture among bright ones says nothing.
///
/// ```
/// use mentor_data::{Extent, Extents};
/// let mut extents = Extents::default();
/// extents.add(None, "a.jpg");
/// assert!(extents.note(None).is_none());
/// extents.add(Some(Extent { min: 0.0, max: 4095.0, white: 65_535.0 }), "b.png");
/// let note = extents.note(None).unwrap().to_string();
/// assert!(note.contains("the brightest pixel is 4095 of 65535") && note.contains("17 of 256 levels"));
/// extents.add(Some(Extent { min: 0.0, max: 60_000.0, white: 65_535.0 }), "c.png");
/// assert!(extents.note(None).is_none());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Extents {
    extent: Option<Extent>,
    num_files: usize,
    example: String,
}

impl Extents {
    /// Adds what a file holds; nothing of a file whose values bytes hold exactly.
    pub fn add(&mut self, extent: Option<Extent>, id: &str) {
        let Some(new) = extent else { return };
        match &mut self.extent {
            None => (self.extent, self.example) = (Some(new), id.to_owned()),
            Some(Extent { min, max, white }) => {
                let scale = *white / new.white;
                (*min, *max) = (min.min(new.min * scale), max.max(new.max * scale));
            }
        }
        self.num_files += 1;
    }

    /// What to say of them, where bytes hold too little.
    pub fn note(&self, split: Option<Split>) -> Option<Note> {
        let Extent { min, max, white } = self.extent?;
        let share = (max - min) / white;
        // One value everywhere, such as black, is the same in every range.
        (share > 0.0 && share < USUAL_SHARE).then(|| Note::FewLevels {
            split,
            num_files: self.num_files,
            example: self.example.clone(),
            range: [min, max],
            white,
            num_levels: (share * 255.0).round() as usize + 1,
        })
    }
}
