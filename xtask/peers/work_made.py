"""Networks, weights and inputs of the works, the same as looksee's.

Weights and inputs come from a formula of their names, which testdata/reference/README.md explains
and which src/bench/made.rs has in Rust: nothing has to be handed from one program to the other.
Image networks end in a pool of the largest values and a linear layer to 128.
"""

import math

import numpy as np
import torch
from torch import nn

DIM = 128
TOKENS = 70
WORD = 50
HIDDEN = 256
# What each network takes from a pixel on a scale of 0 to 1, and by what it divides.
PIXELS = {
    "resnet50": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "efficientnet-lite2": ((127 / 255,) * 3, (128 / 255,) * 3),
}


def uniform(name, count):
    """`count` multiples of 2^-24 in [0, 1)."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    z = np.uint64(seed) + np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 2**24


def made(name, shape, scale=1.0, shift=0.0):
    """The tensor of this name in f32."""
    values = scale * (2 * uniform(name, math.prod(shape)) - 1) + shift
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def scale_and_shift(name, shape):
    if name.startswith("gru."):
        return math.sqrt(3 / shape[0]), 0.0
    if name.endswith(("running_mean", "bias")):
        return 0.1, 0.0
    # The end of a residual block, small: sixteen blocks add up.
    if name.startswith("layer") and name.endswith(".bn3.weight"):
        return 0.05, 0.2
    if len(shape) == 1:
        return 0.25, 1.0
    return math.sqrt(3 / math.prod(shape[1:])) * math.sqrt(2), 0.0


def fill(net):
    """Gives every tensor of the net the values of its name."""
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            shape = tuple(tensor.shape)
            tensor.copy_(made(name, shape, *scale_and_shift(name, shape)))
    return net


def pictures(network, batch, side):
    """Pictures as the network wants them, [batch, 3, side, side]."""
    pixels = np.floor(uniform("input.images", batch * side * side * 3) * 256)
    pixels = pixels.reshape(batch, side, side, 3) / 255
    mean, deviation = PIXELS[network]
    normalised = ((pixels - mean) / deviation).astype(np.float32)
    return torch.from_numpy(normalised).permute(0, 3, 1, 2).contiguous()


def texts(batch):
    """Embedded tokens, [batch, TOKENS, WORD]."""
    return made("input.texts", (batch, TOKENS, WORD))


class Texts(nn.Module):
    """A GRU in both directions and the largest value of each state over the tokens."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(WORD, HIDDEN, batch_first=True, bidirectional=True)

    def forward(self, x):
        return self.gru(x)[0].max(dim=1).values


def resnet50():
    import torchvision

    net = torchvision.models.resnet50(weights=None)
    net.avgpool = nn.AdaptiveMaxPool2d(1)
    net.fc = nn.Linear(2048, DIM)
    return net


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's "SAME" padding: what is odd goes below and to the right."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x):
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if kernel == 1 and stride == 1:
            return super().forward(x)
        around = []
        for size in (int(x.shape[3]), int(x.shape[2])):
            wanted = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            around += [wanted // 2, wanted - wanted // 2]
        if around[0] == around[1] == around[2] == around[3]:
            return nn.functional.conv2d(
                x, self.weight, None, self.stride, around[0], groups=self.groups
            )
        return super().forward(nn.functional.pad(x, around))


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """An inverted residual block (Sandler et al., 2018)."""

    def __init__(self, inputs, outputs, widening, kernel, stride):
        super().__init__()
        middle = inputs * widening
        self.widens = widening > 1
        self.adds = stride == 1 and inputs == outputs
        if self.widens:
            self._expand_conv, self._bn0 = SameConv(inputs, middle, 1), norm(middle)
        self._depthwise_conv = SameConv(middle, middle, kernel, stride, groups=middle)
        self._bn1 = norm(middle)
        self._project_conv, self._bn2 = SameConv(middle, outputs, 1), norm(outputs)

    def forward(self, x):
        relu6 = nn.functional.relu6
        out = relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        out = relu6(self._bn1(self._depthwise_conv(out)))
        out = self._bn2(self._project_conv(out))
        return x + out if self.adds else out


class EfficientNetLite2(nn.Module):
    """EfficientNet-B0 (Tan and Le, 2019) with 1.1 times the channels and 1.2 times the blocks;
    the stem, the head and the number of blocks of the first and the last stage stay. Names are
    those of the published weights."""

    # How much a block widens, channels, blocks, stride, kernel.
    STAGES = (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )

    def __init__(self):
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2), norm(32)
        self._blocks, inputs = nn.Sequential(), 32
        for number, (widening, channels, blocks, stride, kernel) in enumerate(self.STAGES):
            outputs = self.rounded(1.1 * channels)
            if 0 < number < len(self.STAGES) - 1:
                blocks = math.ceil(1.2 * blocks)
            for block in range(blocks):
                step = stride if block == 0 else 1
                self._blocks.append(Block(inputs, outputs, widening, kernel, step))
                inputs = outputs
        self._conv_head, self._bn1 = SameConv(inputs, 1280, 1), norm(1280)
        self.fc = nn.Linear(1280, DIM)

    @staticmethod
    def rounded(channels):
        """The nearest multiple of 8 that is not less than nine tenths."""
        nearest = max(8, int(channels + 4) // 8 * 8)
        return nearest + 8 if nearest < 0.9 * channels else nearest

    def forward(self, x):
        relu6 = nn.functional.relu6
        x = self._blocks(relu6(self._bn0(self._conv_stem(x))))
        x = relu6(self._bn1(self._conv_head(x)))
        return self.fc(x.amax(dim=(2, 3)))


NETWORKS = {"resnet50": resnet50, "efficientnet-lite2": EfficientNetLite2}
