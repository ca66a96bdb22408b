"""Writes what PyTorch computes for the towers, so that ours can be checked against it: ResNet and the
text tower in towers.json, EfficientNet in efficientnet.json.

    python testdata/reference/make.py [FILE ...]

README.md beside this file says how weights and inputs are made and what each number means.
"""

import copy
import json
import math
import platform
import sys
from pathlib import Path

import numpy as np
import torch

COMMAND = "python testdata/reference/make.py"
FEATURES = 16
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

# EfficientNet-Lite0: blocks, kernel, stride, widening and outputs of each group.
GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

# With small weights in the last batch norm of each block a deep net is well-conditioned.
CALM = {"suffix": ".bn3.weight", "scale": 0.05, "shift": 0.2}

# --- the formula -------------------------------------------------------------------------------


def seed_of(name):
    """FNV-1a, 64 bits, of the name's UTF-8 bytes."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    return seed


def splitmix64(state):
    """The output of the splitmix64 generator whose state is `state`, for an array of states."""
    z = state + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(name, count):
    """`count` multiples of 2^-24 in [0, 1)."""
    states = np.uint64(seed_of(name)) + np.arange(count, dtype=np.uint64)
    return (splitmix64(states) >> np.uint64(40)).astype(np.float64) / 2**24


def formula(name, shape, scale=1.0, shift=0.0):
    """The tensor of this name: computed in f64, rounded to f32 once, given as f64."""
    values = scale * (2 * uniform(name, math.prod(shape)) - 1) + shift
    return torch.from_numpy(values.astype(np.float32).astype(np.float64)).reshape(shape)


def scale_and_shift(name, shape, hidden):
    last = name.rsplit(".", 1)[-1]
    if name.startswith("gru."):
        return 1 / math.sqrt(hidden), 0.0
    if name == "embedding.weight":
        return 1.0, 0.0
    if last == "running_mean" or last == "bias":
        return 0.1, 0.0
    if last == "running_var" or len(shape) == 1:
        return 0.25, 1.0
    return math.sqrt(3 / math.prod(shape[1:])) * math.sqrt(2), 0.0


def fill(net, hidden=None):
    """Gives every tensor of the net the values of its name."""
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            shape = tuple(tensor.shape)
            tensor.copy_(formula(name, shape, *scale_and_shift(name, shape, hidden)))
    return net


# --- the towers --------------------------------------------------------------------------------


def image_tower(architecture, last_norm=None):
    import torchvision  # of these towers alone

    net = getattr(torchvision.models, architecture)(weights=None)
    net.avgpool = torch.nn.AdaptiveMaxPool2d(1)
    net.fc = torch.nn.Linear(net.fc.in_features, FEATURES)
    fill(net.double())
    for name, tensor in net.state_dict().items() if last_norm else ():
        if name.endswith(last_norm["suffix"]):
            shape = tuple(tensor.shape)
            tensor.copy_(formula(name, shape, last_norm["scale"], last_norm["shift"]))
    return net


class Same(torch.nn.Conv2d):
    """A convolution with TensorFlow's "SAME" padding, which depends on the picture's size."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x):
        sides = []
        for size in reversed(x.shape[2:]):
            steps = math.ceil(size / self.stride[0]) - 1
            zeros = max(steps * self.stride[0] + self.kernel_size[0] - size, 0)
            sides += [zeros // 2, zeros - zeros // 2]
        return super().forward(torch.nn.functional.pad(x, sides))


def norm(channels):
    return torch.nn.BatchNorm2d(channels, eps=1e-3)


class LiteBlock(torch.nn.Module):
    def __init__(self, inputs, outputs, kernel, stride, widening):
        super().__init__()
        middle = inputs * widening
        if widening != 1:
            self._expand_conv = Same(inputs, middle, 1)
            self._bn0 = norm(middle)
        self._depthwise_conv = Same(middle, middle, kernel, stride, groups=middle)
        self._bn1 = norm(middle)
        self._project_conv = Same(middle, outputs, 1)
        self._bn2 = norm(outputs)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x):
        act, y = torch.nn.functional.relu6, x
        if hasattr(self, "_expand_conv"):
            y = act(self._bn0(self._expand_conv(y)))
        y = act(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skips else y


class EfficientNetLite0(torch.nn.Module):
    """The names of lukemelas' EfficientNet-PyTorch, without dropout, with the mean of the features."""

    def __init__(self):
        super().__init__()
        self._conv_stem, self._bn0 = Same(3, 32, 3, 2), norm(32)
        blocks, inputs = [], 32
        for count, kernel, stride, widening, outputs in GROUPS:
            for turn in range(count):
                step = stride if turn == 0 else 1
                blocks.append(LiteBlock(inputs, outputs, kernel, step, widening))
                inputs = outputs
        self._blocks = torch.nn.ModuleList(blocks)
        self._conv_head, self._bn1 = Same(inputs, 1280, 1), norm(1280)
        self.fc = torch.nn.Linear(1280, FEATURES)

    def features(self, x):
        act = torch.nn.functional.relu6
        x = act(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return act(self._bn1(self._conv_head(x))).mean((2, 3))

    def forward(self, x):
        return self.fc(self.features(x))


def images(n, height, width, mean=MEAN, std=STD):
    """Normalised pictures, [n, 3, height, width]."""
    pixels = np.floor(uniform("input.images", n * height * width * 3) * 256)
    pixels = pixels.reshape(n, height, width, 3)
    normalised = (pixels / 255 - np.array(mean)) / np.array(std)
    return torch.from_numpy(normalised).permute(0, 3, 1, 2).contiguous()


class TextTower(torch.nn.Module):
    def __init__(self, vocabulary, dim, hidden):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, dim)
        self.gru = torch.nn.GRU(dim, hidden, batch_first=True, bidirectional=True)
        self.fc = torch.nn.Linear(2 * hidden, FEATURES)

    def forward(self, batch):
        ids, lengths = batch
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            self.embedding(ids), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = torch.nn.utils.rnn.pad_packed_sequence(
            self.gru(packed)[0], batch_first=True, padding_value=-math.inf
        )
        return self.fc(states.max(dim=1).values)


def tokens(vocabulary, lengths, longest):
    ids = 2 + np.floor(uniform("input.tokens", len(lengths) * longest) * (vocabulary - 2))
    ids = ids.astype(np.int64).reshape(len(lengths), longest)
    for row, length in enumerate(lengths):
        ids[row, length:] = 0
    return torch.from_numpy(ids), torch.tensor(lengths)


# --- running -----------------------------------------------------------------------------------


class Run:
    """One forward pass, in train mode also one backward pass, of a net in some precision."""

    def __init__(self, net, batch, mode):
        net.train(mode == "train")
        outputs = torch.nn.functional.normalize(net(batch), dim=1)
        cotangent = formula("input.cotangent", tuple(outputs.shape)).to(outputs.dtype)
        loss = (outputs * cotangent).sum()
        self.outputs = outputs.detach().double()
        self.loss = loss.item()
        self.gradients = {}
        if mode == "train":
            loss.backward()
            self.gradients = {name: p.grad.double() for name, p in net.named_parameters()}
        self.buffers = {name: b.double() for name, b in net.named_buffers()}


def runs(net, batch, mode):
    """The f64 run, and f32 runs that add up in different orders."""
    exact = Run(copy.deepcopy(net), batch, mode)
    small = lambda x: x.float() if torch.is_tensor(x) and x.is_floating_point() else x
    rounded = small(batch)
    rough = [Run(copy.deepcopy(net).float(), rounded, mode)]
    with torch.backends.mkldnn.flags(enabled=False):
        rough.append(Run(copy.deepcopy(net).float(), rounded, mode))
    if torch.is_tensor(batch):
        last = torch.channels_last
        swapped = copy.deepcopy(net).float().to(memory_format=last)
        rough.append(Run(swapped, rounded.contiguous(memory_format=last), mode))
    return exact, rough


def digits(value):
    return float(f"{float(value):.9g}")


def distance(exact, others):
    """The largest relative L2 distance of the f32 results from the f64 result.

    A gradient that is 0 but for rounding (of an offset that the next batch norm takes away again)
    counts as one of length 1e-9.
    """
    norm = max(exact.norm().item(), 1e-9)
    return digits(max((other - exact).norm().item() for other in others) / norm)


def summary(name, exact, others):
    flat = exact.flatten()
    return {
        "name": name,
        "shape": list(exact.shape),
        "l2": digits(flat.norm()),
        "dot": digits(flat @ formula("probe." + name, (flat.numel(),))),
        "first": [digits(value) for value in flat[:4]],
        "f32_distance": distance(exact, others),
    }


def case(name, tower, mode, input_sizes, net, batch, watched=()):
    exact, rough = runs(net, batch, mode)
    return {
        "name": name,
        "tower": tower,
        "mode": mode,
        **input_sizes,
        "outputs": {
            "shape": list(exact.outputs.shape),
            "values": [digits(value) for value in exact.outputs.flatten()],
            "f32_distance": distance(exact.outputs, [run.outputs for run in rough]),
        },
        "loss": digits(exact.loss),
        "gradients": [
            summary(name, gradient, [run.gradients[name] for run in rough])
            for name, gradient in exact.gradients.items()
        ],
        "running": [
            summary(name, exact.buffers[name], [run.buffers[name] for run in rough])
            for name in watched
        ],
    }


def image_case(tower, height, width, mode, last_norm=None):
    layers = ("bn1", "layer2.0.downsample.1", "layer4.1.bn2")
    fields = ("running_mean", "running_var")
    watched = [f"{layer}.{field}" for layer in layers for field in fields]
    return case(
        f"{tower}{'-calm' if last_norm else ''}-{height}x{width}-{mode}",
        tower,
        mode,
        {"images": {"n": 3, "height": height, "width": width}, "last_norm": last_norm},
        image_tower(tower, last_norm),
        images(3, height, width),
        watched if mode == "train" else (),
    )


def lite_case(height, width, mode):
    layers = ("_bn0", "_blocks.5._bn1", "_blocks.15._bn2")
    fields = ("running_mean", "running_var")
    watched = [f"{layer}.{field}" for layer in layers for field in fields]
    return case(
        f"efficientnet-lite0-{height}x{width}-{mode}",
        "efficientnet-lite0",
        mode,
        {"images": {"n": 3, "height": height, "width": width}, "last_norm": None},
        fill(EfficientNetLite0().double()),
        images(3, height, width, 3 * (127 / 255,), 3 * (128 / 255,)),
        watched if mode == "train" else (),
    )


def text_case():
    vocabulary, dim, hidden, lengths, longest = 50, 12, 20, [7, 3, 1, 5], 7
    sizes = {
        "vocabulary": vocabulary,
        "dim": dim,
        "hidden": hidden,
        "lengths": lengths,
        "longest": longest,
    }
    net = fill(TextTower(vocabulary, dim, hidden).double(), hidden)
    return case("gru", "gru", "train", {"tokens": sizes}, net, tokens(vocabulary, lengths, longest))


def formula_check():
    names = ("input.images", "layer1.0.conv1.weight", "gru.weight_ih_l0_reverse")
    return [
        {
            "name": name,
            "seed": f"{seed_of(name):016x}",
            "u_times_2_24": [int(u * 2**24) for u in uniform(name, 4)],
        }
        for name in names
    ]


# --- writing -----------------------------------------------------------------------------------


def lines(value, indent=0):
    """JSON with one line for each flat object, so that a change shows as the lines it touches."""
    pad = " " * (indent + 1)
    flat = lambda v: not isinstance(v, (dict, list)) or not any(
        isinstance(inner, dict) or (isinstance(inner, list) and inner and isinstance(inner[0], dict))
        for inner in (v.values() if isinstance(v, dict) else v)
    )
    if flat(value):
        return json.dumps(value)
    if isinstance(value, dict):
        body = [f"{pad}{json.dumps(key)}: {lines(inner, indent + 1)}" for key, inner in value.items()]
        return "{\n" + ",\n".join(body) + "\n" + " " * indent + "}"
    body = [pad + lines(inner, indent + 1) for inner in value]
    return "[\n" + ",\n".join(body) + "\n" + " " * indent + "]"


def write(name, cases):
    import torchvision

    document = {
        "made_by": {
            "command": COMMAND,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": np.__version__,
        },
        "formula": formula_check(),
        "cases": cases,
    }
    (Path(__file__).parent / name).write_text(lines(document) + "\n")


def towers():
    cases = [
        image_case(tower, height, width, mode)
        for tower, height, width in (
            ("resnet18", 64, 48),
            ("resnet18", 33, 47),
            ("resnet50", 64, 48),
        )
        for mode in ("train", "eval")
    ]
    cases += [image_case("resnet50", *size, "train", CALM) for size in ((35, 35), (48, 64))]
    return [*cases, text_case()]


def efficientnet():
    # Sizes at which PyTorch's f32 runs meet no value that goes the other way.
    return [lite_case(40, 56, "train"), lite_case(40, 56, "eval"), lite_case(33, 33, "train")]


def main():
    torch.manual_seed(0)
    makers = {"towers.json": towers, "efficientnet.json": efficientnet}
    for name in sys.argv[1:] or makers:
        write(name, makers[name]())


if __name__ == "__main__":
    main()
