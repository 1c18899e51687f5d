#!/usr/bin/env bash
# Proves the containers with a real Docker engine, from nothing but Debian and Python packages:
#
#   docker/prove.sh [folder for its files]
#
# It takes the engine that answers, or starts one (as root, without a network bridge, stopped at the
# end); builds a base from Debian packages unless BASE_IMAGE names one; builds the CPU image; and
# runs docker/prove.py, which tells what it proves. Needs the virtual environment of `make test`
# and, for its own engine and base: apt-get install docker.io runc iptables debootstrap.
#
# From the environment: BASE_IMAGE, DEBIAN_MIRROR; PIP_INDEX_URL, PIP_EXTRA_INDEX_URL and
# PIP_FIND_LINKS (a folder of wheels); SSL_CERT_FILE, a CA bundle that the build shall trust, too.
set -euo pipefail
cd "$(dirname "$0")/.."
WORK=${1:-${TMPDIR:-/tmp}/recsys-prove}
IMAGE=recsys:proof
ENGINE=
WHEELS=()
# A client of version 23 and later builds only with its plug-in buildx.
for DOCKER in docker /usr/bin/docker; do
  case $("$DOCKER" --version) in *version\ 20.*) break ;; esac
  "$DOCKER" buildx version > /dev/null 2>&1 && break
done
mkdir -p "$WORK"

stop_engine() {
  if [ -n "$ENGINE" ]; then
    kill "$ENGINE" && wait "$ENGINE" 2> /dev/null || true
    # What the engine mounts for itself outlives it, and the folder could not be removed.
    umount "$WORK/exec/netns/default" "$WORK/data" 2> /dev/null || true
  fi
  # A later build of another image must not find the wheels of this one.
  rm -f docker/extra/proof-ca.pem
  for wheel in ${WHEELS[@]+"${WHEELS[@]}"}; do rm -f "docker/extra/$wheel"; done
}
trap stop_engine EXIT

if "$DOCKER" info > /dev/null 2>&1; then
  echo "Engine: the one that answers"
else
  export DOCKER_HOST=unix://$WORK/docker.sock
  # Containers use the host's network: no bridge and no firewall rules, so no trace is left.
  dockerd --host "$DOCKER_HOST" --data-root "$WORK/data" --exec-root "$WORK/exec" \
    --pidfile "$WORK/docker.pid" --iptables=false --bridge=none > "$WORK/dockerd.log" 2>&1 &
  ENGINE=$!
  for _ in $(seq 60); do "$DOCKER" info > /dev/null 2>&1 && break; sleep 0.5; done
  "$DOCKER" info > /dev/null || { tail "$WORK/dockerd.log" >&2; exit 1; }
  echo "Engine: started, $("$DOCKER" version --format '{{.Server.Version}}')"
fi

if [ -z "${BASE_IMAGE:-}" ]; then
  BASE_IMAGE=recsys-base:bookworm
  if ! "$DOCKER" image inspect "$BASE_IMAGE" > /dev/null 2>&1; then
    echo "Base image: from Debian packages"
    rm -rf "$WORK/base"
    # python3-distutils by name: debootstrap does not know what provides python3.11-distutils.
    debootstrap --variant=minbase \
      --include=python3.11,python3.11-venv,python3-distutils,ca-certificates,libgomp1 \
      bookworm "$WORK/base" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} > "$WORK/base.log" \
      || { tail -n 5 "$WORK/base.log" >&2; exit 1; }
    tar -C "$WORK/base" --exclude=./var/cache/apt --exclude=./var/lib/apt/lists -c . \
      | "$DOCKER" import - "$BASE_IMAGE" > /dev/null
    rm -rf "$WORK/base"
  fi
fi

# What the build needs beyond public registries lies in docker/extra (never committed).
if [ -n "${SSL_CERT_FILE:-}" ]; then cp "$SSL_CERT_FILE" docker/extra/proof-ca.pem; fi
if [ -d "${PIP_FIND_LINKS:-}" ]; then
  for wheel in "$PIP_FIND_LINKS"/*.whl; do
    name=$(basename "$wheel")
    [ -e "docker/extra/$name" ] || { cp "$wheel" docker/extra/; WHEELS+=("$name"); }
  done
fi
echo "CPU image: building, see $WORK/build.log"
STARTED=$SECONDS
DOCKER_BUILDKIT=1 "$DOCKER" build --network host --progress plain -f docker/Dockerfile -t "$IMAGE" \
  --build-arg BASE_IMAGE="$BASE_IMAGE" \
  --build-arg PIP_INDEX_URL="${PIP_INDEX_URL:-}" \
  --build-arg PIP_EXTRA_INDEX_URL="${PIP_EXTRA_INDEX_URL:-}" \
  --build-arg EXTRA_CA="${SSL_CERT_FILE:+proof-ca.pem}" . > "$WORK/build.log" 2>&1 \
  || { tail -n 20 "$WORK/build.log" >&2; exit 1; }
SIZE=$("$DOCKER" image inspect --format '{{.Size}}' "$IMAGE")
echo "CPU image: $((SIZE / 1000000)) MB, $((SECONDS - STARTED)) s"

# PROVE_ONLY=image ends here: the image, for a look of one's own.
[ "${PROVE_ONLY:-}" = image ] || .venv/bin/python docker/prove.py "$IMAGE" "$WORK"
