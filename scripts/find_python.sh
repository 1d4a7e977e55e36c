#!/bin/sh
# Prints the first Python >= 3.11 that runs and can make environments; says what to install where there is none.
for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
    path=$(command -v "$name" 2>/dev/null) || continue
    if "$path" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$path"
        exit 0
    fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "set-up: no Python >= 3.11 with venv here; installing Debian's" >&2
    apt-get -q update >&2 && apt-get -q install -y python3 python3-venv >&2
    if python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v python3
        exit 0
    fi
fi
echo "set-up: wbvla needs Python >= 3.11 with the venv module. On Debian or Ubuntu run" >&2
echo "    sudo apt-get install -y python3 python3-venv" >&2
echo "or name another one: make setup PYTHON=/path/to/python3.11" >&2
exit 1
