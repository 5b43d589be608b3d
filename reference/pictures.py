"""Small image files of every kind, and the pixels that Pillow gives for them. Writes crates/mentor-data/tests/pictures/.

`expected.txt` has one line a file, `NAME CHANNELS HEIGHT WIDTH OFFSET`, or `NAME refused` if Pillow refuses the file. The
pixels, [height, width, channel], begin at OFFSET of the unpacked `expected.gz`; equal pictures share theirs. They are
Pillow's except for what mentor defines: the orientation is applied, alpha is composited on white, and so is what the first
frame of a GIF leaves free; 16 bits become 8 by round(value / 257), CMYK becomes RGB by (255 - C) (255 - K) / 255, floats from
0 to 1 are multiplied by 255. In two places Pillow departs from the format, and the format counts: it compares the transparent
value of a PNG of 2 or 4 bits with widened samples, and does not invert TIFF files of 16 bits in which 0 is white.
"""

import gzip
import io
import itertools
import pathlib
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps

from jpeg_writer import encode, segment

FOLDER = pathlib.Path(__file__).parent.parent / "crates" / "mentor-data" / "tests" / "pictures"
HEIGHT, WIDTH = 29, 37  # no multiple of a block or of a byte


def photograph():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = np.stack([128 + 90 * np.sin(x / 6) * np.cos(y / 5), 60 + 3.5 * x, 225 - 5 * y], -1)
    waves[8:20, 10:30] = [230, 40, 60]
    return waves.clip(0, 255).astype(np.uint8)


RGB = photograph()
COLOUR = Image.fromarray(RGB)
GRAY = COLOUR.convert("L")
YCC = [np.asarray(band) for band in COLOUR.convert("YCbCr").split()]
CMYK = [np.asarray(band) for band in COLOUR.convert("CMYK").split()]
# With ink in the black channel too, as printers have it.
KEYED = [np.minimum(255, band.astype(int) + 20).astype(np.uint8) for band in CMYK[:3]] + [GRAY.point(lambda v: (255 - v) // 3)]
KEYED = [np.asarray(band) for band in KEYED]
ALPHA = (np.add.outer(np.arange(HEIGHT) * 5, np.arange(WIDTH) * 3) % 256).astype(np.uint8)
RGBA = Image.fromarray(np.dstack([RGB, ALPHA]))
LA = Image.merge("LA", [GRAY, Image.fromarray(ALPHA)])
WIDE = np.asarray(GRAY).astype(np.uint16) * 257 + 31  # 16 bits whose low byte is not the high one


def pillow(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


# JPEG ------------------------------------------------------------------------------------------------------------------

def exif(orientation, order="<"):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + mark + struct.pack(order + "IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)


def adobe(transform):
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


ALONE = [([c], 0, 63, 0, 0) for c in range(3)]
BANDS = [([0, 1, 2], 0, 0, 0, 0)] + [([c], a, b, 0, 0) for c in range(3) for a, b in ((1, 5), (6, 63))]
APPROXIMATED = [([0, 1, 2], 0, 0, 0, 1)] + BANDS[1:] + [([0, 1, 2], 0, 0, 1, 0)]
DC_ALONE = [([c], 0, 0, 0, 0) for c in range(3)] + [([c], 1, 63, 0, 0) for c in (2, 0, 1)]
SAMPLINGS = {
    "444": [(1, 1), (1, 1), (1, 1)], "422": [(2, 1), (1, 1), (1, 1)], "420": [(2, 2), (1, 1), (1, 1)],
    "440": [(1, 2), (1, 1), (1, 1)], "411": [(4, 1), (1, 1), (1, 1)], "410": [(4, 2), (1, 1), (1, 1)],
    "441": [(1, 4), (1, 1), (1, 1)], "444-doubled": [(2, 2), (2, 2), (2, 2)], "422-doubled": [(2, 2), (1, 2), (1, 2)],
    "luma-smaller": [(1, 1), (2, 2), (2, 2)], "chroma-unlike": [(2, 2), (2, 1), (1, 2)], "cr-full": [(2, 2), (1, 1), (2, 2)],
    "fraction": [(3, 1), (2, 1), (1, 1)], "three": [(3, 1), (1, 1), (1, 1)],
}


def jpegs():
    for name, sampling in SAMPLINGS.items():
        yield f"{name}.jpg", encode(YCC, sampling)
        yield f"{name}-scans.jpg", encode(YCC, sampling, ALONE)
        yield f"{name}-bands.jpg", encode(YCC, sampling, BANDS, frame=0xC2)
        yield f"{name}-restart.jpg", encode(YCC, sampling, restart=2)
    yield "scans-restart.jpg", encode(YCC, SAMPLINGS["420"], ALONE, restart=5)
    yield "scans-reversed.jpg", encode(YCC, SAMPLINGS["420"], ALONE[::-1])
    yield "scans-luma-chroma.jpg", encode(YCC, SAMPLINGS["420"], [([0], 0, 63, 0, 0), ([1, 2], 0, 63, 0, 0)])
    yield "scans-luma-cb.jpg", encode(YCC, SAMPLINGS["422"], [([0, 1], 0, 63, 0, 0), ([2], 0, 63, 0, 0)])
    yield "scans-comment.jpg", encode(YCC, SAMPLINGS["420"], ALONE, between=segment(0xFE, b"between scans"))
    yield "scans-missing.jpg", encode(YCC, SAMPLINGS["420"], ALONE[:2])
    yield "scans-thumbnail-size.jpg", encode([band[:5, :7] for band in YCC], SAMPLINGS["420"], ALONE)
    yield "extended.jpg", encode(YCC, SAMPLINGS["420"], frame=0xC1)
    yield "approximated.jpg", encode(YCC, SAMPLINGS["420"], APPROXIMATED, frame=0xC2)
    yield "approximated-restart.jpg", encode(YCC, SAMPLINGS["420"], APPROXIMATED, frame=0xC2, restart=3)
    yield "dc-alone.jpg", encode(YCC, SAMPLINGS["420"], DC_ALONE, frame=0xC2)
    yield "progressive-unfinished.jpg", encode(YCC, SAMPLINGS["420"], BANDS[:3], frame=0xC2)
    for subsampling, progressive, restart in itertools.product((0, 1, 2), (False, True), (0, 3)):
        options = {"restart_marker_blocks": restart} if restart else {}
        name = f"pillow-{subsampling}{'-progressive' if progressive else ''}{'-restart' if restart else ''}.jpg"
        yield name, pillow(COLOUR, "JPEG", quality=90, subsampling=subsampling, progressive=progressive, **options)
    yield "gray.jpg", pillow(GRAY, "JPEG", quality=90)
    yield "gray-progressive.jpg", pillow(GRAY, "JPEG", quality=90, progressive=True)
    yield "gray-restart.jpg", encode([YCC[0]], restart=4)
    yield "gray-doubled.jpg", encode([YCC[0]], [(2, 2)])
    yield "gray-doubled-progressive.jpg", encode([YCC[0]], [(2, 2)], [([0], 0, 0, 0, 0), ([0], 1, 63, 0, 0)], frame=0xC2)
    yield "quality-30.jpg", pillow(COLOUR, "JPEG", quality=30)
    yield "size-1x1.jpg", pillow(COLOUR.crop((0, 0, 1, 1)), "JPEG")
    yield "size-8x17.jpg", pillow(COLOUR.crop((0, 0, 17, 8)), "JPEG", quality=90)
    for orientation in range(1, 9):
        yield f"orientation-{orientation}.jpg", encode(YCC, before=segment(0xE1, exif(orientation)))
    yield "orientation-big-endian.jpg", encode(YCC, before=segment(0xE1, exif(6, ">")))
    yield "orientation-after-tables.jpg", pillow(COLOUR, "JPEG", quality=90)[:-2] + segment(0xE1, exif(6)) + b"\xff\xd9"
    yield "orientation-9.jpg", encode(YCC, before=segment(0xE1, exif(9)))
    # Colour spaces, by components, their names and Adobe's marker.
    bands = [RGB[..., c] for c in range(3)]
    yield "rgb-names.jpg", encode(bands, ids=[ord(c) for c in "RGB"])
    yield "rgb-adobe.jpg", encode(bands, before=adobe(0))
    yield "rgb-adobe-scans.jpg", encode(bands, script=ALONE, before=adobe(0))
    yield "ycc-adobe.jpg", encode(YCC, SAMPLINGS["420"], before=adobe(1))
    yield "ycc-odd-names.jpg", encode(YCC, SAMPLINGS["420"], ids=[0, 1, 2])
    yield "ycc-jfif-adobe-0.jpg", encode(YCC, before=segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + adobe(0))
    yield "cmyk-adobe.jpg", encode([255 - band for band in KEYED], before=adobe(0))
    yield "cmyk-plain.jpg", encode([255 - band for band in KEYED])
    yield "cmyk-subsampled.jpg", encode([255 - band for band in KEYED], [(2, 2), (1, 1), (1, 1), (2, 2)], before=adobe(0))
    inverted = Image.fromarray(np.dstack([255 - band for band in KEYED[:3]]))
    ycck = [255 - np.asarray(band) if False else np.asarray(band) for band in
            Image.fromarray(255 - np.asarray(inverted)).convert("YCbCr").split()] + [255 - KEYED[3]]
    yield "ycck.jpg", encode(ycck, before=adobe(2))
    yield "ycck-subsampled.jpg", encode(ycck, [(2, 2), (1, 1), (1, 1), (2, 2)], before=adobe(2))
    yield "cmyk-pillow.jpg", pillow(COLOUR.convert("CMYK"), "JPEG", quality=90)
    yield "two-components.jpg", encode(YCC[:2])
    # Markers in unusual places.
    whole = encode(YCC, SAMPLINGS["420"])
    thumbnail = encode([band[:8, :8] for band in YCC])
    yield "comment.jpg", encode(YCC, before=segment(0xFE, b"a comment"))
    yield "application-segments.jpg", encode(YCC, before=b"".join(segment(0xE0 + n, b"application %d" % n) for n in range(16)))
    yield "thumbnail.jpg", encode(YCC, before=segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail))
    yield "fill-bytes.jpg", encode(YCC, before=b"\xff\xff\xff" + segment(0xFE, b"filled")[1:], end=b"\xff\xff\xff\xd9")
    yield "garbage-before-marker.jpg", b"\xff\xd8" + segment(0xFE, b"x") + b"\0\0\0" + whole[2:]
    yield "garbage-after-end.jpg", whole + b"garbage \xff\xd8\xff\xd9 after the end"
    yield "two-pictures.jpg", whole + encode([255 - band for band in YCC])
    yield "profile.jpg", pillow(COLOUR, "JPEG", quality=90, icc_profile=b"\0" * 500)
    yield "without-end-marker.jpg", whole[:-2]
    yield "without-end-marker-progressive.jpg", encode(YCC, SAMPLINGS["420"], BANDS, frame=0xC2, end=b"")
    yield "half-an-end-marker.jpg", whole[:-1]
    yield "without-huffman-tables.jpg", without_tables(pillow(COLOUR, "JPEG", quality=90))
    # Damaged.
    for share in (30, 60, 90):
        yield f"cut-{share}.jpg", whole[:len(whole) * share // 100]
        yield f"cut-{share}-with-end.jpg", whole[:len(whole) * share // 100] + b"\xff\xd9"
    restarts = encode(YCC, restart=3)
    first, last = restarts.index(b"\xff\xd1"), restarts.index(b"\xff\xd4")
    yield "restart-lost.jpg", restarts[:first] + restarts[last:]
    yield "restart-short.jpg", restarts[:first - 20] + restarts[first:]
    # Processes that are seldom seen: the headers alone are true.
    yield "arithmetic.jpg", encode(YCC, frame=0xC9)
    yield "lossless.jpg", encode(YCC, frame=0xC3)
    yield "hierarchical.jpg", encode(YCC, frame=0xC5)
    yield "bits-12.jpg", encode(YCC, frame=0xC1, precision=12)
    yield "height-later.jpg", later_height(whole)


def without_tables(jpeg):
    """A frame of motion JPEG: the standard Huffman tables are understood."""
    out, at = jpeg[:2], 2
    while jpeg[at + 1] != 0xDA:
        length = 2 + int.from_bytes(jpeg[at + 2:at + 4], "big")
        out += jpeg[at:at + length] if jpeg[at + 1] != 0xC4 else b""
        at += length
    return out + jpeg[at:]


def later_height(jpeg):
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + b"\0\0" + jpeg[at + 2:-2] + segment(0xDC, HEIGHT.to_bytes(2, "big")) + b"\xff\xd9"


# PNG -------------------------------------------------------------------------------------------------------------------

def chunk(kind, data):
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(samples, colour_type, depth, chunks=b"", interlaced=False, after=b""):
    """`samples` [H, W, C] are written as they are, unfiltered."""
    samples = samples.reshape(*samples.shape[:2], -1)
    raw = b""
    for x, y, dx, dy in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        part = samples[y::dy, x::dx]
        for row in part if part.shape[1] else []:
            raw += b"\0" + pack(row.reshape(-1), depth)
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + chunk(b"IDAT", zlib.compress(raw, 9)) + after
            + chunk(b"IEND", b""))


def pack(values, depth):
    """Most significant bit first, padded to whole bytes."""
    if depth == 16:
        return values.astype(">u2").tobytes()
    bits = (values.astype(int)[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(-1).astype(np.uint8)).tobytes()


def palette(count):
    return (np.arange(count)[:, None] * [7, 13, 29] % 256).astype(np.uint8)


def pngs():
    gray = np.asarray(GRAY)
    wide = np.dstack([RGB.astype(np.uint16) * 257 - 31 * (RGB > 0)])
    for depth in (1, 2, 4, 8, 16):
        values = WIDE if depth == 16 else gray >> (8 - depth)
        transparent = chunk(b"tRNS", int(values[20, 20]).to_bytes(2, "big"))
        for interlaced in (False, True):
            tag = "-interlaced" if interlaced else ""
            yield f"gray-{depth}{tag}.png", png(values, 0, depth, interlaced=interlaced)
        yield f"gray-{depth}-transparent.png", png(values, 0, depth, transparent)
        if depth <= 8:
            indices = (gray >> (8 - depth)).astype(np.uint8)
            table = chunk(b"PLTE", palette(1 << depth).tobytes())
            see_through = chunk(b"tRNS", bytes(255 - 40 * n for n in range(min(1 << depth, 5))))
            for interlaced in (False, True):
                tag = "-interlaced" if interlaced else ""
                yield f"palette-{depth}{tag}.png", png(indices, 3, depth, table, interlaced)
            yield f"palette-{depth}-transparent.png", png(indices, 3, depth, table + see_through)
        if depth >= 8:
            for interlaced in (False, True):
                tag = f"{depth}{'-interlaced' if interlaced else ''}"
                colours = RGB if depth == 8 else wide
                alpha = ALPHA if depth == 8 else ALPHA.astype(np.uint16) * 257
                yield f"rgb-{tag}.png", png(colours, 2, depth, interlaced=interlaced)
                yield f"gray-alpha-{tag}.png", png(np.dstack([values, alpha]), 4, depth, interlaced=interlaced)
                yield f"rgb-alpha-{tag}.png", png(np.dstack([colours, alpha]), 6, depth, interlaced=interlaced)
    first = struct.pack(">HHH", *map(int, RGB[0, 0]))
    yield "rgb-transparent.png", png(RGB, 2, 8, chunk(b"tRNS", first))
    yield "palette-short.png", png(gray >> 4, 3, 8, chunk(b"PLTE", palette(16).tobytes()))
    yield "filtered.png", pillow(COLOUR, "PNG", optimize=True)
    yield "gamma.png", png(RGB, 2, 8, chunk(b"gAMA", struct.pack(">I", 100_000)))
    yield "suggested-palette.png", png(RGB, 2, 8, chunk(b"PLTE", palette(7).tobytes()))
    yield "significant-bits.png", png(RGB >> 3 << 3, 2, 8, chunk(b"sBIT", bytes([5, 5, 5])))
    yield "background.png", png(np.asarray(RGBA), 6, 8, chunk(b"bKGD", struct.pack(">HHH", 255, 0, 0)))
    yield "profile.png", png(RGB, 2, 8, chunk(b"iCCP", b"name\0\0" + zlib.compress(b"\0" * 500)))
    yield "text.png", png(RGB, 2, 8, chunk(b"tEXt", b"key\0value") + chunk(b"zTXt", b"key\0\0" + zlib.compress(b"v" * 99)))
    yield "unknown-chunk.png", png(RGB, 2, 8, chunk(b"prVt", b"private"))
    for orientation in (1, 3, 6, 8):
        yield f"orientation-{orientation}.png", png(RGB, 2, 8, chunk(b"eXIf", exif(orientation)[6:]))
    yield "orientation-late.png", png(RGB, 2, 8, after=chunk(b"eXIf", exif(6)[6:]))
    yield "animated.png", pillow(COLOUR, "PNG", save_all=True, append_images=[ImageOps.invert(COLOUR)])
    yield "animated-default.png", pillow(COLOUR, "PNG", save_all=True, default_image=True,
                                         append_images=[ImageOps.invert(COLOUR), COLOUR])
    whole = png(RGB, 2, 8)
    yield "cut-50.png", whole[:len(whole) // 2]
    yield "without-end.png", whole[:-12]
    yield "rows-missing.png", rows_missing()
    yield "wrong-checksum.png", whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]


def rows_missing():
    whole = png(RGB, 2, 8)
    return whole[:16] + struct.pack(">II", WIDTH, HEIGHT + 10) + whole[24:29] + zlib.crc32(
        b"IHDR" + struct.pack(">II", WIDTH, HEIGHT + 10) + whole[24:29]).to_bytes(4, "big") + whole[33:]


# GIF, BMP, WebP, PNM ---------------------------------------------------------------------------------------------------

def gifs():
    table = COLOUR.quantize(64)
    yield "plain.gif", pillow(table, "GIF", interlace=0)
    yield "interlaced.gif", pillow(table, "GIF", interlace=1)
    yield "transparent.gif", pillow(table, "GIF", transparency=3)
    yield "gray.gif", pillow(GRAY, "GIF")
    yield "animated.gif", pillow(table, "GIF", save_all=True, append_images=[ImageOps.invert(COLOUR).quantize(64)])
    whole = pillow(table, "GIF")
    yield "cut-50.gif", whole[:len(whole) // 2]
    yield "without-end.gif", whole[:-1]
    at = whole.index(b"\x2c\0\0\0\0" + struct.pack("<HH", WIDTH, HEIGHT))
    for name, canvas, left, top in (("offset", (WIDTH + 9, HEIGHT + 6), 5, 4), ("beyond-canvas", (WIDTH - 9, HEIGHT), 0, 0)):
        moved = bytearray(whole)
        moved[6:10] = struct.pack("<HH", *canvas)
        moved[at + 1:at + 5] = struct.pack("<HH", left, top)
        yield f"{name}.gif", bytes(moved)


def bmp(bits, rows, *, compression=0, colours=b"", masks=b"", height=HEIGHT, header=40):
    info = struct.pack("<IiiHHIIiiII", header, WIDTH, height, 1, bits, compression, len(rows), 0, 0, len(colours) // 4, 0)
    if header > 40:
        info += masks.ljust(header - 40, b"\0")
        masks = b""
    start = 14 + len(info) + len(masks) + len(colours)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + masks + colours + rows


def bmps():
    gray = np.asarray(GRAY)
    padded = lambda row: row + b"\0" * (-len(row) % 4)
    rows = lambda array, depth: b"".join(padded(pack(row, depth)) for row in array[::-1])
    table = lambda count: b"".join(bytes([b, g, r, 0]) for r, g, b in palette(count).tolist())
    for bits in (1, 4, 8):
        yield f"palette-{bits}.bmp", bmp(bits, rows(gray >> (8 - bits), bits), colours=table(1 << bits))
    bgr = RGB[..., ::-1]
    true_colour = b"".join(padded(row.tobytes()) for row in bgr[::-1])
    yield "rgb-24.bmp", bmp(24, true_colour)
    yield "top-down.bmp", bmp(24, b"".join(padded(row.tobytes()) for row in bgr), height=-HEIGHT)
    four = np.dstack([bgr, np.full((HEIGHT, WIDTH), 0, np.uint8)])[::-1].tobytes()
    yield "rgb-32.bmp", bmp(32, four)
    alpha = np.dstack([bgr, ALPHA])[::-1].tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    yield "rgb-32-fourth-byte.bmp", bmp(32, alpha)
    yield "rgba-32.bmp", bmp(32, alpha, compression=3, masks=masks, header=108)
    wide = RGB.astype(np.uint16)
    r5g5b5 = (wide[..., 0] >> 3 << 10) | (wide[..., 1] >> 3 << 5) | wide[..., 2] >> 3
    r5g6b5 = (wide[..., 0] >> 3 << 11) | (wide[..., 1] >> 2 << 5) | wide[..., 2] >> 3
    words = lambda array: b"".join(padded(row.astype("<u2").tobytes()) for row in array[::-1])
    yield "rgb-16-555.bmp", bmp(16, words(r5g5b5))
    yield "rgb-16-565.bmp", bmp(16, words(r5g6b5), compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))
    yield "rle-8.bmp", bmp(8, run_lengths(gray[::-1] >> 4), compression=1, colours=table(256))
    yield "rle-4.bmp", bmp(4, run_lengths(gray[::-1] >> 4, 17), compression=2, colours=table(16))
    yield "pillow-1.bmp", pillow(GRAY.convert("1"), "BMP")
    yield "pillow-gray.bmp", pillow(GRAY, "BMP")
    whole = bmp(24, true_colour)
    yield "cut-50.bmp", whole[:len(whole) // 2]


def run_lengths(rows, factor=1):
    out = b""
    for row in rows:
        for value, run in itertools.groupby(row.tolist()):
            out += bytes([len(list(run)), value * factor])
        out += b"\0\0"
    return out[:-2] + b"\0\1"


def webps():
    yield "lossy.webp", pillow(COLOUR, "WEBP", quality=90)
    yield "lossless.webp", pillow(COLOUR, "WEBP", lossless=True)
    yield "lossy-alpha.webp", pillow(RGBA, "WEBP", quality=90)
    yield "lossless-alpha.webp", pillow(RGBA, "WEBP", lossless=True, exact=True)
    yield "gray.webp", pillow(GRAY, "WEBP", lossless=True)
    yield "animated.webp", pillow(COLOUR, "WEBP", save_all=True, append_images=[ImageOps.invert(COLOUR)], lossless=True)
    yield "animated-alpha.webp", pillow(RGBA, "WEBP", save_all=True, append_images=[COLOUR.convert("RGBA")], lossless=True,
                                        exact=True)
    yield "orientation-6.webp", pillow(COLOUR, "WEBP", lossless=True, exif=exif(6))
    yield "profile.webp", pillow(COLOUR, "WEBP", lossless=True, icc_profile=b"\0" * 500)
    whole = pillow(COLOUR, "WEBP", lossless=True)
    yield "cut-50.webp", whole[:len(whole) // 2]


def pnms():
    gray = np.asarray(GRAY)
    numbers = lambda array: "\n".join(" ".join(map(str, row)) for row in array.reshape(len(array), -1).tolist()).encode()
    head = lambda kind, *rest: f"P{kind} # a comment\n{WIDTH} {HEIGHT}\n{' '.join(map(str, rest))}".strip().encode() + b"\n"
    bits = (gray < 128).astype(np.uint8)
    yield "bits-ascii.pbm", head(1) + numbers(bits)
    yield "gray-ascii.pgm", head(2, 255) + numbers(gray)
    yield "rgb-ascii.ppm", head(3, 255) + numbers(RGB[:10].repeat(4, 0)[:HEIGHT])
    yield "bits.pbm", head(4) + b"".join(pack(row, 1) for row in bits)
    yield "gray.pgm", head(5, 255) + gray.tobytes()
    yield "rgb.ppm", head(6, 255) + RGB.tobytes()
    yield "gray-16.pgm", head(5, 65535) + WIDE.astype(">u2").tobytes()
    yield "rgb-16.ppm", head(6, 65535) + (RGB.astype(np.uint16) * 257).astype(">u2").tobytes()
    yield "gray-max-15.pgm", head(5, 15) + (gray >> 4).tobytes()
    yield "gray-max-1000.pgm", head(5, 1000) + (gray.astype(int) * 1000 // 255).astype(">u2").tobytes()
    yield "rgb-max-100.ppm", head(6, 100) + (RGB.astype(int) * 100 // 255).astype(np.uint8).tobytes()
    yield "cut-50.ppm", (head(6, 255) + RGB.tobytes())[:2500]
    pam = f"P7\nWIDTH {WIDTH}\nHEIGHT {HEIGHT}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n".encode()
    yield "rgba.pam", pam + np.asarray(RGBA).tobytes()


# TIFF ------------------------------------------------------------------------------------------------------------------

def tiff(samples, photometric, *, tags=None, planar=False, tile=None, order="<", compression=1, rows_per_strip=None,
         bits=None, sample_format=1):
    """`samples` [H, W, C] of an unsigned or floating type; `bits` below 8 packs them."""
    samples = samples.reshape(*samples.shape[:2], -1)
    height, width, count = samples.shape
    bits = bits or samples.dtype.itemsize * 8
    encode = {1: lambda raw: raw, 8: lambda raw: zlib.compress(raw, 9)}[compression]

    def raw(part):
        if bits < 8:
            return b"".join(pack(row.reshape(-1), bits) for row in part)
        return part.astype(part.dtype.newbyteorder(order)).tobytes()

    parts = []
    for plane in [samples[..., c:c + 1] for c in range(count)] if planar else [samples]:
        if tile:
            padded = np.pad(plane, ((0, -height % tile), (0, -width % tile), (0, 0)))
            parts += [padded[y:y + tile, x:x + tile] for y in range(0, height, tile) for x in range(0, width, tile)]
        else:
            step = rows_per_strip or height
            parts += [plane[y:y + step] for y in range(0, height, step)]
    parts = [encode(raw(part)) for part in parts]
    lengths = [len(part) for part in parts]
    offsets = [8 + sum(lengths[:n]) for n in range(len(parts))]
    entries = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * count), 259: (3, [compression]),
               262: (3, [photometric]), 277: (3, [count]), 284: (3, [2 if planar else 1])}
    if sample_format != 1:
        entries[339] = (3, [sample_format] * count)
    if tile:
        entries |= {322: (4, [tile]), 323: (4, [tile]), 324: (4, offsets), 325: (4, lengths)}
    else:
        entries |= {273: (4, offsets), 278: (4, [rows_per_strip or height]), 279: (4, lengths)}
    entries |= tags or {}
    data = b"".join(parts)
    data += b"\0" * (len(data) % 2)
    directory_at = 8 + len(data)
    extra_at = directory_at + 2 + 12 * len(entries) + 4
    directory, extra = struct.pack(order + "H", len(entries)), b""
    for tag, (kind, values) in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(values)}{'.BBHI'[kind]}", *values)
        if len(packed) > 4:
            field, extra = struct.pack(order + "I", extra_at + len(extra)), extra + packed + b"\0" * (len(packed) % 2)
        else:
            field = packed.ljust(4, b"\0")
        directory += struct.pack(order + "HHI", tag, kind, len(values)) + field
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", directory_at) + data + directory + b"\0\0\0\0" + extra


def tiffs():
    gray = np.asarray(GRAY)
    small, small_gray = RGB[:12, :20], gray[:12, :20]
    wide = RGB.astype(np.uint16) * 257
    for name, compression in (("raw", None), ("lzw", "tiff_lzw"), ("deflate", "tiff_adobe_deflate"), ("packbits", "packbits")):
        yield f"rgb-{name}.tif", pillow(COLOUR, "TIFF", compression=compression)
        yield f"gray-{name}.tif", pillow(GRAY, "TIFF", compression=compression)
    yield "lzw-predicted.tif", pillow(COLOUR, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    yield "jpeg.tif", pillow(COLOUR, "TIFF", compression="jpeg", quality=90)
    yield "fax-4.tif", pillow(GRAY.convert("1"), "TIFF", compression="group4")
    yield "bits.tif", pillow(GRAY.convert("1"), "TIFF")
    yield "palette.tif", pillow(COLOUR.quantize(64), "TIFF")
    yield "palette-lzw.tif", pillow(COLOUR.quantize(64), "TIFF", compression="tiff_lzw")
    yield "rgba.tif", pillow(RGBA, "TIFF")
    yield "gray-alpha.tif", pillow(LA, "TIFF")
    yield "cmyk.tif", pillow(Image.merge("CMYK", [Image.fromarray(band) for band in KEYED]), "TIFF")
    yield "gray-16.tif", tiff(WIDE, 1)
    yield "gray-16-big-endian.tif", tiff(WIDE, 1, order=">")
    yield "rgb-16.tif", tiff(wide, 2, compression=8)
    yield "rgb-16-big-endian.tif", tiff(wide, 2, order=">", compression=8)
    yield "gray-2.tif", tiff(gray >> 6, 1, bits=2)
    yield "gray-4.tif", tiff(gray >> 4, 1, bits=4)
    ramp = palette(16)
    yield "palette-4.tif", tiff(gray >> 4, 3, bits=4, tags={320: (3, [int(v) * 257 for v in ramp.T.reshape(-1)])})
    yield "white-is-zero.tif", tiff(255 - gray, 0)
    yield "white-is-zero-bits.tif", tiff((gray < 128).astype(np.uint8), 0, bits=1)
    yield "white-is-zero-16.tif", tiff(65535 - WIDE, 0)
    yield "planar.tif", tiff(RGB, 2, planar=True)
    yield "planar-deflate.tif", tiff(RGB, 2, planar=True, compression=8, rows_per_strip=10)
    yield "strips.tif", tiff(RGB, 2, rows_per_strip=5)
    yield "tiles.tif", tiff(RGB, 2, tile=16)
    yield "tiles-deflate-16.tif", tiff(wide, 2, tile=32, compression=8)
    yield "tiles-planar.tif", tiff(RGB, 2, tile=16, planar=True, compression=8)
    yield "associated-alpha.tif", tiff(premultiplied(), 2, tags={338: (3, [1])})
    yield "unassociated-alpha.tif", tiff(np.asarray(RGBA), 2, tags={338: (3, [2])})
    yield "unspecified-fourth.tif", tiff(np.asarray(RGBA), 2, tags={338: (3, [0])})
    for orientation in (3, 6):
        yield f"orientation-{orientation}.tif", tiff(RGB, 2, tags={274: (3, [orientation])})
    yield "gray-float-to-1.tif", tiff((small_gray / 255).astype(np.float32), 1, sample_format=3)
    yield "gray-float-to-255.tif", tiff(small_gray.astype(np.float32), 1, sample_format=3)
    yield "rgb-float-to-1.tif", tiff((small / 255).astype(np.float32), 2, sample_format=3)
    yield "rgb-float-to-255.tif", tiff(small.astype(np.float32), 2, sample_format=3)
    yield "gray-32.tif", tiff(small_gray.astype(np.uint32) << 24, 1)
    yield "gray-signed.tif", tiff(small_gray.astype(np.int16), 1, sample_format=2)
    yield "two-pages.tif", pillow(COLOUR, "TIFF", save_all=True, append_images=[GRAY])
    whole = tiff(RGB, 2, rows_per_strip=5)
    yield "cut-50.tif", whole[:len(whole) // 2]


def premultiplied():
    colour = np.asarray(RGBA).astype(int)
    return np.dstack([(colour[..., :3] * colour[..., 3:] + 127) // 255, ALPHA]).astype(np.uint8)


# Expectation -----------------------------------------------------------------------------------------------------------

def expected(data, name):
    """[H, W] or [H, W, 3] of bytes, or None if Pillow refuses the file."""
    try:
        image = Image.open(io.BytesIO(data))
        tags = getattr(image, "tag_v2", {})
        frame = image.tile[0][1] if image.format == "GIF" else None
        image.load()
        image = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, struct.error):
        return None
    if image.mode == "CMYK":
        ink = np.asarray(image).astype(int)
        return ((255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255).round().astype(np.uint8)
    if image.mode.startswith("I;16") or image.mode == "I":
        wide = np.asarray(image).astype(float)
        gray = (wide / 257).round().clip(0, 255).astype(np.uint8)
        if tags.get(262) == 0:
            gray = 255 - gray
        clear = image.info.get("transparency")
        return gray if clear is None else np.where(wide == clear, 255, gray).astype(np.uint8)
    if image.mode == "F":
        floats = np.asarray(image)
        return (floats * (255 if floats.max() <= 1 else 1)).round().clip(0, 255).astype(np.uint8)
    if data[1:4] == b"PNG" and image.mode == "L" and "transparency" in image.info and data[24] < 8:
        image.info["transparency"] *= 255 // ((1 << data[24]) - 1)
    if "transparency" in image.info and image.mode != "RGBA":
        image = image.convert("RGBA")
    if image.mode == "P":
        image = image.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in ("LA", "RGBA", "PA", "RGBa"):
        pixels = np.asarray(image.convert("RGBA")).astype(float)
        alpha = pixels[..., 3:] / 255
        pixels = (pixels[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    else:
        pixels = np.asarray(image.convert("RGB" if image.mode not in ("L",) else "L"))
    if frame:
        free = np.ones(pixels.shape[:2], bool)
        free[frame[1]:frame[3], frame[0]:frame[2]] = False
        pixels = np.where(free[..., None] if pixels.ndim == 3 else free, 255, pixels).astype(np.uint8)
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    return pixels


def main():
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    lines = [f"# made by reference/pictures.py with Pillow {PIL.__version__}, NumPy {np.__version__}"]
    packed, offsets = b"", {}
    for name, data in itertools.chain(jpegs(), pngs(), gifs(), bmps(), webps(), pnms(), tiffs()):
        assert not (FOLDER / name).exists(), name
        (FOLDER / name).write_bytes(data)
        pixels = expected(data, name)
        if pixels is None:
            lines.append(f"{name} refused")
            continue
        raw = np.ascontiguousarray(pixels).tobytes()
        if raw not in offsets:
            offsets[raw] = len(packed)
            packed += raw
        channels = 1 if pixels.ndim == 2 else 3
        lines.append(f"{name} {channels} {pixels.shape[0]} {pixels.shape[1]} {offsets[raw]}")
    (FOLDER / "expected.txt").write_text("\n".join(lines) + "\n")
    (FOLDER / "expected.gz").write_bytes(gzip.compress(packed, 9, mtime=0))


if __name__ == "__main__":
    main()
