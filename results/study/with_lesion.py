"""Test images with a lesion and without one, apart. Looked at after the runs: it decides nothing.

ENSEMBLE_SEG_DATA_DIR=DATA python results/study/with_lesion.py lgg-mri
"""

import sys
from pathlib import Path

import numpy as np

import ensemble_seg as es
from ensemble_seg.study.parts import all_cases
from ensemble_seg.study.results import Results, read_results
from ensemble_seg.study.statistics import paired

PAIRS = (("sampling", "random-crops"), ("ensemble", "two-mains"), ("zoom", "two-mains"))


def main(name: str) -> None:
    results = read_results(Path(__file__).parent / name)
    cases = all_cases(es.load_dataset(name))
    lesion = np.array([es.read_mask(case.mask).any() for case in cases])
    print(
        f"{lesion.sum()} images with a lesion, {(~lesion).sum()} without; Dice, mean over seeds\n"
    )
    print("| arm | with a lesion | without |\n|---|---|---|")
    for arm in results.arms:
        print(f"| {arm} | {means(results, arm, lesion).mean():.3f} ", end="")
        print(f"| {means(results, arm, ~lesion).mean():.3f} |")
    print("\n| arm - control | with a lesion | without |\n|---|---|---|")
    for arm, control in PAIRS:
        split = results.arms[arm][0]["split"]
        ratio = split["test"] / split["train"]
        found = (
            paired(means(results, arm, kind), means(results, control, kind), ratio)
            for kind in (lesion, ~lesion)
        )
        print(f"| {arm} - {control} | {' | '.join(map(str, found))} |")


def means(results: Results, arm: str, kind: np.ndarray) -> np.ndarray:
    """Return the mean Dice of each seed over its test images of one kind."""
    tests = [each["test"] for _, each in sorted(results.arms[arm].items())]
    return np.array([np.array(test["dice"])[kind[test["cases"]]].mean() for test in tests])


if __name__ == "__main__":
    main(sys.argv[1])
