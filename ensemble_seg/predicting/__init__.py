"""From image files to masks: one image, a folder, or the score of a split."""
