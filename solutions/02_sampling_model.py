"""Notebook 2: the exercises filled in, and the answers to its quiz."""


# %% box
def box_of(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


teaching.check("box", box_of)

# %% box-start
guess = 5  # 20 does not fit into 15 rows, 10 does: the box begins in row 15 - 10
teaching.check("box-start", guess)

# %% centre
crop_masks, whole_masks = crops.masks(preset.size), data.train.masks(preset.size)
middle = preset.size // 2
share = crop_masks[:, middle, middle].mean()
teaching.check("centre", share, crops=crop_masks, whole=whole_masks)

# %% paired
first, second = (scores[name].per_image["dice"] for name in ("sampling", "main"))
mean = (first - second).mean()
half_width = 1.96 * (first - second).std() / np.sqrt(len(first))
teaching.check("paired", (mean, half_width), first=first, second=second)

# %% threshold
large = [es.draw_phantom(np.random.default_rng(n), 0.18 + 0.06 * n)[1] for n in range(7)]
threshold = 0.6 / 0.4
kept = sum(es.imbalance_ratio(mask) >= threshold for mask in large)
teaching.check("threshold", (threshold, kept), masks=large)

# %% [markdown]
# ### Answers to the quiz
#
# 1. A slice leaves out its last index. A half-open box says one past the last row, so `mask[top:bottom]` holds all of them, and
#    `bottom - top` is its height. Otherwise the last row and column are lost; of a lesion one pixel wide nothing is left.
# 2. Where large lesions occur in the images you will meet. A model that never saw one in training may find its rim and miss its middle,
#    and with few images each of them counts.
# 3. Higher, since crops are easy: there is always a lesion, and it is in the middle. You would stop or choose by a curve that says
#    nothing about whole images, where the model has to say "nothing here" as well.
