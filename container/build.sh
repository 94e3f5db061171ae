#!/bin/sh
# Build an image with whatever builder works here: docker, podman or buildah.
#   container/build.sh [TAG [CONTAINERFILE]]
# BASE and RUNTIME choose the base images, IMAGE_OPTIONS adds options of the builder.
set -eu
cd "$(dirname "$0")/.."
tag=${1:-reactor-yield}
set -- -f "${2:-container/Containerfile}" -t "$tag"
[ -z "${BASE:-}" ] || set -- "$@" --build-arg "BASE=$BASE"
[ -z "${RUNTIME:-}" ] || set -- "$@" --build-arg "RUNTIME=$RUNTIME"
# A client without its daemon is no builder.
if docker info >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    exec docker build ${IMAGE_OPTIONS:-} "$@" .
elif podman info >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    exec podman build --format docker ${IMAGE_OPTIONS:-} "$@" .
elif command -v buildah >/dev/null; then
    # shellcheck disable=SC2086
    exec buildah bud --format docker ${IMAGE_OPTIONS:-} "$@" .
fi
echo "neither docker (with its daemon) nor podman nor buildah is here: install one of them" >&2
exit 1
