#!/bin/sh
# Writes the wheel and the chart's archive to dist/, both at the project's version.
#
# The archive is the same for the same commit, byte for byte. It takes GNU tar.
#
# On a tagged commit the tag, v<version>, has to be that version. $HELM and $UV name the programs.
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "charts/package.sh: $1" >&2
  exit 2
}

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
tags=$(git tag --points-at HEAD 2> /dev/null | grep '^v[0-9]' || true)
for tag in $tags; do
  [ "$tag" = "v$version" ] || fail "the commit is tagged $tag, and pyproject.toml says $version"
done

mkdir -p dist
"${UV:-uv}" build --quiet --wheel --out-dir dist \
  --build-constraints images/build-requirements.txt --require-hashes
# Helm tells of the links into manifests/, whose files it packs, with a line each.
said=$("${HELM:-helm}" package charts/tunekeeper --destination dist \
  --version "$version" --app-version "$version" 2>&1) || fail "$said"
# Helm stamps each file with the time of packing. With the commit's, a commit has one archive.
archive=dist/tunekeeper-$version.tgz
when=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} || fail "no commit to take the time of: set SOURCE_DATE_EPOCH"
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked" "$archive.new"' EXIT
tar -xzmf "$archive" -C "$unpacked" # -m: helm's times may lie ahead, and are not kept
tar -cf "$unpacked/chart.tar" --format=gnu --sort=name --mtime="@$when" --owner=0 --group=0 --numeric-owner \
  --mode=u=rwX,go=rX -C "$unpacked" tunekeeper || fail "GNU tar is needed to pack the chart"
gzip -nc "$unpacked/chart.tar" > "$archive.new"
mv "$archive.new" "$archive"
ls "dist/tunekeeper-$version-py3-none-any.whl" "dist/tunekeeper-$version.tgz"
