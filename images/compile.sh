#!/bin/sh
# compile.sh: bytecode of what install.sh installed. Here, for nothing can be written later;
# unchecked, for the files will not change and nobody needs to look at their times. Torch's own
# tests are left out: they hold syntax of newer Pythons.
set -eu
find /opt/tunekeeper/lib -name '*.py' -cnewer /build/before \
  | /opt/tunekeeper/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
      -x torch/testing/_internal -i -
