//! `mentor models`: lists the network families with their numbers of parameters.

use burn::tensor::Device;
use mentor_model::{Model, ModelError, ModelSpec, catalogue};
use serde::Serialize;

use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::table::{Align, Table, count};

const EXAMPLES: &str = "\
Examples:
  mentor models
  mentor models mlp:100 wrn-28-10 --input 3x32x32 --classes 100";

/// List the models, with their numbers of parameters
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// List these models instead of examples of every family
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Count the parameters for images of these channels, height and width
    #[arg(long, value_name = "CxHxW", value_parser = input, default_value = "1x28x28")]
    input: [usize; 3],

    /// Count the parameters for this many classes, at least 1
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    classes: usize,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// A model of these classes on these images.
#[derive(Serialize)]
struct Row {
    name: String,
    input: [usize; 3],
    num_classes: usize,
    /// Absent where the images are too small for the model, or not whole patches of it.
    num_params: Option<usize>,
    /// Absent for a name that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'static str>,
}

fn input(text: &str) -> Result<[usize; 3], String> {
    let numbers: Option<Vec<usize>> = text.split('x').map(|number| number.parse().ok()).collect();
    numbers
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| "write channels, height and width, such as 3x32x32".to_owned())
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let rows = if args.names.is_empty() { usual(args)? } else { asked(args)? };
    if args.json {
        return output::json(&rows);
    }
    let [channels, height, width] = args.input;
    let mut text = format!(
        "Parameters for {channels}x{height}x{width} images (channels x height x width), {} classes\n\n",
        args.classes
    );
    let mut table = Table::new(&[("model", Align::Left), ("parameters", Align::Right), ("", Align::Left)]);
    let mut family = None;
    for row in &rows {
        let params = row.num_params.map_or("not for these images".to_owned(), |params| count(params as u64));
        // A family is described once, at its first name.
        let description = if row.family == family { None } else { row.description };
        family = row.family;
        table.row([row.name.clone(), params, description.unwrap_or_default().to_owned()]);
    }
    text.push_str(&table.render());
    if args.names.is_empty() {
        text.push_str("\nNames: ");
        let patterns: Vec<&str> = catalogue().iter().map(|family| family.pattern).collect();
        text.push_str(&patterns.join("; "));
        text.push('\n');
    }
    output::text(&text)
}

/// The examples of every family; one that the images do not fit is listed without a number.
fn usual(args: &Args) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for family in catalogue() {
        for name in family.examples {
            let num_params = match num_params(name, args) {
                Err(ModelError::InputTooSmall { .. } | ModelError::NotDivisible { .. }) => None,
                result => Some(result?),
            };
            let (family, description) = (Some(family.pattern), Some(family.description));
            rows.push(row(name, num_params, args, family, description));
        }
    }
    Ok(rows)
}

fn asked(args: &Args) -> Result<Vec<Row>, Failure> {
    args.names.iter().map(|name| Ok(row(name, Some(num_params(name, args)?), args, None, None))).collect()
}

fn num_params(name: &str, args: &Args) -> Result<usize, ModelError> {
    let spec = ModelSpec::new(name, args.input, args.classes);
    // Parameters are drawn at their first use, so counting them costs nothing.
    Ok(Model::new(&spec, 0, &Device::flex())?.num_params())
}

fn row(
    name: &str,
    num_params: Option<usize>,
    args: &Args,
    family: Option<&'static str>,
    description: Option<&'static str>,
) -> Row {
    let (input, num_classes) = (args.input, args.classes);
    Row { name: name.to_owned(), input, num_classes, num_params, family, description }
}
