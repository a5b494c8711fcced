"""The same network, loss and optimizer in PyTorch, measured in an environment of its own.

python -m benchmarks.peer.worker resnet101|efficientnetlite0 float32|bfloat16 eager|compiled [batch]
"""

import contextlib
import os
import sys
import time

import numpy as np
import segmentation_models_pytorch as smp
import torch

from benchmarks.measuring import serve
from benchmarks.workloads import PEER_STEPS

ENCODERS = {"resnet101": "resnet101", "efficientnetlite0": "tu-tf_efficientnet_lite0"}
SIZES = {"resnet101": 256, "efficientnetlite0": 128}
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def main(backbone: str, precision: str, how: str, batch: str = "8") -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True  # as JAX does
    torch.backends.cudnn.benchmark = True
    torch.set_num_threads(os.cpu_count())  # PyTorch's own choice leaves out the second of a pair
    torch.manual_seed(0)
    model = smp.Unet(ENCODERS[backbone], encoder_weights=None, classes=2)
    model = model.to(DEVICE, memory_format=torch.channels_last)
    weights = sum(each.numel() for each in model.parameters())
    network = torch.compile(model) if how == "compiled" else model
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    images, masks = random_batch(int(batch), SIZES[backbone])

    def train(steps: int) -> float:
        model.train()
        seconds = timed(lambda: step(network, optimizer, images, masks, precision), steps)
        return steps * len(images) / seconds

    def infer(batches: int) -> float:
        model.eval()
        return batches * len(images) / timed(lambda: maps(network, images, precision), batches)

    train(2), infer(2)
    flops = forward_flops(model, images[:1].to(DEVICE))
    steps = 20 if DEVICE == "cuda" else PEER_STEPS[backbone]
    serve(lambda: (train(steps), infer(steps)), weights=weights, gflop=flops / 1e9)


def step(network, optimizer, images, masks, precision: str) -> None:
    """One training step; as in ours the loss is computed in float32."""
    optimizer.zero_grad(set_to_none=True)
    with autocast(precision):
        logits = network(images.to(DEVICE))
    exponential_loss(masks.to(DEVICE), torch.softmax(logits.float(), 1)).backward()
    optimizer.step()


def maps(network, images, precision: str) -> np.ndarray:
    """Softmax maps in the host's memory."""
    with torch.inference_mode(), autocast(precision):
        return torch.softmax(network(images.to(DEVICE)).float(), 1).cpu().numpy()


def exponential_loss(y_true, y_pred):
    """The published loss, double softmax included; classes on axis 1."""
    p = torch.softmax(y_pred, 1)
    return (0.8 * torch.exp(-y_true * p) + torch.exp(-(1 - y_true) * (1 - p))).mean()


def autocast(precision: str):
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(DEVICE, torch.bfloat16)


def timed(call, times: int) -> float:
    """Seconds of so many calls."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def random_batch(batch: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and one-hot masks in the host's memory, classes on axis 1."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (batch, 3, size, size)).astype("float32")
    masks = np.eye(2, dtype="float32")[rng.integers(0, 2, (batch, size, size))]
    last = torch.channels_last
    masks = torch.from_numpy(masks).permute(0, 3, 1, 2)
    return torch.from_numpy(images).to(memory_format=last), masks.to(memory_format=last)


def forward_flops(model, image) -> int:
    """Floating point operations of the convolutions for one image, two for each product."""
    flops, hooks = [], []

    def count(layer, _, output):
        flops.append(2 * layer.weight.numel() * output.shape[2] * output.shape[3])

    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            hooks.append(layer.register_forward_hook(count))
    with torch.inference_mode():
        model.eval()(image)
    for hook in hooks:
        hook.remove()
    return sum(flops)


if __name__ == "__main__":
    main(*sys.argv[1:])
