"""A small JPEG encoder for scan scripts that Pillow cannot write: any sampling factors, one scan a component, spectral
selection, restart intervals, colour spaces and markers. For the test pictures of pictures.py alone."""

import numpy as np

ZIGZAG = np.array([
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55,
    62, 63])
# Codes of equal length for every symbol that can occur: not compact, but short to write down. 12 DC categories need 4
# bits, and all 256 pairs of run and size 9, so that no code consists of ones alone.
DC_SYMBOLS, DC_BITS = list(range(12)), 4
AC_SYMBOLS, AC_BITS = list(range(256)), 9
DCT = np.array([[np.sqrt((1 if k == 0 else 2) / 8) * np.cos((2 * n + 1) * k * np.pi / 16) for n in range(8)]
                for k in range(8)])


def segment(marker, payload):
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload


class Bits:
    def __init__(self):
        self.bits = []

    def put(self, value, length):
        self.bits.extend((value >> shift) & 1 for shift in range(length - 1, -1, -1))

    def signed(self, value, length):
        self.put(value if value > 0 else value + (1 << length) - 1, length)

    def flush(self):
        padded = self.bits + [1] * (-len(self.bits) % 8)
        self.bits = []
        return np.packbits(np.array(padded, np.uint8)).tobytes().replace(b"\xff", b"\xff\x00")


def size_of(value):
    return int(abs(value)).bit_length()


def coefficients(planes, sampling, quality_step):
    """Quantised coefficients [block row, block column, 64] of every component, in zigzag order, and its true block grid."""
    height, width = planes[0].shape
    h_max, v_max = max(h for h, _ in sampling), max(v for _, v in sampling)
    mcus_y, mcus_x = -(-height // (8 * v_max)), -(-width // (8 * h_max))
    result = []
    for plane, (h, v) in zip(planes, sampling):
        own_height, own_width = -(-height * v // v_max), -(-width * h // h_max)
        padded = np.pad(plane.astype(float), ((0, -height % v_max), (0, -width % h_max)), mode="edge")
        if h_max % h == 0 and v_max % v == 0:
            fy, fx = v_max // v, h_max // h
            small = padded.reshape(padded.shape[0] // fy, fy, padded.shape[1] // fx, fx).mean((1, 3))
        else:  # a fraction: the nearest sample
            rows, columns = np.arange(own_height) * v_max // v, np.arange(own_width) * h_max // h
            small = padded[np.minimum(rows, height - 1)][:, np.minimum(columns, width - 1)]
        small = small[:own_height, :own_width]
        full = np.pad(small, ((0, mcus_y * v * 8 - own_height), (0, mcus_x * h * 8 - own_width)), mode="edge") - 128
        blocks = full.reshape(mcus_y * v, 8, mcus_x * h, 8).transpose(0, 2, 1, 3)
        values = np.rint(DCT @ blocks @ DCT.T / quality_step).astype(int).reshape(mcus_y * v, mcus_x * h, 64)
        result.append((values[:, :, ZIGZAG], -(-own_height // 8), -(-own_width // 8)))
    return result, (mcus_y, mcus_x)


def encode(planes, sampling=None, script=None, *, frame=0xC0, ids=None, restart=0, step=4, before=b"", between=b"",
           end=b"\xff\xd9", precision=8):
    """The file. `planes` are the components [H, W] at full size; `script` lists scans `(components, Ss, Se, Ah, Al)`."""
    count = len(planes)
    sampling = sampling or [(1, 1)] * count
    script = script or [(list(range(count)), 0, 63, 0, 0)]
    ids = ids or list(range(1, count + 1))
    height, width = planes[0].shape
    coefs, (mcus_y, mcus_x) = coefficients(planes, sampling, step)
    progressive = frame == 0xC2
    out = b"\xff\xd8" + before + segment(0xDB, bytes([0]) + bytes([step]) * 64)
    frame_header = bytes([precision]) + height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes([count])
    for identifier, (h, v) in zip(ids, sampling):
        frame_header += bytes([identifier, h << 4 | v, 0])
    out += segment(frame, frame_header)
    for kind, symbols, length in ((0x00, DC_SYMBOLS, DC_BITS), (0x10, AC_SYMBOLS, AC_BITS)):
        # A length holds at most 255 codes: the last symbol of 256 is never used.
        symbols = symbols[:255]
        counts = [len(symbols) if bits == length else 0 for bits in range(1, 17)]
        out += segment(0xC4, bytes([kind]) + bytes(counts) + bytes(symbols))
    if restart:
        out += segment(0xDD, restart.to_bytes(2, "big"))
    for number, (components, start, stop, high, low) in enumerate(script):
        if number:
            out += between
        header = bytes([len(components)]) + b"".join(bytes([ids[c], 0]) for c in components)
        out += segment(0xDA, header + bytes([start, stop, high << 4 | low]))
        if len(components) == 1:
            values, rows, columns = coefs[components[0]]
            units = [[(components[0], values[y, x])] for y in range(rows) for x in range(columns)]
        else:
            units = []
            for my in range(mcus_y):
                for mx in range(mcus_x):
                    units.append([(c, coefs[c][0][my * sampling[c][1] + y, mx * sampling[c][0] + x])
                                  for c in components for y in range(sampling[c][1]) for x in range(sampling[c][0])])
        bits, previous, marker = Bits(), [0] * count, 0
        for index, unit in enumerate(units):
            if restart and index and index % restart == 0:
                out += bits.flush() + bytes([0xFF, 0xD0 + marker])
                marker, previous = (marker + 1) % 8, [0] * count
            for component, block in unit:
                if start == 0:
                    value = int(block[0]) >> low
                    if high:
                        bits.put(value & 1, 1)
                    else:
                        difference, previous[component] = value - previous[component], value
                        bits.put(size_of(difference), DC_BITS)
                        bits.signed(difference, size_of(difference))
                if stop == 0:
                    continue
                run = 0
                band = [int(np.sign(v)) * (abs(int(v)) >> low) for v in block[max(start, 1):stop + 1]]
                while band and band[-1] == 0:
                    band.pop()
                for value in band:
                    if value == 0:
                        run += 1
                        continue
                    while run > 15:
                        bits.put(0xF0, AC_BITS)
                        run -= 16
                    bits.put(run << 4 | size_of(value), AC_BITS)
                    bits.signed(value, size_of(value))
                    run = 0
                if len(band) < stop + 1 - max(start, 1):
                    bits.put(0x00, AC_BITS)
        out += bits.flush()
    assert progressive or all(stop == 63 for _, _, stop, _, _ in script)
    return out + end
