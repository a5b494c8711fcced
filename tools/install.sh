#!/bin/sh
# install.sh PYTHON ARGUMENTS: pip install, by uv where it is there, which is several times as fast.
# Compiled at once, as pip does: else the first start of TensorFlow takes four times as long, and
# every start where Python may write nothing beside its files.
# uv does not read pip's settings, of a mirror for example: where it fails, pip tries.
python=$1
shift
if command -v uv >/dev/null; then
  uv pip install -q --compile-bytecode --python "$python" "$@" && exit
  echo "uv could not install it; pip tries." >&2
fi
exec "$python" -m pip --disable-pip-version-check install -q "$@"
