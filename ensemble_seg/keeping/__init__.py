"""What a training leaves behind, written so that damage is noticed, and read again."""
