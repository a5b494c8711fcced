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
print(sys._base_executable)  # not that of an active .venv, which is about to be replaced
'
tried=
for python in "$@"; do
    if answer=$("$python" -c "$check" 2>&1); then
        echo "$answer" | tail -n 1
        exit 0
    fi
    tried="$tried
  $python: $(echo "$answer" | head -n 1)"
done
cat >&2 <<MESSAGE
Expected Python 3.10, 3.11, 3.12 or 3.13. Tried:$tried
Install one of them, or say where it is: make PYTHON=/path/to/python3.12 test
MESSAGE
exit 1
