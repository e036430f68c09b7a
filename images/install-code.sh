#!/bin/sh
# install-code.sh DIRECTORY: builds this project's wheel, installs it where its dependencies
# are, and copies into DIRECTORY only its own files, so that its layer is small.
set -eu
root=$1
python=/opt/tunekeeper/bin/python
tools/bin/uv build --quiet --wheel --no-build-isolation --python tools/bin/python --out-dir dist .
tools/bin/uv pip install --quiet --python "$python" --no-deps --no-index dist/*.whl
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -m compileall -q --invalidation-mode unchecked-hash "$site/controller" "$site/trainer"
mkdir -p "$root"
cd /
site=${site#/}
cp -a --parents "$site/controller" "$site/trainer" "$site"/tunekeeper-*.dist-info \
  opt/tunekeeper/bin/tunekeeper "$root"
