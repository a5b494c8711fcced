"""An encoder that segmentation_models does not have, with its ImageNet weights in the package."""
