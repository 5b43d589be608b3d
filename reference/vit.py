"""Golden numbers of the vision transformer, from PyTorch in double precision. Writes golden/vit.txt.

The blocks are PyTorch's own encoder layers, pre-norm with exact GELU, the patches its convolution, so that nothing but the formula of
the weights is shared with the code under test. Two heads, two blocks, images of 2 × 8 × 12.
"""

import pathlib

import torch
from torch import nn

PATCH, WIDTH, DEPTH, CHANNELS, HEIGHT, IMAGE_WIDTH, CLASSES = 4, 128, 2, 2, 8, 12, 3
TOKENS = (HEIGHT // PATCH) * (IMAGE_WIDTH // PATCH)


def weight(parameter: int, shape: tuple[int, ...]) -> torch.Tensor:
    index = torch.arange(torch.Size(shape).numel())
    return ((((index * 37 + parameter * 101) % 257) - 128).double() / 2048).reshape(shape)


class Weights:
    """Hands out the parameters in the order of the network."""

    def __init__(self) -> None:
        self.next = 0

    def take(self, *shape: int) -> torch.Tensor:
        self.next += 1
        return weight(self.next - 1, shape)

    def dense(self, inputs: int, outputs: int) -> dict[str, torch.Tensor]:
        """The weight is stored as [inputs, outputs]; PyTorch's is the transpose."""
        return {"weight": self.take(inputs, outputs).T, "bias": self.take(outputs)}

    def norm(self) -> dict[str, torch.Tensor]:
        return {"weight": 1 + self.take(WIDTH), "bias": self.take(WIDTH)}


def main() -> None:
    torch.set_default_dtype(torch.float64)
    weights = Weights()
    embed = nn.Conv2d(CHANNELS, WIDTH, PATCH, stride=PATCH)
    patches = weights.dense(CHANNELS * PATCH * PATCH, WIDTH)
    embed.load_state_dict({"weight": patches["weight"].reshape(embed.weight.shape), "bias": patches["bias"]})
    positions = weights.take(TOKENS, WIDTH)
    blocks = []
    for _ in range(DEPTH):
        block = nn.TransformerEncoderLayer(
            WIDTH, WIDTH // 64, 4 * WIDTH, dropout=0.0, activation="gelu", layer_norm_eps=1e-6,
            batch_first=True, norm_first=True,
        )  # fmt: skip
        parts = [
            ("norm1.", weights.norm()),
            ("self_attn.in_proj_", weights.dense(WIDTH, 3 * WIDTH)),
            ("self_attn.out_proj.", weights.dense(WIDTH, WIDTH)),
            ("norm2.", weights.norm()),
            ("linear1.", weights.dense(WIDTH, 4 * WIDTH)),
            ("linear2.", weights.dense(4 * WIDTH, WIDTH)),
        ]
        block.load_state_dict({prefix + name: value for prefix, part in parts for name, value in part.items()})
        blocks.append(block)
    norm = nn.LayerNorm(WIDTH, eps=1e-6)
    norm.load_state_dict(weights.norm())
    head = nn.Linear(WIDTH, CLASSES)
    head.load_state_dict(weights.dense(WIDTH, CLASSES))

    shape = (2, CHANNELS, HEIGHT, IMAGE_WIDTH)
    images = (torch.arange(torch.Size(shape).numel()) * 29 % 129 - 64).double().reshape(shape) / 64
    with torch.no_grad():
        x = embed(images).flatten(2).transpose(1, 2) + positions
        for block in blocks:
            x = block(x)
        features = norm(x).mean(1)
        scores = head(features)
    lines = [f"made_by: reference/vit.py, torch {torch.__version__.split('+')[0]}"]
    for name, values in [("features", features), ("scores", scores)]:
        lines.append(f"{name}: " + " ".join(f"{value:.9g}" for value in values.flatten().tolist()))
    (pathlib.Path(__file__).parent / "golden" / "vit.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
