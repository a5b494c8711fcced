"""Notebook 3: the exercises filled in, and the answers to its quiz."""


# %% vote
def vote_of(main, sampling, main_weight, sampling_weight):
    both = main_weight * main + sampling_weight * sampling
    return both / (main_weight + sampling_weight)


teaching.check("vote", vote_of)


# %% choose
def choose(grid, validation, test):
    """Return the weight to report. Each weight of the grid has a Dice on either part."""
    return grid[np.argmax(validation)]


teaching.check("choose", choose)


# %% best-of-many
def too_good(dice):
    """dice: (trials, models), mean Dice of models that are all worth 0.8 in truth."""
    return np.mean(dice.max(axis=1)) - 0.8


teaching.check("best-of-many", too_good)

# %% caught
caught = (wrong & doubtful).sum() / max(wrong.sum(), 1)
teaching.check("caught", caught, wrong=wrong, doubtful=doubtful)

# %% verdict
verdict = "better" if difference.low > 0 else "worse" if difference.high < 0 else "not told apart"
teaching.check("verdict", verdict, difference=difference)

# %% [markdown]
# ### Answers to the quiz
#
# 1. Both pairs are divided by their sum: 1.01 / 2.01 and 2.02 / 4.02 are the same share. Even undivided, a factor on both channels
#    does not change which is larger.
# 2. More with 48. A mean over 48 images wanders more than one over 1,000, so the luckiest of many tries lies further off: the last
#    exercise on the choice of weights has the numbers.
# 3. Neither follows. They may agree because the images are easy, or because both have learned the same mistake. What is certain is that
#    their vote is worth no more than one of them: an ensemble of members that never disagree saves nothing and costs double.
