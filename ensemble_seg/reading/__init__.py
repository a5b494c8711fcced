"""Files to arrays to tf.data. Knows no data set."""
