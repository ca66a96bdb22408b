"""Writes what PyTorch computes for networks under the names that torchvision's and timm's weight files
have: the features of a plain scene, in pretrained.json.

    python testdata/reference/pretrained.py

Weights are made by the formula in README.md, with these names; needs torch and numpy.
"""

import json
import platform
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import relu, relu6

from make import GROUPS, formula, scale_and_shift

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
HEIGHT, WIDTH = 61, 83
KEPT = 48


def scene():
    """[height, width, 3] of bytes, by whole numbers alone: a sky, a ground, a disc and a box."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    sky = np.stack([90 + y, 140 + y, 250 - x // 2], -1)
    ground = np.stack([60 + x // 2, 130 - y // 2, 40 + (x * y) % 23], -1)
    picture = np.where((y < 38)[..., None], sky, ground)
    picture[(x - 60) ** 2 + (y - 17) ** 2 < 121] = (250, 215, 60)
    picture[(abs(x - 25) < 13) & (abs(y - 40) < 11)] = (190, 35, 45)
    return picture


def scaled(mean, std):
    """The scene as a network gets it, [1, 3, height, width]."""
    values = (scene() / 255 - np.array(mean)) / np.array(std)
    return torch.from_numpy(values).permute(2, 0, 1)[None].contiguous()


class BasicBlock(nn.Module):
    """torchvision's, and timm's."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride != 1 or inputs != outputs:
            narrow = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(narrow, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet34(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for number, count in enumerate((3, 4, 6, 3)):
            blocks = []
            for turn in range(count):
                stride = 2 if turn == 0 and number > 0 else 1
                blocks.append(BasicBlock(inputs, 64 << number, stride))
                inputs = 64 << number
            setattr(self, f"layer{number + 1}", nn.Sequential(*blocks))

    def forward(self, x):
        x = nn.functional.max_pool2d(relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


class TimmBlock(nn.Module):
    """timm's depthwise-separable and inverted-residual blocks, padded evenly."""

    def __init__(self, inputs, outputs, kernel, stride, widening):
        super().__init__()
        middle = inputs * widening
        self.widens, self.skips = widening != 1, stride == 1 and inputs == outputs
        depthwise = nn.Conv2d(middle, middle, kernel, stride, kernel // 2, groups=middle, bias=False)
        if self.widens:
            self.conv_pw = nn.Conv2d(inputs, middle, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(middle)
            self.conv_dw, self.bn2 = depthwise, nn.BatchNorm2d(middle)
            self.conv_pwl = nn.Conv2d(middle, outputs, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(outputs)
        else:
            self.conv_dw, self.bn1 = depthwise, nn.BatchNorm2d(middle)
            self.conv_pw = nn.Conv2d(middle, outputs, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        if self.widens:
            y = relu6(self.bn1(self.conv_pw(x)))
            y = relu6(self.bn2(self.conv_dw(y)))
            y = self.bn3(self.conv_pwl(y))
        else:
            y = self.bn2(self.conv_pw(relu6(self.bn1(self.conv_dw(x)))))
        return x + y if self.skips else y


class TimmLite0(nn.Module):
    """efficientnet_lite0: even padding and batch norms with 1e-5, as timm trains it itself."""

    def __init__(self):
        super().__init__()
        self.conv_stem, self.bn1 = nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32)
        stages, inputs = [], 32
        for count, kernel, stride, widening, outputs in GROUPS:
            blocks = []
            for turn in range(count):
                step = stride if turn == 0 else 1
                blocks.append(TimmBlock(inputs, outputs, kernel, step, widening))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.conv_head = nn.Conv2d(inputs, 1280, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(1280)

    def forward(self, x):
        x = self.blocks(relu6(self.bn1(self.conv_stem(x))))
        return relu6(self.bn2(self.conv_head(x))).mean((2, 3))


def case(name, net):
    net = net.double().eval()
    for tensor_name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            shape = tuple(tensor.shape)
            tensor.copy_(formula(tensor_name, shape, *scale_and_shift(tensor_name, shape, None)))
    batch = scaled(MEAN, STD)
    with torch.no_grad():
        exact = net(batch)[0].numpy()
        rounded = net.float()(batch.float())[0].double().numpy()
    l2 = float(np.linalg.norm(exact))
    short = lambda value: float(f"{value:.9g}")
    return {
        "name": name,
        "features": len(exact),
        "l2": short(l2),
        "first": [short(value) for value in exact[:KEPT]],
        "last": [short(value) for value in exact[-KEPT:]],
        "f32_distance": short(np.linalg.norm(rounded - exact) / l2),
    }


def main():
    torch.manual_seed(0)
    document = {
        "made_by": {
            "command": "python testdata/reference/pretrained.py",
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "height": HEIGHT,
        "width": WIDTH,
        "cases": [case("resnet34", ResNet34()), case("efficientnet_lite0", TimmLite0())],
    }
    text = json.dumps(document, indent=1)
    (Path(__file__).parent / "pretrained.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
