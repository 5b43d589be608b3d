//! `mentor data`: what a data set holds, and what is wrong with it.

use mentor_data::{Inspection, OpenOptions, escape, inspect, shown};

use crate::files::limits::ImageLimits;
use crate::terminal::error::{BAD_DATA, Failure};
use crate::terminal::output;
use crate::terminal::table::{Align, Table, count};

/// Items listed of each finding; --json has them all.
const NUM_LISTED: usize = 5;
/// Classes listed; of more, the largest and the smallest.
const NUM_CLASSES: usize = 30;

const EXAMPLES: &str = "\
Examples:
  mentor data photos/
  mentor data digits --json
  mentor data photos/ --strict && mentor train --data photos/ --model cnn --out runs/photos

Every image is decoded once; nothing is changed. The exit status is 0 when the data could be described, also \
with corrupt files or images that two splits share; with --strict these make it 3. Data that cannot be \
opened at all is always 3.";

/// What data may be, for the help of the commands that read it.
pub(crate) const FORMS: &str = "\
Data is one of:
  digits      the embedded set of 8x8 digits
  a folder    with a folder of images a class, or with train/, val/ and test/ that hold such folders
  a folder    with the IDX files of MNIST, plain or gzipped
  a .csv file with the columns path,label or path,label,split; paths are relative to the file
  a .npz file with the arrays x (N, H, W[, C]) and y (N), and perhaps x_val, y_val, x_test and y_test; \
x_train and y_train stand for x and y";

/// Describe and check a data set: counts, sizes, corrupt files, duplicates, leaks between splits
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{FORMS}"))]
pub(crate) struct Args {
    /// `digits`, or an image folder, a folder of IDX files, a CSV manifest or an npz file
    #[arg(value_name = "DATA")]
    data: String,

    #[command(flatten)]
    limits: ImageLimits,

    /// Exit with status 3 when there are corrupt files or images that two splits share
    #[arg(long)]
    strict: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut options = OpenOptions::default();
    args.limits.apply(&mut options.limits);
    let inspection = inspect(&args.data, &options)?;
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
    let images = num_train + num_val + num_test;
    let source = shown(source);
    let mut text = format!("{source}: {kind}, {} classes, {} images\n\n", classes.len(), number(images));
    text.push_str(&class_table(inspection));
    text.push_str(&format!("\n  sizes    {}\n", sizes(inspection)));
    let colour = if format.channels == 3 { "colour" } else { "gray" };
    text.push_str(&format!("  training would use {}x{}, {colour}\n", format.height, format.width));
    let findings = findings(inspection);
    text.push_str(if findings.is_empty() {
        "\nChecked: every image decodes, and no image occurs twice.\n"
    } else {
        "\nFindings\n"
    });
    findings.iter().for_each(|finding| text.push_str(finding));
    text + &format!("\nNext: {}\n", escape(&inspection.recommended_command))
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

/// A heading and its items for everything that a user should look at.
fn findings(inspection: &Inspection) -> Vec<String> {
    let mut findings = Vec::new();
    if !inspection.corrupt.is_empty() {
        let heading = format!("{} cannot be decoded", files(inspection.corrupt.len()));
        let items =
            inspection.corrupt.iter().map(|file| format!("{}: {}", shown(&file.path), escape(&file.reason)));
        findings.push(finding(&heading, items, inspection.corrupt.len()));
    }
    for leak in &inspection.duplicates.across {
        let heading = format!(
            "{} of {} are byte-identical to one of {}{}: scores there would be too good",
            images(leak.pairs.len()),
            leak.from,
            leak.to,
            conflicts(leak.num_conflicting),
        );
        findings.push(finding(&heading, pairs(&leak.pairs), leak.pairs.len()));
    }
    for repeats in &inspection.duplicates.within {
        let heading = format!(
            "{} of {} repeat another{}",
            images(repeats.pairs.len()),
            repeats.split,
            conflicts(repeats.num_conflicting)
        );
        findings.push(finding(&heading, pairs(&repeats.pairs), repeats.pairs.len()));
    }
    findings.extend(inspection.notes.iter().map(|note| format!("  {}\n", escape(&note.to_string()))));
    findings
}

fn finding(heading: &str, items: impl Iterator<Item = String>, len: usize) -> String {
    let mut text = format!("  {heading}\n");
    items.take(NUM_LISTED).for_each(|item| text.push_str(&format!("    {item}\n")));
    if len > NUM_LISTED {
        text.push_str(&format!("    … {} more; --json lists all\n", len - NUM_LISTED));
    }
    text
}

fn pairs(pairs: &[[String; 2]]) -> impl Iterator<Item = String> {
    pairs.iter().map(|[first, second]| format!("{} = {}", shown(first), shown(second)))
}

fn conflicts(count: usize) -> String {
    if count == 0 { String::new() } else { format!(", {count} of them under another label") }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{} files", number(count)) }
}

fn images(count: usize) -> String {
    if count == 1 { "1 image".to_owned() } else { format!("{} images", number(count)) }
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
        assert!(text.contains("7 files cannot be decoded\n    0.png: the file is empty\n"), "{text}");
        assert!(text.contains("… 2 more"), "{text}");
    }
}
