# One image for every process of Coffer: which one a container is, its command says
# (python -m services.kms, services.secrets, services.rewrap, gateway, or the command line: cli).
#
# It runs as an unprivileged account, writes nothing but /tmp and /pki, and so works with a read-only
# root file system. It has no HEALTHCHECK of its own, because what "healthy" means differs by process:
# docker-compose.yml asks each one's /readyz.
#
# The base is pinned by tag. A release should pin it by digest too:
#   docker build --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:... .
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/coffer
COPY requirements/runtime.txt /tmp/runtime.txt
# Wheels only: nothing from the index runs code of its own while it is installed.
RUN /opt/coffer/bin/pip install --require-hashes --only-binary :all: -r /tmp/runtime.txt
COPY services /opt/coffer/app/services
COPY gateway /opt/coffer/app/gateway
COPY cli /opt/coffer/app/cli
COPY protos/gen /opt/coffer/app/protos/gen
COPY LICENSE /opt/coffer/app/
# A .pth line puts our packages behind the standard library, as the development install does.
RUN site="$(/opt/coffer/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && printf '%s\n' /opt/coffer/app /opt/coffer/app/protos/gen > "${site}/coffer.pth" \
 && /opt/coffer/bin/python -m compileall -q /opt/coffer/app

FROM ${PYTHON_IMAGE}
# 999 is the account of the official PostgreSQL image. With the same number here, the one-shot `pki`
# container can leave a server key that PostgreSQL can read and nobody else may, without any
# container having to start as root.
RUN groupadd --gid 999 coffer \
 && useradd --uid 999 --gid 999 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin coffer \
 && install -d -m 0700 -o coffer -g coffer \
      /pki /pki/ca /pki/kms /pki/secrets /pki/rewrap /pki/gateway /pki/postgres
COPY --from=build /opt/coffer /opt/coffer
ENV PATH=/opt/coffer/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 999:999
STOPSIGNAL SIGTERM
CMD ["python", "-m", "cli", "--help"]
