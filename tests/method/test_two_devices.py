"""Training as MirroredStrategy shares it out, as in any Keras program."""

import subprocess
import sys

CODE = """
import sys
import keras
import numpy as np
import tensorflow as tf

processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
import ensemble_seg as es
preset = es.preset("smoke,size=32,epochs=2,limit=8,batch_size=4,precision=float32")
data = es.load_dataset("phantoms")
def network():
    image = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    start = keras.initializers.GlorotUniform(seed=1)
    layer = keras.layers.Conv2D(2, 1, activation="softmax", kernel_initializer=start)
    return keras.Model(image, layer(x))

alone = es.train(network(), data, preset, runs_dir=sys.argv[1] + "/alone").model
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    shared = es.train(network(), data, preset, runs_dir=sys.argv[1] + "/shared").model
np.testing.assert_allclose(alone.get_weights()[0], shared.get_weights()[0], atol=1e-4)
assert np.abs(network().get_weights()[0] - alone.get_weights()[0]).max() > 1e-3
"""


def test_two_devices_train_as_one(tmp_path):
    done = subprocess.run([sys.executable, "-c", CODE, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
