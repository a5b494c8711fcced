"""Measures the published stack, in its own environment.

python -m benchmarks.published.worker training all|frozen
python -m benchmarks.published.worker inference
python -m benchmarks.published.worker first_step
"""

import json
import sys
import time

from benchmarks.measuring import serve
from benchmarks.workloads import (
    BATCH,
    IMAGES,
    endless_batch,
    forward_flops,
    random_images,
    random_masks,
    without_tuning,
)


def training(weights: str) -> None:
    from benchmarks.published.stack import compiled, network

    model = compiled(network(frozen=weights == "frozen"))
    batches = endless_batch()
    model.fit(batches, steps_per_epoch=1, verbose=0)

    def seconds(*data, **steps) -> float:
        start = time.perf_counter()
        model.fit(*data, **steps, verbose=0)
        return time.perf_counter() - start

    about = {"gflop": forward_flops(model) / 1e9}
    if weights == "all":
        about["arrays"] = seconds(random_images(BATCH), random_masks(BATCH), batch_size=BATCH)
    serve(lambda: BATCH / seconds(batches, steps_per_epoch=1), **about)


def inference() -> None:
    import tensorflow as tf

    from benchmarks.published.stack import ensemble

    model = ensemble()
    images = random_images(IMAGES)
    batches = without_tuning(tf.data.Dataset.from_tensors(images))
    model.predict(batches, verbose=0)

    def one_round() -> float:
        start = time.perf_counter()
        model.predict(batches, verbose=0)
        return len(images) / (time.perf_counter() - start)

    serve(one_round, gflop=forward_flops(model) / 1e9)


def first_step() -> None:
    from benchmarks.published.stack import compiled, network

    model = compiled(network())
    model.fit(endless_batch(), steps_per_epoch=1, verbose=0)
    print(json.dumps({"end": time.time()}))


if __name__ == "__main__":
    kinds = {"training": training, "inference": inference, "first_step": first_step}
    kinds[sys.argv[1]](*sys.argv[2:])
