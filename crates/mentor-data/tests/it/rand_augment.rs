//! RandAugment's operations against Pillow's results.

use std::collections::HashMap;

use mentor_data::{ImageFormat, Operation};

const GOLDEN: &str = include_str!("../../../../reference/golden/rand_augment.txt");

const NAMES: [&str; 14] = [
    "identity",
    "auto-contrast",
    "equalize",
    "rotate",
    "solarize",
    "color",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear-x",
    "shear-y",
    "translate-x",
    "translate-y",
];

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn every_operation_gives_the_bytes_of_pillow() {
    let operations: HashMap<&str, Operation> = NAMES.into_iter().zip(Operation::ALL).collect();
    let mut images = HashMap::new();
    let mut scratch = Vec::new();
    let mut num_results = [0; 14];
    for line in GOLDEN.lines().filter(|line| !line.starts_with('#')) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["image", name, channels, height, width, pixels] => {
                let side = |text: &str| text.parse::<usize>().unwrap();
                let format = ImageFormat::new(side(channels), side(height), side(width));
                images.insert(name, (format, bytes(pixels)));
            }
            ["result", name, operation, magnitude, sign, pixels] => {
                let (format, image) = &images[name];
                let mut changed = image.clone();
                operations[operation].apply(
                    format,
                    &mut changed,
                    magnitude.parse().unwrap(),
                    sign == "-1",
                    &mut scratch,
                );
                let what = format!("{operation} of {name} ({format}) at {sign}·{magnitude}");
                assert_eq!(changed, bytes(pixels), "{what}");
                num_results[NAMES.iter().position(|&known| known == operation).unwrap()] += 1;
            }
            _ => panic!("not a line of the reference: {line:?}"),
        }
    }
    assert!(num_results.iter().all(|&count| count >= 8), "{num_results:?}");
}
