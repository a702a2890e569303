#!/bin/sh
# Install what the release brings: its requirements from its wheels, or all of its wheels.
set -eu
cd /tmp

set --
for file in requirements/*.txt; do
  if [ -e "$file" ]; then set -- "$@" --requirement "$file"; fi
done
if [ $# = 0 ]; then
  for file in wheels/*.whl; do
    if [ -e "$file" ]; then set -- "$@" "$file"; fi
  done
fi
if [ $# != 0 ]; then
  python3 -m pip install --no-cache-dir --no-index --find-links wheels \
    --disable-pip-version-check --root-user-action=ignore "$@"
fi

# A missing package ends the build here, rather than the container later.
python3 -c 'import fastapi, numpy, onnxruntime, uvicorn'
