"""Golden results of RandAugment's fourteen operations, from Pillow. Writes golden/rand_augment.txt.

One line an image, `image NAME CHANNELS HEIGHT WIDTH PIXELS`, then one a result,
`result NAME OPERATION MAGNITUDE SIGN PIXELS`; pixels are hexadecimal, planar [channel, height, width]. The magnitude runs
from 0 to 10; what it means to each operation is written out below, apart from the code that is tested.
"""

import pathlib

import numpy as np
import PIL
from PIL import Image, ImageEnhance, ImageOps

NEAREST = Image.Resampling.NEAREST
AFFINE = Image.Transform.AFFINE


def affine(image, matrix):
    return image.transform(image.size, AFFINE, matrix, resample=NEAREST)


def pixels(side, magnitude):
    """AutoAugment's 150 pixels of 331, of an image of any size, in whole pixels."""
    return 150 * magnitude * side // 3310


# Each takes the image, the magnitude and the sign, -1 or 1.
OPERATIONS = {
    "identity": lambda image, m, s: image,
    "auto-contrast": lambda image, m, s: ImageOps.autocontrast(image),
    "equalize": lambda image, m, s: ImageOps.equalize(image),
    "rotate": lambda image, m, s: image.rotate(s * 3.0 * m, resample=NEAREST),
    "solarize": lambda image, m, s: ImageOps.solarize(image, 256 - 256 * m // 10),
    "color": lambda image, m, s: ImageEnhance.Color(image).enhance(1 + s * 0.09 * m),
    "posterize": lambda image, m, s: ImageOps.posterize(image, 8 - int(0.4 * m + 0.5)),
    "contrast": lambda image, m, s: ImageEnhance.Contrast(image).enhance(1 + s * 0.09 * m),
    "brightness": lambda image, m, s: ImageEnhance.Brightness(image).enhance(1 + s * 0.09 * m),
    "sharpness": lambda image, m, s: ImageEnhance.Sharpness(image).enhance(1 + s * 0.09 * m),
    "shear-x": lambda image, m, s: affine(image, (1, s * 0.03 * m, 0, 0, 1, 0)),
    "shear-y": lambda image, m, s: affine(image, (1, 0, 0, s * 0.03 * m, 1, 0)),
    "translate-x": lambda image, m, s: affine(image, (1, 0, s * pixels(image.width, m), 0, 1, 0)),
    "translate-y": lambda image, m, s: affine(image, (1, 0, 0, 0, 1, s * pixels(image.height, m))),
}
UNSIGNED = {"identity", "auto-contrast", "equalize", "solarize", "posterize"}
FLAT = {"identity", "auto-contrast", "equalize"}  # have no magnitude


def images():
    rng = np.random.default_rng(20)
    smooth = lambda height, width: (
        128 + 90 * np.sin(np.arange(height)[:, None] / 3.0) * np.cos(np.arange(width)[None, :] / 4.0))
    noisy = lambda array: np.clip(array + rng.normal(0, 12, array.shape), 0, 255).astype(np.uint8)
    yield "gray", rng.integers(0, 256, (9, 7), dtype=np.uint8)
    yield "colour", rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    # A narrow range, which automatic contrast spreads, differently in each channel.
    yield "dull", np.stack([rng.integers(low, low + 40, (5, 5), dtype=np.uint8) for low in (20, 100, 200)], axis=-1)
    # Enough pixels for equalisation to have steps above 1 and to run past 255; half of it black, as drawings are.
    digit = noisy(smooth(20, 20))
    digit[digit < 110] = 0
    yield "drawing", digit
    yield "photograph", noisy(np.stack([smooth(10, 12), smooth(10, 12) * 0.6 + 30, 255 - smooth(10, 12)], axis=-1))
    yield "even", np.full((4, 4), 77, dtype=np.uint8)
    yield "small", rng.integers(0, 256, (2, 5), dtype=np.uint8)
    yield "pixel", np.array([[200]], dtype=np.uint8)


def main():
    lines = [f"# made by reference/rand_augment.py with Pillow {PIL.__version__}, NumPy {np.__version__}"]
    for name, array in images():
        colour = array.ndim == 3
        planar = lambda array: (array.transpose(2, 0, 1) if colour else array).tobytes().hex()
        height, width = array.shape[:2]
        lines.append(f"image {name} {3 if colour else 1} {height} {width} {planar(array)}")
        large = name in ("drawing", "photograph")
        for operation, apply in OPERATIONS.items():
            magnitudes = [9] if operation in FLAT or large else [0, 1, 5, 10]
            for magnitude in magnitudes:
                for sign in [1] if operation in UNSIGNED else [1, -1]:
                    result = np.asarray(apply(Image.fromarray(array), magnitude, sign))
                    assert result.shape == array.shape and result.dtype == np.uint8
                    lines.append(f"result {name} {operation} {magnitude} {sign} {planar(result)}")
    path = pathlib.Path(__file__).parent / "golden" / "rand_augment.txt"
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
