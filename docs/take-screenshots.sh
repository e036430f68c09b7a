#!/bin/sh
# Retake the README's pictures of a report, or of a history.html; needs Chromium (Debian:
# apt-get install chromium). usage: docs/take-screenshots.sh PAGE.html [OUTDIR]
set -eu
here=$(dirname "$0")
page=${1:?usage: docs/take-screenshots.sh PAGE.html [OUTDIR]}
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
  { echo "no Chromium found; on Debian: apt-get install chromium" >&2; exit 2; }
python=$here/../.venv/bin/python
[ -x "$python" ] || { echo "no .venv; run make setup first" >&2; exit 2; }
exec "$python" "$here/screenshots.py" "$chromium" "$page" "${2:-$here/images}"
