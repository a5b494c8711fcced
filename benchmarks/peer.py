"""The same U-Nets, loss and optimizer in PyTorch, by segmentation_models.pytorch.

python -m benchmarks.peer training|inference resnet101|efficientnetlite0 SIZE
"""

import os
import sys
import time

import numpy as np
import segmentation_models_pytorch as smp
import torch

from .measuring import serve

ENCODERS = {"resnet101": "resnet101", "efficientnetlite0": "tu-tf_efficientnet_lite0"}
BATCH, STEPS = 8, 3


def main(task: str, backbone: str, size: str) -> None:
    torch.set_num_threads(os.cpu_count())  # PyTorch's own choice leaves out the second of a pair
    torch.manual_seed(0)
    model = smp.Unet(ENCODERS[backbone], encoder_weights=None, classes=2)
    model = model.to(memory_format=torch.channels_last).train(task == "training")
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    images, masks = batch_of(int(size))

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        exponential_loss(masks, torch.softmax(model(images), 1)).backward()
        optimizer.step()

    def infer() -> None:
        with torch.inference_mode():
            torch.softmax(model(images), 1).numpy()

    call, times = (train, STEPS) if task == "training" else (infer, 2 * STEPS)

    def one_round() -> float:
        start = time.perf_counter()
        for _ in range(times):
            call()
        return times * BATCH / (time.perf_counter() - start)

    one_round()
    serve(one_round)


def exponential_loss(y_true, y_pred):
    """The published loss, double softmax included; classes on axis 1."""
    p = torch.softmax(y_pred, 1)
    return (0.8 * torch.exp(-y_true * p) + torch.exp(-(1 - y_true) * (1 - p))).mean()


def batch_of(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random images and one-hot masks, classes on axis 1."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (BATCH, 3, size, size)).astype("float32")
    masks = np.eye(2, dtype="float32")[rng.integers(0, 2, (BATCH, size, size))]
    masks, last = torch.from_numpy(masks).permute(0, 3, 1, 2), torch.channels_last
    return torch.from_numpy(images).to(memory_format=last), masks.to(memory_format=last)


if __name__ == "__main__":
    main(*sys.argv[1:])
