#!/bin/sh
# install.sh REQUIREMENTS [UV OPTION...]: locked packages into /opt/tunekeeper. Leaves behind
# /build/before, older than every file that it installed.
set -eu
requirements=$1
shift
touch /build/before
sleep 1 # change times as coarse as a second still tell before from after
tools/bin/uv pip install --quiet --python /opt/tunekeeper/bin/python --no-deps --require-hashes \
  -r "$requirements" "$@"
