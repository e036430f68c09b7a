#!/bin/sh
# Builds the images tunekeeper:VERSION and tunekeeper-trainer:VERSION.
#
#   images/build.sh [--base-image NAME] [--archive DIRECTORY] [--push REGISTRY]
#                   [tunekeeper] [tunekeeper-trainer]
#
# --base-image NAME    instead of the Dockerfile's own; images/base.sh makes one without a registry
# --archive DIRECTORY  also write DIRECTORY/<image>.tar, as `docker save` does
# --push REGISTRY      build with docker buildx and push to REGISTRY/<image>:VERSION with provenance
#                      and a list of what is in it; dist/<image>.json then has the digest
#
# Builds with docker, podman or buildah, the first that works, or with $CONTAINER_TOOL. Taken from
# the environment when set: PIP_INDEX_URL and UV_DEFAULT_INDEX (the package index), the usual
# proxy variables, CA_BUNDLE or SSL_CERT_FILE (certificates to trust while building, in no image),
# IMAGE_SOURCE (where the sources are, for the label), SOURCE_DATE_EPOCH (the time in the labels,
# else that of the commit: the same commit gives the same labels).
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "images/build.sh: $1" >&2
  exit 2
}

usable() {
  command -v "$1" > /dev/null && "$1" info > /dev/null 2>&1
}

choose_tool() {
  if [ -n "${CONTAINER_TOOL:-}" ]; then
    usable "$CONTAINER_TOOL" || fail "CONTAINER_TOOL is $CONTAINER_TOOL, and '$CONTAINER_TOOL info' fails"
    echo "$CONTAINER_TOOL"
    return
  fi
  for candidate in docker podman buildah; do
    if usable "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "needs docker, podman or buildah, and the 'info' of none of them works here"
}

build() {
  image=$1
  set -- --file Dockerfile --target "$image" --tag "$image:$version" \
    --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "CREATED=$created"
  if [ -n "$base" ]; then set -- "$@" --build-arg "BASE_IMAGE=$base"; fi
  if [ -n "${IMAGE_SOURCE:-}" ]; then set -- "$@" --build-arg "SOURCE=$IMAGE_SOURCE"; fi
  if [ -n "$ca" ]; then set -- "$@" --secret "id=ca,src=$ca"; fi
  # By name alone: an index or a proxy may hold a password, which others could read in `ps`.
  for name in PIP_INDEX_URL UV_DEFAULT_INDEX HTTP_PROXY HTTPS_PROXY NO_PROXY \
    http_proxy https_proxy no_proxy; do
    if printenv "$name" > /dev/null; then set -- "$@" --build-arg "$name"; fi
  done
  case $tool in
    *docker)
      # BuildKit's own name: the time of the image and of its history.
      set -- "$@" --build-arg "SOURCE_DATE_EPOCH=$epoch"
      if [ -n "$registry" ]; then push "$image" "$@"; else DOCKER_BUILDKIT=1 "$tool" build "$@" .; fi
      ;;
    *podman) "$tool" build --layers "$@" . ;;
    *) "$tool" bud --layers "$@" . ;;
  esac
}

push() {
  pushed=$1
  shift
  for name in PIP_INDEX_URL UV_DEFAULT_INDEX HTTP_PROXY HTTPS_PROXY http_proxy https_proxy; do
    case $(printenv "$name") in
      *@*) fail "--push publishes how it was built, and $name holds a password" ;;
    esac
  done
  mkdir -p dist
  "$tool" buildx build "$@" --tag "$registry/$pushed:$version" --push \
    --provenance=mode=max --sbom=true --metadata-file "dist/$pushed.json" .
}

when() { # in GNU's words or in BSD's
  date -u -d "@$1" "$2" 2> /dev/null || date -u -r "$1" "$2"
}

archive() {
  file=$archives/$1.tar
  rm -f "$file"
  case $tool in
    *docker) "$tool" save --output "$file" "$1:$version" ;;
    *podman) "$tool" save --quiet --format docker-archive --output "$file" "$1:$version" ;;
    # Not compressed: gzip on gigabytes of libraries takes longer than everything else here.
    *) "$tool" push --quiet "$1:$version" "docker-archive:$file:$1:$version" ;;
  esac
  echo "$file"
}

base= archives= registry= wanted=
while [ $# -gt 0 ]; do
  case $1 in
    --base-image) base=${2:?--base-image needs the name of an image}; shift ;;
    --archive) archives=${2:?--archive needs a directory}; shift ;;
    --push) registry=${2:?--push needs a registry}; shift ;;
    tunekeeper | tunekeeper-trainer) wanted="$wanted $1" ;;
    *) fail "unknown argument $1; see the head of this file" ;;
  esac
  shift
done
tool=$(choose_tool)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2> /dev/null || echo unknown)
if [ -n "$(git status --porcelain --untracked-files=no 2> /dev/null)" ]; then
  revision=$revision-dirty # no commit holds what is built
fi
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || echo 0)}
created=$(when "$epoch" +%Y-%m-%dT%H:%M:%SZ)
case $registry:$tool in
  :* | *docker) ;;
  *) fail "--push needs docker with buildx; the others make no provenance" ;;
esac
ca=${CA_BUNDLE:-${SSL_CERT_FILE:-}}
if [ -n "$archives" ]; then mkdir -p "$archives"; fi

for image in ${wanted:-tunekeeper tunekeeper-trainer}; do
  echo "building $image:$version with $tool" >&2
  build "$image"
  if [ -n "$archives" ]; then archive "$image"; fi
done
