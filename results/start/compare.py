"""Main, sampling, published, zoom and two-mains ensembles on one data set, a seed at a time.

    ENSEMBLE_SEG_DATA_DIR=DATA python results/start/compare.py kvasir-seg 0

The seed moves the split, the initial weights, the order and the augmentation together. Each seed
leaves one JSON beside this file; what is there is not done again. Weights and margin of the zoom
ensemble are chosen on validation images.
"""

import argparse
import json
import time
from pathlib import Path

import ensemble_seg as es
from ensemble_seg.evaluation import bootstrap_mean

EPOCHS = {"kvasir-seg": 12, "lgg-mri": 16, "phantoms": 12}
MARGINS = {"kvasir-seg": "40x20x10", "lgg-mri": "20x10", "phantoms": "20x10"}
BEFORE = "backbone=resnet18,encoder_weights=none,epochs=15,decay=False,augment=False"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("seed", type=int)
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
    data = es.load_dataset(options.dataset, seed=options.seed)
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
        **scores_of(models, data),
    }
    out.write_text(json.dumps(result) + "\n")
    print(out.name, json.dumps(result["validation_dice"]), json.dumps(result["test_dice"]))


def scores_of(models: dict, data: es.Dataset) -> dict:
    """Dice of each arm on validation and test images, also image by image and less main."""
    arms, result = dict(models), {}
    if "sampling" in models:
        pair = models["main"], models["sampling"]
        weights, margin = es.fit_zoom(*pair, data.validation)
        result["zoom"] = {"margin": margin, "share": weights[1]}
        arms["published"] = es.build_ensemble(pair, (1.01, 1.0))
        arms["two mains"] = es.build_ensemble([models["main"], models["other"]], (1.0, 1.0))
        arms["zoom"] = es.zoom_ensemble(*pair, weights, margin)
        arms["zoom 1.01 : 1"] = es.zoom_ensemble(*pair, (1.01, 1.0), margin)
    for part in ("validation", "test"):
        split = getattr(data, part)
        dice = {name: es.evaluate(arm, split).per_image["dice"] for name, arm in arms.items()}
        result[f"{part}_dice"] = {name: round(float(each.mean()), 4) for name, each in dice.items()}
        result[f"{part}_less_main"] = {
            name: [round(end, 4) for end in bootstrap_mean(each - dice["main"], split.groups)]
            for name, each in dice.items()
            if name != "main"
        }
        result[f"{part}_per_image"] = {name: each.round(4).tolist() for name, each in dice.items()}
    return result


if __name__ == "__main__":
    main()
