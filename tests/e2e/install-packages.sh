#!/bin/sh
# Installs the Debian packages that `make e2e` needs, those that are missing. Needs root.
set -eu

missing=
need() { # PACKAGE FILE: the package is needed where the file is not
  for place in /usr/sbin /usr/bin /sbin /bin /usr/lib/cni /opt/cni/bin; do
    if [ -e "$place/$2" ]; then return; fi
  done
  missing="$missing $1"
}

need containerd containerd
need containernetworking-plugins bridge
need iproute2 ip
need iptables iptables
need runc runc
need util-linux unshare
need mount mount
# What builds the images; a docker or podman that works is used instead.
need buildah buildah
need mmdebstrap mmdebstrap

if [ -z "$missing" ]; then exit 0; fi
if [ "$(id -u)" != 0 ]; then
  echo "tests/e2e/install-packages.sh: as root: apt-get install --no-install-recommends$missing" >&2
  exit 2
fi
echo "installing$missing" >&2
# Debian starts a service that it installs; the tests run their own containerd, so none is wanted.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet --quiet
# shellcheck disable=SC2086 - a list of names
apt-get install --quiet --quiet --yes --no-install-recommends $missing > /dev/null
