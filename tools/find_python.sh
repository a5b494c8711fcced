#!/bin/sh
# Prints the first of the named interpreters that really runs (a pyenv shim may exist and fail),
# is Python 3.10 to 3.13 and can make virtual environments.
check='
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit("is Python %d.%d" % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    sys.exit("has no module venv or ensurepip (Debian, Ubuntu: apt install python3-venv)")
'
tried=
for python in "$@"; do
    if reason=$("$python" -c "$check" 2>&1); then
        echo "$python"
        exit 0
    fi
    tried="$tried
  $python: $(echo "$reason" | head -n 1)"
done
cat >&2 <<MESSAGE
Expected Python 3.10, 3.11, 3.12 or 3.13. Tried:$tried
Install one of them, or say where it is: make PYTHON=/path/to/python3.12 test
MESSAGE
exit 1
