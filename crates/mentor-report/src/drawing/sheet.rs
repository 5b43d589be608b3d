//! Many small pictures in one: each is embedded once, however often the page shows it.

use mentor_run::records::Picture;

use super::html::escape;
use super::picture;

/// Pictures of a sheet, at most, so that the file stays small; an analysis of embeddings has up to 632.
pub(crate) const MAX_PICTURES: usize = 1000;

/// A sheet of pictures, and how parts of the page show one of them.
pub(crate) struct Sheet {
    id: String,
    /// The sheet as an element that shows nothing by itself.
    pub(crate) html: String,
    columns: usize,
    width: usize,
    height: usize,
    num_pictures: usize,
}

impl Sheet {
    /// A sheet of the first [`MAX_PICTURES`] pictures. One that cannot be decoded, or no picture at all,
    /// gives a sheet that shows none.
    pub(crate) fn new(pictures: &[Picture], id: &str) -> Self {
        let pictures = &pictures[..pictures.len().min(MAX_PICTURES)];
        let columns = (pictures.len() as f64).sqrt().ceil() as usize;
        let id = format!("{id}-sheet");
        let nothing =
            Self { id: id.clone(), html: String::new(), columns: 1, width: 1, height: 1, num_pictures: 0 };
        let Some((address, [width, height])) = picture::sheet(pictures, columns) else { return nothing };
        let rows = pictures.len().div_ceil(columns);
        let html = format!(
            "<svg class=\"sheet\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs><image id=\"{}\" \
             href=\"{address}\" \
             width=\"{}\" height=\"{}\"/></defs></svg>",
            escape(&id),
            columns * width,
            rows * height
        );
        Self { id, html, columns, width, height, num_pictures: pictures.len() }
    }

    /// Where a picture is on the sheet, as a view box; `None` where the sheet does not have it.
    pub(crate) fn view(&self, picture: Option<usize>) -> Option<String> {
        let index = picture.filter(|&index| index < self.num_pictures)?;
        let (column, row) = (index % self.columns, index / self.columns);
        Some(format!("{} {} {} {}", column * self.width, row * self.height, self.width, self.height))
    }

    /// A picture, or the words that there is none.
    pub(crate) fn show(&self, picture: Option<usize>, label: &str) -> String {
        match self.view(picture) {
            Some(view) => format!(
                "<svg class=\"thumb\" viewBox=\"{view}\" role=\"img\" aria-label=\"{}\"><use \
                 href=\"#{}\"/></svg>",
                escape(label),
                escape(&self.id)
            ),
            None => "<span class=\"no-picture\">no picture</span>".to_owned(),
        }
    }

    /// Id of the sheet, for a script that shows pictures by their view.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(value: u8) -> Picture {
        use base64::Engine as _;
        let pixels = base64::engine::general_purpose::STANDARD.encode([value; 6]);
        Picture { channels: 1, height: 2, width: 3, pixels }
    }

    #[test]
    fn each_picture_has_its_place_and_is_embedded_once() {
        let sheet = Sheet::new(&[gray(1), gray(2), gray(3)], "r");
        assert_eq!(sheet.view(Some(0)).unwrap(), "0 0 3 2");
        assert_eq!(sheet.view(Some(2)).unwrap(), "0 2 3 2");
        assert_eq!((sheet.view(Some(3)), sheet.view(None)), (None, None));
        assert_eq!(sheet.html.matches("data:image/png;base64,").count(), 1);
        assert!(sheet.html.contains("width=\"6\" height=\"4\""), "{}", sheet.html);
        assert!(sheet.show(Some(1), "a \"b\"").contains("aria-label=\"a &quot;b&quot;\""));
        assert!(sheet.show(Some(9), "x").contains("no picture"));
    }

    #[test]
    fn hundreds_of_thumbnails_are_all_shown() {
        use base64::Engine as _;
        let pixels = base64::engine::general_purpose::STANDARD.encode(vec![5; 3 * 56 * 56]);
        let thumbnail = Picture { channels: 3, height: 56, width: 56, pixels };
        let sheet = Sheet::new(&vec![thumbnail; 632], "r");
        assert_eq!(sheet.view(Some(631)).unwrap(), "392 1344 56 56");
        assert!(sheet.html.len() < 1 << 20, "{}", sheet.html.len());
    }

    #[test]
    fn pictures_that_do_not_decode_and_too_many_are_left_out() {
        assert_eq!(Sheet::new(&[], "r").html, "");
        let bad = Picture { pixels: "!".to_owned(), ..gray(1) };
        assert_eq!(Sheet::new(&[bad], "r").view(Some(0)), None);
        let many = Sheet::new(&vec![gray(7); MAX_PICTURES + 1], "r");
        assert!(many.view(Some(MAX_PICTURES - 1)).is_some() && many.view(Some(MAX_PICTURES)).is_none());
    }
}
