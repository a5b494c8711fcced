"""Main, sampling, published, zoom and two-mains ensembles on one data set, a seed at a time.

    python results/start/compare.py kvasir-seg 0 --data-dir DATA

The seed moves the split, the initial weights, the order and the augmentation together. Each seed
leaves one JSON beside this file; what is there is not done again. Weights and margin of the zoom
ensemble are chosen on validation images.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import ensemble_seg as es
from ensemble_seg.evaluation import bootstrap_mean
from ensemble_seg.zooming import LesionBox, PasteAndVote, ZoomIn

EPOCHS = {"kvasir-seg": 12, "lgg-mri": 16, "phantoms": 12}
MARGINS = {"kvasir-seg": "40x20x10", "lgg-mri": "20x10", "phantoms": "20x10"}
BEFORE = "backbone=resnet18,encoder_weights=none,epochs=15,decay=False,augment=False"
ZOOM_MARGINS = (4, 8, 12, 16, 24)  # pixels of the input
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the sampling model in the box


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("seed", type=int)
    parser.add_argument("--data-dir")
    parser.add_argument("--before", action="store_true", help="main model of the earlier quick")
    parser.add_argument("--runs-dir", default="runs/start")
    options = parser.parse_args()
    name = Path(options.dataset).name
    settings = BEFORE if options.before else f"epochs={EPOCHS.get(name, 30)}"
    margin = MARGINS.get(name, "40x20x10")
    preset = es.preset(f"quick,{settings},margin={margin},seed={options.seed}")
    network = "resnet18" if options.before else "lite0"
    out = Path(__file__).parent / f"{name}_{network}_{options.seed}.json"
    if out.is_file():
        return
    data = es.load_dataset(options.dataset, options.data_dir, seed=options.seed)
    data = data.replace(name=f"{name}-split-{options.seed}")
    begin = time.monotonic()
    models = {"main": es.load_or_train("main", data, preset, options.runs_dir).model}
    seconds = {"main": time.monotonic() - begin}
    if not options.before:
        begin = time.monotonic()
        models["sampling"] = es.load_or_train("sampling", data, preset, options.runs_dir).model
        seconds["sampling"] = time.monotonic() - begin
        other = preset.replace(seed=options.seed + 100)
        models["other"] = es.load_or_train("main", data, other, options.runs_dir).model
    result = {
        "data": name,
        "seed": options.seed,
        "hash": data.hash[:12],
        "preset": preset.label,
        "seconds": seconds,
        **scores_of(models, data, preset.size),
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(out.name, json.dumps(result["validation_dice"]), json.dumps(result["test_dice"]))


def scores_of(models: dict, data: es.Dataset, size: int) -> dict:
    parts = {"validation": data.validation, "test": data.test}
    seen = {
        part: {key: es.predict_split(model, split) for key, model in models.items()}
        for part, split in parts.items()
    }
    arms = {part: dict(maps) for part, maps in seen.items()}
    result = {}
    if "sampling" in models:
        images = {part: whole_images(split, size) for part, split in parts.items()}
        result["zoom"] = chosen = choose(models, seen, images, data.validation)
        for part in parts:
            maps = seen[part]
            both = [maps["main"], maps["sampling"]]
            arms[part]["published"] = es.average_probabilities(both, (1.01, 1.0))
            two = [maps["main"], maps["other"]]
            arms[part]["two mains"] = es.average_probabilities(two, (1.0, 1.0))
            zoom = near_maps(models["sampling"], maps["main"], images[part], chosen["margin"])
            for name, share in (("zoom", chosen["share"]), ("zoom 1.01 : 1", 1 / 2.01)):
                arms[part][name] = pasted(maps["main"], *zoom, share)
    for part, split in parts.items():
        dice = {name: es.score(maps, split) for name, maps in arms[part].items()}
        base = dice["main"].per_image["dice"]
        result[f"{part}_dice"] = {
            name: round(float(scores.per_image["dice"].mean()), 4) for name, scores in dice.items()
        }
        result[f"{part}_less_main"] = {
            name: [
                round(end, 4)
                for end in bootstrap_mean(scores.per_image["dice"] - base, split.groups)
            ]
            for name, scores in dice.items()
            if name != "main"
        }
        result[f"{part}_per_image"] = {
            name: scores.per_image["dice"].round(4).tolist() for name, scores in dice.items()
        }
    return result


def whole_images(split: es.Split, size: int) -> np.ndarray:
    from ensemble_seg.reading.batches import batches

    return np.concatenate([images for images, _ in batches(split.windows, size)])


def near_maps(sampling, main_maps: np.ndarray, images: np.ndarray, margin: int):
    box = np.array(LesionBox(margin)(main_maps))
    crops = np.concatenate(
        [ZoomIn()([images[k : k + 8], box[k : k + 8]]) for k in range(0, len(images), 8)]
    )
    return sampling.predict(crops, batch_size=8, verbose=0), box


def pasted(main_maps: np.ndarray, near: np.ndarray, box: np.ndarray, share: float) -> np.ndarray:
    vote = PasteAndVote((1 - share, share))
    return np.concatenate(
        [
            vote([main_maps[k : k + 8], near[k : k + 8], box[k : k + 8]])
            for k in range(0, len(box), 8)
        ]
    )


def choose(models: dict, seen: dict, images: dict, split: es.Split) -> dict:
    """Return the margin and the share with the highest mean validation Dice."""
    main_maps, table = seen["validation"]["main"], {}
    for margin in ZOOM_MARGINS:
        near, box = near_maps(models["sampling"], main_maps, images["validation"], margin)
        for share in SHARES:
            maps = pasted(main_maps, near, box, share)
            table[margin, share] = float(es.score(maps, split).per_image["dice"].mean())
    margin, share = max(table, key=table.get)
    return {"margin": margin, "share": share, "validation": round(table[margin, share], 4)}


if __name__ == "__main__":
    main()
