//! `mentor data`: describes and checks a data set.

use std::path::PathBuf;

use mentor_data::{
    ClassCount, Inspection, Leak, NearLeak, OpenOptions, Repeats, counted, escape, inspect, shown,
    shown_path, write_index, write_parquet, write_tar,
};

use crate::files::limits::ImageLimits;
use crate::terminal::error::{BAD_DATA, Failure};
use crate::terminal::output;
use crate::terminal::reading::reading_bar;
use crate::terminal::table::{Align, Table, count};

/// Items listed of each finding; --json has them all.
const NUM_LISTED: usize = 5;
/// How many times the smallest class the largest must be to be told of.
const NOTABLE_IMBALANCE: f64 = 3.0;
/// Fewer images of a class in validation or test are told of.
const FEW_IMAGES: usize = 5;
/// Classes listed; of more, the largest and the smallest.
const NUM_CLASSES: usize = 30;

const EXAMPLES: &str = "\
Examples:
  mentor data photos/
  mentor data digits --json
  mentor data photos/ --strict && mentor train --data photos/ --model cnn --out runs/photos
  mentor data photos/ --write-tar shards/
      write tar shards as WebDataset reads them; --write-parquet writes the layout of Hugging Face
  mentor data 'shards/*.tar' --write-index
      read all shards once; later commands know every image without reading it

Every image is decoded once; no file is changed. Images with the same pixels are identical, whatever their \
files. Images that only look alike (resized, saved again, brightened, mirrored, cropped by a little) are \
listed if they are \
in different splits; they are compared at the size of training. Transparent pixels are shown on white.

The exit status is 0 if the data could be described, even with corrupt files or identical images in two \
splits; --strict makes it 3 for these, but not for images that only look alike. Data that cannot be opened \
is always 3.";

/// The forms of data, for the help of the commands that read it.
pub(crate) const FORMS: &str = "\
Data is one of:
  digits      the embedded set of 8x8 digits
  a folder    with a folder of images for each class, or train/, val/ and test/ with such folders
  a folder    with the IDX files of MNIST, plain or gzipped
  a .csv file with the columns path,label or path,label,split; paths are relative to the file
  a .npz file with the arrays x (N, H, W[, C]) and y (N), also called x_train and y_train, and \
optionally x_val, y_val, x_test and y_test
  .tar files  of images in class folders, or with .cls or .json beside each image; plain or gzipped
  .parquet files with the columns image (bytes, or bytes and path) and label
              of these two a file, a folder of files, or a quoted pattern: 's/{000..099}.tar', 's/*.tar'";

/// No trained model has limits of its own here.
const MAX_PIXELS: &str = "Refuse image files of more pixels than this [default: 64000000]";

/// Describe and check a data set: counts, sizes, corrupt files, duplicates, leaks between splits
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{FORMS}"), mut_arg("max_pixels", |arg| arg.help(MAX_PIXELS)))]
pub(crate) struct Args {
    /// Describe this data: `digits`, an image folder, a folder of IDX files, a CSV manifest, an npz file, tar
    /// shards or Parquet files
    #[arg(value_name = "DATA")]
    data: String,

    #[command(flatten)]
    limits: ImageLimits,

    /// Exit with status 3 if there are corrupt files, or images whose pixels two splits share
    #[arg(long)]
    strict: bool,

    /// Write an index beside each tar shard instead of the description: the place, hash and size of every
    /// image
    #[arg(long, conflicts_with_all = ["strict", "json"])]
    write_index: bool,

    /// Write the images of a folder to tar shards in this new or empty folder, instead of the description
    #[arg(long, value_name = "DIR", conflicts_with_all = ["strict", "json", "write_index"])]
    write_tar: Option<PathBuf>,

    /// Write the images of a folder to Parquet files in this new or empty folder, instead of the description
    #[arg(long, value_name = "DIR", conflicts_with_all = ["strict", "json", "write_index", "write_tar"])]
    write_parquet: Option<PathBuf>,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut options = OpenOptions { observer: reading_bar(false), ..OpenOptions::default() };
    args.limits.apply(&mut options.limits);
    let written = match (&args.write_tar, &args.write_parquet) {
        (Some(folder), _) => Some(write_tar(&args.data, folder, &options)?),
        (None, Some(folder)) => Some(write_parquet(&args.data, folder, &options)?),
        (None, None) => args.write_index.then(|| write_index(&args.data, &options)).transpose()?,
    };
    if let Some(files) = written {
        drop(options);
        return output::text(&files.iter().map(|file| format!("{}\n", shown_path(file))).collect::<String>());
    }
    let inspection = inspect(&args.data, &options)?;
    drop(options);
    if args.json {
        output::json(&inspection)?;
    } else {
        output::text(&describe(&inspection))?;
    }
    if args.strict && !inspection.is_clean() {
        return Err(Failure::status_only(BAD_DATA));
    }
    Ok(())
}

fn describe(inspection: &Inspection) -> String {
    let Inspection { source, kind, classes, num_train, num_val, num_test, format, .. } = inspection;
    let source = shown(source);
    let images = counted(num_train + num_val + num_test, "image", "images");
    let classes = counted(classes.len(), "class", "classes");
    let mut text = format!("{source}: {kind}, {classes}, {images}\n\n");
    text.push_str(&class_table(inspection));
    text.push_str(&format!("\n  sizes    {}\n", sizes(inspection)));
    let findings = findings(inspection);
    text.push_str(if findings.is_empty() {
        "\nChecked: every image decodes, no image occurs twice, and none looks like one of another split.\n"
    } else {
        "\nFindings\n"
    });
    findings.iter().for_each(|finding| text.push_str(finding));
    let colour = if format.channels == 3 { "colour" } else { "gray" };
    text.push_str(&format!(
        "\nTraining sees every image at {}x{}, {colour}; --size HEIGHTxWIDTH chooses another size.\n",
        format.height, format.width
    ));
    text + &format!("Next: {}\n", escape(&inspection.recommended_command))
}

fn class_table(inspection: &Inspection) -> String {
    let Inspection { classes, num_train, num_val, num_test, .. } = inspection;
    let mut table = Table::new(&[
        ("class", Align::Left),
        ("train", Align::Right),
        ("val", Align::Right),
        ("test", Align::Right),
    ]);
    let hidden =
        if classes.len() > NUM_CLASSES { NUM_CLASSES / 2..classes.len() - NUM_CLASSES / 2 } else { 0..0 };
    for (index, class) in classes.iter().enumerate() {
        if index == hidden.start && !hidden.is_empty() {
            table.row([format!("… {} more", hidden.len())]);
        }
        if !hidden.contains(&index) {
            table.row([class.name.clone(), number(class.train), number(class.val), number(class.test)]);
        }
    }
    table.row(["all".to_owned(), number(*num_train), number(*num_val), number(*num_test)]);
    table.render()
}

fn sizes(inspection: &Inspection) -> String {
    let one = |size: &mentor_data::SizeCount| {
        let colour = if size.colour { "colour" } else { "gray" };
        format!("{}x{} {colour} ({})", size.height, size.width, number(size.count))
    };
    let mut text = inspection.sizes.iter().take(NUM_LISTED).map(one).collect::<Vec<_>>().join(", ");
    if inspection.sizes.len() > NUM_LISTED {
        text.push_str(&format!(" and {} more sizes", inspection.sizes.len() - NUM_LISTED));
    }
    text
}

/// The headings of all findings, each with its items.
fn findings(inspection: &Inspection) -> Vec<String> {
    let mut findings = Vec::new();
    if !inspection.corrupt.is_empty() {
        let heading = counted(
            inspection.corrupt.len(),
            "file cannot be read as an image",
            "files cannot be read as images",
        );
        let items =
            inspection.corrupt.iter().map(|file| format!("{}: {}", shown(&file.path), escape(&file.reason)));
        findings.push(finding(&heading, items, inspection.corrupt.len()));
    }
    for leak in &inspection.duplicates.across {
        let Leak { from, to, pairs, num_conflicting, num_other_bytes } = leak;
        let (one, many) = (format!("image of {from} is"), format!("images of {from} are"));
        let heading = format!(
            "{} {} to one of {to}{}: training leaves {} out",
            counted(pairs.len(), &one, &many),
            if *num_other_bytes == 0 { "byte-identical" } else { "identical" },
            details(&[(*num_other_bytes, "in other bytes"), (*num_conflicting, "under another label")]),
            if pairs.len() == 1 { "it" } else { "them" },
        );
        findings.push(finding(&heading, listed(pairs), pairs.len()));
    }
    for leak in &inspection.near_duplicates {
        let NearLeak { from, to, pairs, num_conflicting, num_mirrored } = leak;
        let (one, many) = (format!("image of {from} looks"), format!("images of {from} look"));
        let heading = format!(
            "{} like one of {to}{}, perhaps resized, cropped or saved again: training keeps {}",
            counted(pairs.len(), &one, &many),
            details(&[(*num_mirrored, "mirrored"), (*num_conflicting, "under another label")]),
            if pairs.len() == 1 { "it" } else { "them" },
        );
        findings.push(finding(
            &heading,
            pairs.iter().map(|[from, to]| format!("{} ~ {}", shown(from), shown(to))),
            pairs.len(),
        ));
    }
    for repeats in &inspection.duplicates.within {
        let Repeats { split, pairs, num_conflicting, num_other_bytes } = repeats;
        let (one, many) = (format!("image of {split} repeats"), format!("images of {split} repeat"));
        let heading = format!(
            "{} another{}",
            counted(pairs.len(), &one, &many),
            details(&[(*num_other_bytes, "in other bytes"), (*num_conflicting, "under another label")]),
        );
        findings.push(finding(&heading, listed(pairs), pairs.len()));
    }
    findings.extend(sizes_of_classes(inspection).into_iter().map(|line| format!("  {line}\n")));
    findings.extend(inspection.notes.iter().map(|note| format!("  {}\n", escape(&note.to_string()))));
    findings
}

/// What is worth knowing about how many images the classes have.
fn sizes_of_classes(inspection: &Inspection) -> Vec<String> {
    let Inspection { classes, num_val, num_test, .. } = inspection;
    let mut lines = Vec::new();
    let largest = classes.iter().max_by_key(|class| class.train);
    let smallest = classes.iter().filter(|class| class.train > 0).min_by_key(|class| class.train);
    if let (Some(largest), Some(smallest)) = (largest, smallest)
        && largest.train as f64 >= NOTABLE_IMBALANCE * smallest.train as f64
    {
        lines.push(format!(
            "the largest class has {:.1} times the training images of the smallest: {} has {}, {} has {}",
            largest.train as f64 / smallest.train as f64,
            shown(&largest.name),
            number(largest.train),
            shown(&smallest.name),
            number(smallest.train),
        ));
    }
    type Count = fn(&ClassCount) -> usize;
    let splits: [(&str, usize, Count); 2] =
        [("val", *num_val, |class| class.val), ("test", *num_test, |class| class.test)];
    for (split, num_images, of_class) in splits {
        let present = classes.iter().filter(|class| of_class(class) > 0);
        if let Some(smallest) = present.min_by_key(|class| of_class(class))
            && of_class(smallest) < FEW_IMAGES
        {
            lines.push(format!(
                "{split} has {}, of {} only {}: figures of so few images vary by chance",
                counted(num_images, "image", "images"),
                shown(&smallest.name),
                number(of_class(smallest)),
            ));
        }
    }
    lines
}

/// Parts of a count, such as `, 3 of them mirrored, 1 under another label`.
fn details(parts: &[(usize, &str)]) -> String {
    let present: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", number(*count)))
        .collect();
    if present.is_empty() { String::new() } else { format!(" ({})", present.join(", ")) }
}

fn finding(heading: &str, items: impl Iterator<Item = String>, len: usize) -> String {
    let mut text = format!("  {heading}\n");
    items.take(NUM_LISTED).for_each(|item| text.push_str(&format!("    {item}\n")));
    if len > NUM_LISTED {
        text.push_str(&format!("    … {} more; --json lists all\n", len - NUM_LISTED));
    }
    text
}

fn listed(pairs: &[[String; 2]]) -> impl Iterator<Item = String> {
    pairs.iter().map(|[first, second]| format!("{} = {}", shown(first), shown(second)))
}

fn number(value: usize) -> String {
    count(value as u64)
}

#[cfg(test)]
mod tests {
    use mentor_data::{BadFile, Split};

    use super::*;

    #[test]
    fn findings_are_listed_and_cut_short() {
        let mut inspection = inspect("digits", &OpenOptions::default()).unwrap();
        assert!(describe(&inspection).contains("no image occurs twice"), "{}", describe(&inspection));
        let file = |id: usize| BadFile {
            split: Split::Train,
            id: id.to_string(),
            path: format!("{id}.png"),
            reason: "the file is empty".to_owned(),
        };
        inspection.corrupt = (0..7).map(file).collect();
        let text = describe(&inspection);
        assert!(text.contains("7 files cannot be read as images\n    0.png: the file is empty\n"), "{text}");
        assert!(text.contains("… 2 more"), "{text}");
    }

    #[test]
    fn counts_have_the_verb_that_fits() {
        let mut inspection = inspect("digits", &OpenOptions::default()).unwrap();
        let pairs = |count: usize| vec![["a".to_owned(), "b".to_owned()]; count];
        let (from, to) = (Split::Train, Split::Test);
        inspection.duplicates.across = vec![
            Leak { from, to, pairs: pairs(1), num_conflicting: 0, num_other_bytes: 0 },
            Leak { from, to, pairs: pairs(1234), num_conflicting: 5, num_other_bytes: 2 },
        ];
        inspection.duplicates.within = [1, 2]
            .map(|count| Repeats { split: to, pairs: pairs(count), num_conflicting: 0, num_other_bytes: 0 })
            .into();
        inspection.near_duplicates = [1, 2]
            .map(|count| NearLeak {
                from,
                to,
                pairs: pairs(count),
                num_conflicting: 0,
                num_mirrored: count - 1,
            })
            .into();
        inspection.classes[3].train = 20;
        inspection.classes[4].val = 1;
        let text = describe(&inspection);
        for line in [
            "  1 image of train is byte-identical to one of test: training leaves it out\n",
            "  1,234 images of train are identical to one of test (2 in other bytes, 5 under another label): \
             training leaves them out\n",
            "  1 image of test repeats another\n",
            "  2 images of test repeat another\n",
            "  1 image of train looks like one of test, perhaps",
            "  2 images of train look like one of test (1 mirrored), perhaps",
            "times the training images of the smallest: ",
            ", 3 has 20\n",
            "  val has 145 images, of 4 only 1: figures of so few images vary by chance\n",
            "Training sees every image at 8x8, gray;",
        ] {
            assert!(text.contains(line), "{line:?} is missing in {text}");
        }
    }
}
