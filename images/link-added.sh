#!/bin/sh
# link-added.sh DIRECTORY: puts into it only what came after /build/before, so that the layer made
# of it holds nothing that the layers below it have. Links: the files are several gigabytes.
set -eu
added=$1
mkdir -p "$added"
cd /
find opt/tunekeeper ! -type d -cnewer /build/before -print0 \
  | xargs -0 cp -a --link --parents --target-directory "$added"
