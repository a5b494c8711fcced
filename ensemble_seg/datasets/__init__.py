"""Which files belong to a data set, and how they are split. Knows no network."""

from .dataset import Dataset, Split, all_pairs, find_folder, load_dataset

__all__ = ["Dataset", "Split", "all_pairs", "find_folder", "load_dataset"]
