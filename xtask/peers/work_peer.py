"""Does one work with a program that looksee is compared with, and prints what it took.

    python work_peer.py PROGRAM train|embed|gru|conv [--network NAME] [--batch N] [--side N]
                        [--threads N] [--warm N] [--runs N | --in-turn]

PROGRAM is `torch` (activations in the order n, channels, height, width), `torch-channels-last` or
`onnxruntime` (embed alone). With --in-turn it says `ready` after the warm-up, and then works once for
each line of standard input, until its end.

A `name<TAB>value` a line, the names of looksee's examples/work.rs: `seconds.1` and so on are the
counted runs, `peak_mb` is the most memory that the process had by the end of the last one,
`imports_mb` what it had before there were weights and inputs, and `answer.` begins what the work came
to. PROGRAM `exact` computes nothing but the answer, in f64, and takes its time;
xtask/peers/work_answers.tsv was made with it.

A training step is forward, the mean square of the outputs, backward and the fused Adam. Pictures are
given normalised, so what comes before the network is not part of the time.
"""

import argparse
import os
import sys
import tempfile
import time

from common import use_threads

RATE = 1e-4
SHOWN = 8


def memory_mb(name):
    """A line of /proc/self/status; nothing where there is no such file."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


def say(name, value):
    if value is not None:
        print(f"{name}\t{value}", flush=True)


def orders(asked):
    if not asked.in_turn:
        return range(asked.runs)
    print("ready", flush=True)
    return iter(sys.stdin.readline, "")


def timed(asked, run):
    for _ in range(asked.warm):
        run()
    for number, _ in enumerate(orders(asked), 1):
        start = time.perf_counter()
        run()
        say(f"seconds.{number}", time.perf_counter() - start)
    say("peak_mb", memory_mb("VmHWM"))


class Training:
    """A network that learns, from its first weights."""

    def __init__(self, asked, dtype):
        import torch
        import work_made as made

        net = made.Texts() if asked.work == "gru" else made.NETWORKS[asked.network]()
        is_texts = asked.work == "gru"
        x = made.texts(asked.batch) if is_texts else made.pictures(asked.network, asked.batch, asked.side)
        self.net = made.fill(net).to(dtype).train()
        self.x = x.to(dtype)
        if asked.program == "torch-channels-last":
            self.net = self.net.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.adam = torch.optim.Adam(self.net.parameters(), lr=RATE, fused=True)

    def step(self):
        self.adam.zero_grad(set_to_none=True)
        loss = self.net(self.x).square().mean()
        loss.backward()
        self.adam.step()
        return loss

    def answer(self):
        """For a network that has not learned yet."""
        import work_made as made

        loss = self.step()
        length, slope = 0.0, 0.0
        for name, parameter in self.net.named_parameters():
            gradient = parameter.grad.double()
            length += gradient.square().sum().item()
            direction = made.made(f"slope.{name}", tuple(gradient.shape)).double()
            slope += (gradient * direction).sum().item()
        say("answer.loss", loss.item())
        say("answer.gradient", length**0.5)
        say("answer.slope", slope)
        say("answer.loss_after", self.step().item())


class Embedding:
    """A network that has learned, and one batch of pictures."""

    def __init__(self, asked, dtype):
        import torch
        import work_made as made

        self.net = made.fill(made.NETWORKS[asked.network]()).to(dtype).eval()
        self.x = made.pictures(asked.network, asked.batch, asked.side).to(dtype)
        if asked.program == "torch-channels-last":
            self.net = self.net.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)

    def run(self):
        import torch

        with torch.inference_mode():
            return self.net(self.x)

    def answer(self):
        say_vectors(self.run().double().numpy())


class Exported:
    """The same in ONNX Runtime. The export is made by another process: it would be counted."""

    def __init__(self, asked, file):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = asked.threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        import numpy as np

        self.x = np.load(file + ".npy")

    def run(self):
        return self.session.run(None, {"x": self.x})[0]

    def answer(self):
        say_vectors(self.run().astype("float64"))


def say_vectors(rows):
    import numpy as np

    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for name, row in (("first", rows[0]), ("last", rows[-1])):
        for number, value in enumerate(row[:: rows.shape[1] // SHOWN]):
            say(f"answer.{name}.{number}", value)


def export(asked, file):
    import warnings

    import numpy as np
    import torch

    # The older exporter needs no further package. It says each time that it is the older one and
    # that sizes become constants, which is wanted.
    warnings.simplefilter("ignore")

    embedding = Embedding(asked, torch.float32)
    np.save(file + ".npy", embedding.x.numpy())
    torch.onnx.export(
        embedding.net,
        (embedding.x,),
        file,
        input_names=["x"],
        output_names=["y"],
        opset_version=17,
        dynamo=False,
    )


def in_another_process(work, *arguments):
    """Runs it in a copy of this process, whose memory goes when it is done."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work(*arguments)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise SystemExit("the network could not be exported")


def convolutions(asked):
    import torch
    import work_made as made

    is_last = asked.program == "torch-channels-last"
    order = torch.channels_last if is_last else torch.contiguous_format
    shapes = {}

    def note(layer, inputs, _):
        key = (inputs[0].shape, layer.weight.shape, layer.stride, layer.padding)
        shapes[key] = shapes.get(key, 0) + 1

    net = made.resnet50()
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(note)
    with torch.no_grad():
        net.eval()(torch.zeros(asked.batch, 3, asked.side, asked.side))
        say("layers", len(shapes))
        for number, ((x, weights, stride, padding), times) in enumerate(shapes.items()):
            x = made.made("conv.x", tuple(x)).contiguous(memory_format=order)
            weights = made.made("conv.weights", tuple(weights)).contiguous(memory_format=order)
            time_layer(asked, f"layer.{number}", times, x, weights, stride, padding)
    say("peak_mb", memory_mb("VmHWM"))


def time_layer(asked, place, times, x, weights, stride, padding):
    import torch

    forward = lambda: torch.nn.functional.conv2d(x, weights, None, stride, padding)
    y = forward()
    dy = torch.ones_like(y)

    def backward(wanted):
        return lambda: torch.ops.aten.convolution_backward(
            dy, x, weights, None, stride, padding, (1, 1), False, (0, 0), 1, wanted
        )

    passes = {"forward": forward, "weights-gradient": backward((False, True, False))}
    # Nobody asks for the gradient of the pictures.
    if x.shape[1] > 3:
        passes["input-gradient"] = backward((True, False, False))
    (_, inputs, height, width), (outputs, _, kernel, _) = x.shape, weights.shape
    shape = f"{height}x{width}x{inputs} to {outputs}, {kernel}x{kernel} stride {stride[0]}"
    say(f"{place}.name", shape)
    say(f"{place}.times", times)
    say(f"{place}.gflop", 2e-9 * y.numel() * inputs * kernel * kernel)
    for name, run in passes.items():
        for _ in range(asked.warm):
            run()
        for number in range(1, asked.runs + 1):
            start = time.perf_counter()
            run()
            say(f"{place}.{name}.{number}", time.perf_counter() - start)


def with_torch(asked):
    import torch

    torch.set_num_threads(asked.threads)
    if asked.work == "conv":
        return convolutions(asked)
    dtype = torch.float64 if asked.program == "exact" else torch.float32
    if asked.work == "embed":
        import work_made  # counted with the imports

        say("imports_mb", memory_mb("VmRSS"))
        embedding = Embedding(asked, dtype)
        if asked.program != "exact":
            timed(asked, embedding.run)
        return embedding.answer()
    import work_made  # as above

    say("imports_mb", memory_mb("VmRSS"))
    if asked.program != "exact":
        timed(asked, Training(asked, dtype).step)
    Training(asked, dtype).answer()


def with_onnxruntime(asked):
    if asked.work != "embed":
        raise SystemExit("onnxruntime takes no part but in `embed`")
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "network.onnx")
        in_another_process(export, asked, file)
        import onnxruntime  # counted with the imports

        say("imports_mb", memory_mb("VmRSS"))
        exported = Exported(asked, file)
        timed(asked, exported.run)
        exported.answer()


def main():
    parser = argparse.ArgumentParser()
    programs = ("torch", "torch-channels-last", "onnxruntime", "exact")
    parser.add_argument("program", choices=programs)
    parser.add_argument("work", choices=("train", "embed", "gru", "conv"))
    parser.add_argument("--network", choices=("resnet50", "efficientnet-lite2"), default="resnet50")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--warm", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--in-turn", action="store_true")
    asked = parser.parse_args()

    use_threads(asked.threads)
    with_onnxruntime(asked) if asked.program == "onnxruntime" else with_torch(asked)


if __name__ == "__main__":
    main()
