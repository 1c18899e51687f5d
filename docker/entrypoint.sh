#!/bin/sh
# A worker hands on every variable that its pool names, empty where it has none (deployments/site.py):
# an empty one counts as not set, and places fall back to the shared volume.
for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=$/\1/p'); do
  unset "$name"
done
export RECSYS_ARTIFACTS="${RECSYS_ARTIFACTS:-/data/artifacts}" RECSYS_RUNS="${RECSYS_RUNS:-/data/runs}"
exec "$@"
