#!/bin/sh
# with-ca.sh COMMAND...: runs it so that it trusts the build secret `ca`, where one was given:
# a PEM bundle for package indexes behind a private certificate authority.
set -eu
ca=/run/secrets/ca
if [ -s "$ca" ]; then
  export SSL_CERT_FILE="$ca" PIP_CERT="$ca"
fi
exec "$@"
