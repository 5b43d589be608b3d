"""Makes the seeds in seeds/TARGET/ from tiny data and from runs of the binary.

    python3 fuzz/make_seeds.py target/debug/mentor

Some targets take their first byte as a choice; see src/parsers/.
"""

import gzip
import io
import json
import pathlib
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib

HERE = pathlib.Path(__file__).parent
PICTURES = HERE.parent / "crates/mentor-data/tests/pictures"


def seed(target, name, *parts):
    data = b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)
    path = HERE / "seeds" / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def png(side, pixels):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(pixels[y * side : (y + 1) * side]) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def npy(descr, shape, values):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


def idx(kind, shape, values):
    return bytes([0, 0, kind, len(shape)]) + b"".join(struct.pack(">I", side) for side in shape) + values


def picture(bright, noise):
    """4x4 pixels, bright on the left or on the right."""
    return [(200 if (at % 4 < 2) == bright else 20) + (at * 7 + noise * 13) % 40 for at in range(16)]


def shards():
    """Images in class folders, and images with labels beside them."""
    pictures = [png(4, picture(at % 2 == 0, at)) for at in range(8)]
    folders = [(f"{'ab'[at % 2]}/{at}.png", data) for at, data in enumerate(pictures)]
    keyed = [entry for at, data in enumerate(pictures) for entry in (
        (f"{at}.png", data), (f"{at}.cls", b"01"[at % 2 : at % 2 + 1]),
        (f"{at}.json", json.dumps({"id": f"i{at}", "label": "ab"[at % 2], "split": "train"}).encode()),
    )]
    long = [("d" * 150 + "/" + name, data) for name, data in folders]
    forms = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
    for name, entries in (("folders", folders), ("keyed", keyed), ("long", long)):
        for form, number in forms.items():
            file = io.BytesIO()
            with tarfile.open(fileobj=file, mode="w", format=number) as archive:
                for entry, data in entries:
                    member = tarfile.TarInfo(entry)
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
            for kind in (0, 1):
                seed("tar", f"{name}-{form}-{kind}", bytes([kind]), file.getvalue())


def arrays():
    floats = struct.pack("<16f", *[at / 15 for at in range(16)])
    images = {
        "bytes": npy("|u1", "(4, 2, 2)", bytes(range(16))),
        "floats": npy("<f4", "(4, 1, 2, 2)", floats),
        "wide": npy(">i2", "(4, 2, 2, 1)", struct.pack(">16h", *range(16))),
        "half": npy("<f2", "(4, 2, 2)", struct.pack("<16e", *range(16))),
    }
    labels = {
        "bytes": npy("|u1", "(4,)", bytes([0, 1, 0, 1])),
        "longs": npy("<i8", "(4, 1)", struct.pack("<4q", 0, 1, 0, 1)),
    }
    for name, array in images.items():
        seed("npy", "x-" + name, b"\0", array)
        for method in [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]:
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w", method) as archive:
                archive.writestr("x.npy", array)
                archive.writestr("y.npy", labels["bytes"])
                if name == "bytes":
                    archive.writestr("x_test.npy", array)
                    archive.writestr("y_test.npy", labels["longs"])
            seed("npz", f"{name}-{method}", file.getvalue())
    for name, array in labels.items():
        seed("npy", "y-" + name, b"\1", array)

    images = idx(8, [4, 2, 2], bytes(range(16)))
    for name, kind, array in [
        ("images", 0, images),
        ("images-compressed", 2, images),
        ("images-gzip", 0, gzip.compress(images, mtime=0)),
        ("labels", 1, idx(8, [4], bytes([0, 1, 0, 1]))),
        ("labels-integers", 1, idx(12, [4, 2], struct.pack(">8i", 0, 7, 1, 7, 0, 7, 1, 7))),
        ("labels-gzip", 1, gzip.compress(idx(8, [4], bytes([0, 1, 0, 1])), mtime=0)),
    ]:
        seed("idx", name, bytes([kind]), array)


def tables():
    rows = "path,label\na.pgm,x\nb.pgm,y\nc.pgm,x\nd.pgm,y\n"
    seed("manifest", "commas", rows)
    seed("manifest", "semicolons", "sep=;\r\n" + rows.replace(",", ";").replace("\n", "\r\n"))
    seed("manifest", "tabs-utf-16", rows.replace(",", "\t").encode("utf-16"))
    splits = [
        "label,path,split,more",
        'x,"./a.pgm",train,1',
        "y,file://b.pgm,train,",
        'x,c%2Epgm,test,"2\n"',
        "y,d.pgm,val,3\n",
    ]
    seed("manifest", "splits", "\n".join(splits))
    seed("triplets", "commas", "anchor,positive,negative\n", "digits[0],digits[1],digits[2]\n0,1,2\n")


def pictures():
    for name in [
        "gray-2.png", "palette-2-interlaced.png", "bits.pbm", "gray-progressive.jpg", "pillow-2.jpg",
        "gray.jpg",
        "lossy.webp", "lossless.webp", "fax-4.tif", "gray-lzw.tif", "gray-deflate.tif", "gray-packbits.tif",
        "rle-4.bmp", "palette-1.bmp", "plain.gif", "orientation-6.webp",
    ]:  # fmt: skip
        seed("image", name, (PICTURES / name).read_bytes())


def runs(mentor, folder):
    def run(*arguments):
        subprocess.run([mentor, *arguments, "-q"], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    def data(name, count, noise):
        for kind in range(2):
            place = folder / name / f"c{kind}"
            place.mkdir(parents=True)
            for at in range(count):
                (place / f"{at}.png").write_bytes(png(4, picture(kind == 0, noise + at)))

    data("data", 14, 0)
    data("unlabelled", 8, 20)
    short = ["--data", "data", "--model", "linear", "--epochs", "2", "--batch-size", "8"]
    each = ["--set", "training.checkpoint_secs=0"]
    run("train", *short, *each, "--out", "classifier")
    run("train", *short[:-2], "--loss", "triplet", "--embedding-size", "2", "--out", "embeddings")
    run("distill", *short, "--teacher", "classifier", "--no-baseline", "--out", "student")
    run("distill", *short[:-2], "--teacher", "embeddings", "--mode", "relational", "--embedding-size", "2",
        "--no-baseline", "--out", "relational")  # fmt: skip
    run("self-train", *short, "--unlabelled", "unlabelled", "--rounds", "1", "--noise-augment", "shift",
        "--no-baseline", "--out", "self")  # fmt: skip
    for number, (name, record) in enumerate([
        ("summary", "classifier"),
        ("model", "classifier"),
        ("analysis", "classifier"),
        ("embeddings", "embeddings"),
        ("distillation", "student"),
        ("embedding-fidelity", "relational"),
        ("self_training", "self"),
    ]):  # fmt: skip
        content = (folder / record / f"{name}.json").read_bytes()
        seed("record", name, bytes([number]), content)
        seed("report", name, bytes([number]), content)
    for name in ["classifier", "embeddings", "student", "relational", "self"]:
        place = folder / name
        seed("config", name, (place / "config.toml").read_bytes())
        seed("plan", name, (place / "config.toml").read_bytes())
        seed("model_json", name, (place / "model.json").read_bytes())
        if name != "self":
            seed("metrics", name, (place / "metrics.jsonl").read_bytes())
    seed("report", "metrics", bytes([7]), (folder / "classifier/metrics.jsonl").read_bytes())
    seed("weights", "linear", (folder / "classifier/model.safetensors").read_bytes())
    labels = folder / "self/round-1/labels/labels.parquet"
    manifest = labels.with_name("labels.parquet.json").read_bytes()
    seed("labels", "shard", bytes([json.loads(manifest)["num_rows"]]), labels.read_bytes())
    seed("labels_manifest", "shard", manifest)
    seed("teacher_cache", "scores", b"\0", (folder / "student/teacher-1.cache").read_bytes())


def checkpoints(mentor, folder):
    """The target trains on this archive, so that its checkpoints are of the same data."""
    pixels = b"".join(bytes(picture(at % 2 == 0, at)) for at in range(20))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy("|u1", "(20, 4, 4)", pixels))
        archive.writestr("y.npy", npy("|u1", "(20,)", bytes(at % 2 for at in range(20))))
    seed("npz", "training", file.getvalue())
    (folder / "data.npz").write_bytes(file.getvalue())
    (folder / "run.toml").write_text("""[data]
source = 'data.npz'
[model]
name = 'mlp:2'
[optimizer]
batch_size = 8
[training]
epochs = 2
min_updates = 0
checkpoint_secs = 0.0
ema = 0.5
""")
    command = [mentor, "train", "--config", "run.toml", "-q", "--out", "run"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seed("plan", "checkpoint", (folder / "run.toml").read_bytes())
    for path in sorted((folder / "run/checkpoints").glob("*.safetensors")):
        seed("checkpoint", path.stem, b"\1", path.read_bytes())
    seed("weights", "mlp", (folder / "run/model.safetensors").read_bytes())


def dictionaries():
    """Words for the fuzzer: those of the seeds that are text, and the marks of image files."""
    texts = ["npy", "manifest", "triplets", "config", "plan", "metrics", "record", "report", "model_json",
             "labels_manifest", "checkpoint"]  # fmt: skip
    words = {}
    for target in texts:
        found = set()
        for path in (HERE / "seeds" / target).iterdir():
            found.update(re.findall(rb"[A-Za-z_][\w|<>-]{2,40}", path.read_bytes()))
        words[target] = {f'"{word.decode()}"' for word in found}
    for target in ["config", "plan", "metrics", "record", "report", "model_json", "labels_manifest"]:
        words[target] |= {'"null"', '"1e999"', '"-1"', '"18446744073709551615"', '"[]"', '"{}"'}
    words["image"] = {f'"{word}"' for word in
        "IHDR IDAT IEND PLTE tRNS eXIf iCCP acTL fcTL VP8X VP8L VP8\\x20 ALPH ANIM ANMF EXIF ICCP RIFF WEBP "
        "GIF89a NETSCAPE2.0 JFIF Adobe \\xff\\xd8 \\xff\\xd9 \\xff\\xda \\xff\\xc0 \\xff\\xc2 "
        "\\xff\\xc4 \\xff\\xdd II*\\x00 MM\\x00* P1 P4 P5 P6 P7 TUPLTYPE RGB_ALPHA".split()}  # fmt: skip
    words["npz"] = {'"x.npy"', '"y.npy"', '"x_test.npy"', '"y_test.npy"', '"PK\\x03\\x04"', '"PK\\x01\\x02"'}
    for target, found in words.items():
        path = HERE / "dictionaries" / f"{target}.dict"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(sorted(found)) + "\n")


def main():
    arrays()
    shards()
    tables()
    pictures()
    mentor = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        runs(mentor, pathlib.Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        checkpoints(mentor, pathlib.Path(folder))
    dictionaries()


if __name__ == "__main__":
    main()
