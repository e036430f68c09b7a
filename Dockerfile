# Two images of one code: `tunekeeper` (the controller, prepare and judge; no torch) and
# `tunekeeper-trainer` (the same and torch). `make images` builds both; see images/build.sh.
#
# The base needs python3 (3.11 or later), its venv module and ca-certificates, nothing else;
# images/base.sh makes such a one where there is no registry.
ARG BASE_IMAGE=python:3.12-slim

# --- what builds, and stays behind -------------------------------------------------------------

FROM ${BASE_IMAGE} AS tools
ARG UV_VERSION=0.13.9
# The package index and proxies of this build; unset: the tools' own defaults.
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
# No cache: each layer holds what it installs and no second copy of it.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_LINK_MODE=copy
WORKDIR /build
COPY images/with-ca.sh images/build-requirements.txt ./
RUN --mount=type=secret,id=ca python3 -m venv tools \
 && ./with-ca.sh tools/bin/python -m pip install --quiet uv==${UV_VERSION} \
 && ./with-ca.sh tools/bin/uv pip install --quiet --python tools/bin/python \
      --require-hashes -r build-requirements.txt

# A stage of its own: an edit of pyproject.toml that moves no dependency ends its effect here.
FROM tools AS locked
COPY pyproject.toml uv.lock ./
RUN tools/bin/uv export --quiet --frozen --no-dev --no-emit-project --no-header --no-annotate \
      --output-file small.txt \
 && tools/bin/uv export --quiet --frozen --no-dev --no-emit-project --no-header --no-annotate \
      --extra train --output-file train.txt

FROM tools AS small
COPY --from=locked /build/small.txt ./
COPY images/install.sh images/slim.sh images/strip.py images/compile.sh ./
RUN --mount=type=secret,id=ca python3 -m venv --without-pip /opt/tunekeeper \
 && ./with-ca.sh ./install.sh small.txt && ./slim.sh && ./compile.sh

FROM small AS code
COPY pyproject.toml README.md LICENSE ./
COPY controller controller
COPY trainer trainer
COPY images/install-code.sh ./
RUN ./install-code.sh /code

# --- what runs ---------------------------------------------------------------------------------

FROM ${BASE_IMAGE} AS runtime
# A name for the user: libraries that ask for one fail without it. /cache: the mount of the pods.
RUN echo 'tunekeeper:x:65532:65532::/tmp:/sbin/nologin' >> /etc/passwd \
 && echo 'tunekeeper:x:65532:' >> /etc/group \
 && mkdir -m 0770 /cache && chown 65532:0 /cache
# LOGNAME: the same question under a user id that the cluster chose.
ENV PATH=/opt/tunekeeper/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 HOME=/tmp LOGNAME=tunekeeper PYTHONUNBUFFERED=1 \
    HF_HOME=/tmp/hf HF_HUB_DISABLE_TELEMETRY=1 TORCHINDUCTOR_CACHE_DIR=/tmp/torchinductor
COPY --from=small /opt/tunekeeper /opt/tunekeeper
WORKDIR /tmp
# A number: a kubelet that must not run root cannot judge a name.
USER 65532:65532

FROM runtime AS tunekeeper
COPY --from=code /code /
CMD ["python", "-P", "-m", "controller"]
ARG VERSION=0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="tunekeeper" \
      org.opencontainers.image.description="Tunekeeper's controller and CPU stages" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"

# --- the same with torch; last, because some builders build every stage above their target ------

FROM small AS train
COPY --from=locked /build/train.txt ./
COPY images/link-added.sh ./
RUN --mount=type=secret,id=ca \
    ./with-ca.sh ./install.sh train.txt --reinstall-package transformers \
 && ./compile.sh && ./link-added.sh /added

FROM runtime AS tunekeeper-trainer
# The code after torch: a change of the code is a small layer here too.
COPY --from=train /added /
COPY --from=code /code /
# What the NVIDIA container runtime hands a pod that was given a GPU; harmless without one.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
CMD ["python", "-P", "-m", "trainer"]
ARG VERSION=0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="tunekeeper-trainer" \
      org.opencontainers.image.description="Tunekeeper's train stage" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"
