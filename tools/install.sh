#!/bin/sh
# install.sh PYTHON ARGUMENTS: pip install, by uv where it is there, which is several times as fast.
# uv does not read pip's settings, of a mirror for example: where it fails, pip tries.
python=$1
shift
if command -v uv >/dev/null; then
  uv pip install -q --python "$python" "$@" && exit
  echo "uv could not install it; pip tries." >&2
fi
exec "$python" -m pip --disable-pip-version-check install -q "$@"
