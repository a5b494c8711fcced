"""Which numbers to compute with: what the hardware is fast at."""

import contextlib
from pathlib import Path

import keras

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # of x86; on ARM it was not measured


def precision_policy(precision: str = "auto") -> str:
    """Return the Keras dtype policy for a precision; "auto" asks the hardware.

    On a GPU mixed bfloat16 from compute capability 8.0, mixed float16 from 7.0 (the first with
    tensor cores). On a processor mixed bfloat16 where it has AVX512-BF16 or AMX and TensorFlow
    computes: there it was measured to be faster than float32, with JAX it was not. Else float32.

    Example:
        >>> precision_policy("float32")
        'float32'
    """
    return automatic_precision()[0] if precision == "auto" else precision


def automatic_precision() -> tuple[str, str]:
    """Return the policy that "auto" stands for on this machine, and why."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        gpu = _has_gpu()
        policy = "mixed_bfloat16" if gpu else "float32"
        return policy, f"{'a' if gpu else 'no'} GPU, and {backend} computes"
    capability = _gpu_capability()
    if capability is not None:
        reason = f"the GPU has compute capability {'.'.join(map(str, capability))}"
        if capability >= (8, 0):
            return "mixed_bfloat16", reason
        return ("mixed_float16" if capability >= (7, 0) else "float32"), reason
    fast = sorted(cpu_flags() & BFLOAT16_FLAGS)
    if fast:
        return "mixed_bfloat16", f"no GPU; the processor has {' and '.join(fast)}"
    return "float32", f"no GPU; the processor has none of {', '.join(sorted(BFLOAT16_FLAGS))}"


def cpu_flags() -> set[str]:
    """Return the features of the processor by the names that Linux has for them; else none."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []
    names = ("flags", "Features")  # on x86, on ARM
    return {flag for line in lines if line.startswith(names) for flag in line.split()}


@contextlib.contextmanager
def dtype_policy(policy: str):
    """Build layers with a Keras dtype policy; the one that was set before comes back."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def computes_in_bfloat16(model: keras.Model) -> bool:
    """Say whether a model, or a member of it, was built to compute in mixed bfloat16.

    Example:
        >>> with dtype_policy("mixed_bfloat16"):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> computes_in_bfloat16(model), computes_in_bfloat16(in_float32(model))
        (True, False)
    """
    return any(layer.compute_dtype == "bfloat16" for layer in model._flatten_layers())


def in_float32(model: keras.Model) -> keras.Model:
    """Return a copy of a functional model, with the same weights, that computes in float32.

    Example:
        >>> with dtype_policy("mixed_bfloat16"):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> in_float32(model).layers[-1].compute_dtype
        'float32'
    """
    copy = type(model).from_config(_float32_config(model.get_config()))
    copy.set_weights(model.get_weights())
    return copy


def _float32_config(config):
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {"name": "float32"}}
        return {key: _float32_config(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_float32_config(value) for value in config)
    return config


def _gpu_capability() -> tuple[int, int] | None:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    return tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))


def _has_gpu() -> bool:
    try:
        return bool(keras.distribution.list_devices("gpu"))
    except RuntimeError:
        return False
