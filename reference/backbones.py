"""Features of pretrained networks, by timm, torchvision and transformers, from weights that are a function of names.

Writes golden/backbones.json, and the files of torch.save in crates/mentor-backbone/tests/files/.

A weight is a pure function of its tensor's name and its place, so that the Rust tests make the same weights and no
file of weights is needed. For each case: how many tensors the file has, a digest of their names and shapes, and some
values of the features of two images of noise.
"""

import json
import math
import os
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import timm
import torch
import torchvision
import transformers
from safetensors.torch import load_file

HERE = Path(__file__).parent
CLASSES = 10
MASK = (1 << 64) - 1


def digest(text: str) -> int:
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def noise(name: str, count: int) -> np.ndarray:
    """`count` values in [-1, 1): SplitMix64 of the name's digest plus the place, 24 bits of it."""
    with np.errstate(over="ignore"):
        x = np.uint64(digest(name)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return ((x >> np.uint64(40)).astype(np.float64) / 2**23 - 1).astype(np.float32)


# What matrices are multiplied by beside their usual scale: gates and SiLU halve what passes, until two images are alike.
GAINS = {"efficientnet-b0": 2.0, "tf-efficientnet-b0": 2.0}
gain = 1.0


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    values = noise(name, math.prod(shape))
    if name.endswith("running_var"):
        scale, offset = 0.5, 1.0
    elif len(shape) == 1 and not name.endswith(("bias", "running_mean")):
        scale, offset = 0.25, 1.0
    elif len(shape) == 1 or name.endswith(("token", "tokens", "pos_embed", "position_embeddings")):
        scale, offset = 0.125, 0.0
    else:
        scale, offset = gain * math.sqrt(4.5 / math.prod(shape[1:])), 0.0
    return (values * np.float32(scale) + np.float32(offset)).reshape(shape)


SKIPPED = ("num_batches_tracked", "mask_token")


def fill(model: torch.nn.Module, rename=lambda name: name) -> list[tuple[str, tuple[int, ...]]]:
    """Gives the model its weights, and returns names and shapes of the file that it would be saved as."""
    listed = []
    state = model.state_dict()
    for name, tensor in state.items():
        if name.endswith(SKIPPED):
            continue
        saved = rename(name)
        listed.append((saved, tuple(tensor.shape)))
        state[name] = torch.from_numpy(weight(saved, tuple(tensor.shape)))
    model.load_state_dict(state)
    model.eval()
    return listed


def images(height: int, width: int) -> torch.Tensor:
    pixels = noise("images", 2 * height * width * 3).reshape(2, height, width, 3) * np.float32(2)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


CASES = []


def case(architecture, layout, size, listed, features):
    features = features.double().numpy()
    differ = np.linalg.norm(features[0] - features[1]) / np.linalg.norm(features[0])
    assert features.shape[0] == 2 and differ > 1e-2, (architecture, layout, differ)
    step = features.shape[1] // 8
    lines = sorted(f"{name}:{','.join(map(str, shape))}\n" for name, shape in listed)
    CASES.append({
        "architecture": architecture,
        "layout": layout,
        "size": list(size),
        "gain": gain,
        "num_tensors": len(lines),
        "names_digest": f"{digest(''.join(lines)):016x}",
        "norms": [float(np.linalg.norm(row)) for row in features],
        "values": [[float(value) for value in row[::step][:8]] for row in features],
    })
    print(f"{architecture:24} {layout:28} {len(lines):4} tensors, norm {np.linalg.norm(features[0]):.5g},"
          f" two images differ by {differ:.3f}")


def by_timm(architecture, name, size, **options):
    global gain
    gain = GAINS.get(architecture, 1.0)
    model = timm.create_model(name, num_classes=CLASSES, **options)
    listed = fill(model)
    with torch.no_grad():
        features = model.forward_head(model.forward_features(images(*size)), pre_logits=True)
    if architecture.endswith("distilled") or architecture.startswith("dinov2"):
        listed = [(name, shape) for name, shape in listed if not name.startswith("head")]
    case(architecture, "timm", size, listed, features)


def by_torchvision(architecture, layout, name, size, body):
    global gain
    gain = GAINS.get(architecture, 1.0)
    model = getattr(torchvision.models, name)(num_classes=CLASSES)
    listed = fill(model)
    with torch.no_grad():
        case(architecture, layout, size, listed, body(model, images(*size)))


def by_transformers(architecture, model, size, features):
    """Names are those of the file that save_pretrained writes."""
    global gain
    gain = 1.0
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            torch.nn.init.uniform_(tensor)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        saved = load_file(f"{folder}/model.safetensors")
    kept = {name: tensor for name, tensor in saved.items() if not name.endswith(SKIPPED) and not name.startswith("pooler")}
    state = model.state_dict()
    to_state = {}
    # A tensor of the file is that of the model with the same values.
    for name, tensor in kept.items():
        same = [key for key, value in state.items() if value.shape == tensor.shape and torch.equal(value, tensor)
                and key not in to_state.values() and key.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]]
        assert same, name
        to_state[name] = same[0]
    for name, key in to_state.items():
        state[key] = torch.from_numpy(weight(name, tuple(kept[name].shape)))
    model.load_state_dict(state)
    model.eval()
    with torch.no_grad():
        listed = [(name, tuple(tensor.shape)) for name, tensor in kept.items()]
        case(architecture, "transformers", size, listed, features(model, images(*size)))


def by_dinov2(architecture, name, size, registers):
    """As the authors' repository saves and interpolates it (dinov2/models/vision_transformer.py and hub/backbones.py)."""
    model = timm.create_model(name, num_classes=0, img_size=size)
    width, grid = model.embed_dim, 37
    global gain
    gain = 1.0
    rename = lambda name: name.replace("reg_token", "register_tokens")
    listed = [(saved, shape) for saved, shape in fill(model, rename) if saved != "pos_embed"]
    listed.append(("pos_embed", (1, 1 + grid * grid, width)))
    positions = torch.from_numpy(weight("pos_embed", (1, 1 + grid * grid, width)))
    patches = positions[:, 1:].reshape(1, grid, grid, width).permute(0, 3, 1, 2)
    height, columns = (side // 14 for side in size)
    if registers:
        patches = torch.nn.functional.interpolate(patches, size=(height, columns), mode="bicubic", antialias=True)
    else:
        scale = ((height + 0.1) / grid, (columns + 0.1) / grid)
        patches = torch.nn.functional.interpolate(patches, scale_factor=scale, mode="bicubic", antialias=False)
    assert patches.shape[-2:] == (height, columns)
    patches = patches.permute(0, 2, 3, 1).reshape(1, -1, width)
    with torch.no_grad():
        if registers:
            model.cls_token += positions[:, :1]
            model.pos_embed.copy_(patches)
        else:
            model.pos_embed.copy_(torch.cat([positions[:, :1], patches], dim=1))
        features = model.forward_head(model.forward_features(images(*size)), pre_logits=True)
    case(architecture, "dinov2", size, listed, features)


def mean(model, pixels):
    return model.features(pixels).mean([2, 3])


def all_cases():
    small, vit, dino = (64, 80), (96, 128), (112, 140)
    for depth in (18, 34, 50, 101):
        by_timm(f"resnet-{depth}", f"resnet{depth}", small)
    by_timm("mobilenetv2", "mobilenetv2_100", small)
    for prefix, timm_prefix in (("", ""), ("tf-", "tf_")):
        by_timm(f"{prefix}mobilenetv3-large", f"{timm_prefix}mobilenetv3_large_100", small)
        by_timm(f"{prefix}efficientnet-b0", f"{timm_prefix}efficientnet_b0", (63, 80))
        for size in range(5):
            by_timm(f"{prefix}efficientnet-lite{size}", f"{timm_prefix}efficientnet_lite{size}", (63, 80))
    for name in ("vit_tiny_patch16_224", "vit_small_patch16_224", "deit_tiny_patch16_224", "deit_small_patch16_224",
                 "deit_tiny_distilled_patch16_224", "deit_small_distilled_patch16_224"):
        ours = name.replace("_patch16_224", "").replace("_", "-")
        by_timm(ours, name, vit, dynamic_img_size=True)
    by_timm("vit-tiny", "vit_tiny_patch16_224", (224, 224))
    by_timm("dino-vit-s8", "vit_small_patch8_224", (64, 80), dynamic_img_size=True)
    by_timm("dinov2-vit-s14", "vit_small_patch14_dinov2", dino, dynamic_img_size=True)
    by_timm("dinov2-vit-s14-reg", "vit_small_patch14_reg4_dinov2", dino, dynamic_img_size=True)
    by_dinov2("dinov2-vit-s14", "vit_small_patch14_dinov2", dino, registers=False)
    by_dinov2("dinov2-vit-s14-reg", "vit_small_patch14_reg4_dinov2", dino, registers=True)

    by_torchvision("mobilenetv2", "torchvision, MobileNetV2", "mobilenet_v2", small, mean)
    by_torchvision("mobilenetv3-large", "torchvision", "mobilenet_v3_large", small,
                   lambda model, pixels: model.classifier[:2](mean(model, pixels)))
    by_torchvision("efficientnet-b0", "torchvision, EfficientNet", "efficientnet_b0", small, mean)

    hf = transformers
    by_transformers("resnet-18", hf.ResNetForImageClassification(hf.ResNetConfig(
        layer_type="basic", hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], num_labels=CLASSES)), small,
        lambda model, pixels: model.resnet(pixels).pooler_output.flatten(1))
    by_transformers("resnet-50", hf.ResNetForImageClassification(hf.ResNetConfig(num_labels=CLASSES)), small,
                    lambda model, pixels: model.resnet(pixels).pooler_output.flatten(1))
    by_transformers("tf-mobilenetv2", hf.MobileNetV2ForImageClassification(hf.MobileNetV2Config(num_labels=CLASSES)),
                    (63, 80), lambda model, pixels: model.mobilenet_v2(pixels).pooler_output.flatten(1))
    narrow = dict(hidden_size=192, num_attention_heads=3, intermediate_size=768)
    middle = dict(hidden_size=384, num_attention_heads=6, intermediate_size=1536)
    by_transformers("vit-tiny", hf.ViTForImageClassification(hf.ViTConfig(**narrow, num_labels=CLASSES)), vit,
                    lambda model, pixels: model.vit(pixels, interpolate_pos_encoding=True).last_hidden_state[:, 0])
    by_transformers("dinov2-vit-s14", hf.Dinov2Model(hf.Dinov2Config(**middle, image_size=518, patch_size=14)), dino,
                    lambda model, pixels: model(pixels).last_hidden_state[:, 0])
    by_transformers("dinov2-vit-s14-reg", hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(
        **middle, image_size=518, patch_size=14, num_register_tokens=4)), dino,
        lambda model, pixels: model(pixels).last_hidden_state[:, 0])


class Command:
    """A pickle of it asks for `os.system`."""

    def __reduce__(self):
        return (os.system, ("touch /tmp/mentor-was-here",))


def files():
    folder = HERE / "../crates/mentor-backbone/tests/files"
    folder.mkdir(exist_ok=True)
    base = torch.arange(24, dtype=torch.float32)
    state = {
        "plain": base[:6].reshape(2, 3).clone(),
        "turned": base.reshape(4, 6).t()[1:4, ::2],
        "shared": base[20:],
        "half": base[:4].half(),
        "brain": base[:4].bfloat16(),
        "double": base[:2].double(),
        "parameter": torch.nn.Parameter(base[3:5].clone()),
        "counter": torch.tensor(7),
        "nothing": torch.zeros(0, 3),
    }
    for form, zipped in (("zip", True), ("legacy", False)):
        save = lambda what, name: torch.save(what, folder / f"{name}.{form}.pt", _use_new_zipfile_serialization=zipped)
        save(state, "values")
        save({"epoch": 3, "loss": 0.5, "model": torch.nn.Sequential(torch.nn.Linear(2, 1)).state_dict()}, "nested")
        save({"weight": torch.zeros(2), "evil": Command()}, "command")
        network = torch.nn.Linear(2, 1)
        save(network, "module")
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        network(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        save(optimizer.state_dict(), "optimizer")
        save({"weight": torch.tensor([1.0, float("nan")])}, "nan")


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(2)
    all_cases()
    files()
    versions = {library.__name__: library.__version__ for library in (torch, torchvision, timm, transformers)}
    text = json.dumps({"versions": versions, "cases": CASES}, indent=1)
    (HERE / "golden/backbones.json").write_text(text + "\n")
