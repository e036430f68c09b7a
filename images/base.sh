#!/bin/sh
# base.sh NAME: a base image without a registry, from Debian's own packages, as the local image
# NAME for `images/build.sh --base-image NAME`. Needs root, mmdebstrap and buildah. One that is
# there already is kept, and with it the layers above; for newer packages remove it first.
#
# MIRROR: where Debian's packages are, if not at mmdebstrap's default.
set -eu
name=${1:?the name of the image to make, such as localhost/tunekeeper-base}
if buildah inspect --type image "$name" > /dev/null 2>&1; then
  echo "$name"
  exit 0
fi
work=$(mktemp -d)
container=
finish() {
  if [ -n "$container" ]; then buildah rm "$container" > /dev/null; fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# Of manuals and the like only licences stay; usr-is-merged, or usrmerge brings all of perl.
mmdebstrap --quiet --variant=minbase \
  --include=usr-is-merged,python3,python3-venv,ca-certificates \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  bookworm "$work/base.tar" ${MIRROR:+"$MIRROR"}
container=$(buildah from scratch)
buildah add --quiet "$container" "$work/base.tar" / > /dev/null
buildah config --cmd python3 \
  --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
buildah commit --quiet "$container" "$name" > /dev/null
echo "$name"
