#!/usr/bin/env bash
# Proves docker/compose.yaml with a real compose v2: up, log in, a run, down, up again.
#
#   docker/prove.sh FOLDER          # first: it builds the base and the image
#   docker/prove_compose.sh FOLDER
#
# COMPOSE names the program (default: `docker compose`). It needs the engine of DOCKER_HOST and the
# ports 4200, 4201 and 5432 of this machine; it removes what it made. PostgreSQL comes from Debian's
# packages, since registries may be out of reach.
set -euo pipefail
cd "$(dirname "$0")/.."
WORK=${1:-${TMPDIR:-/tmp}/recsys-prove}
FILES=(-f docker/compose.yaml -f docker/compose.host.yaml --env-file "$WORK/compose.env")
export POSTGRES_IMAGE=recsys-postgres:proof OWN_DATA=$WORK/small

compose() { ${COMPOSE:-docker compose} "${FILES[@]}" "$@"; }
stop() {
  compose logs --no-color > "$WORK/compose.log" 2>&1 || true
  compose down --volumes --timeout 20 > "$WORK/down.log" 2>&1 || true
}
trap stop EXIT

# A client of version 23 and later builds only with its plug-in buildx.
for DOCKER in docker /usr/bin/docker; do
  case $("$DOCKER" --version) in *version\ 20.*) break ;; esac
  "$DOCKER" buildx version > /dev/null 2>&1 && break
done
"$DOCKER" build -q --network host --build-arg BASE_IMAGE="${BASE_IMAGE:-recsys-base:bookworm}" \
  -t "$POSTGRES_IMAGE" docker/prove-postgres > /dev/null
"$DOCKER" tag recsys:proof recsys:0.1.0
rm -f "$WORK/compose.env"
# A password that a URL would read as something else.
echo 'POSTGRES_PASSWORD=p@ss/w#rd' > "$WORK/compose.env"
.venv/bin/python docker/make_env.py "$WORK/compose.env"
.venv/bin/python -c "
import sys, pathlib
from tests.small_data import write_small
write_small(pathlib.Path(sys.argv[1]))" "$OWN_DATA"

compose config --quiet
echo "ok config"
compose up --no-build --detach --wait --wait-timeout 300
echo "ok up --wait: exit status 0"
.venv/bin/python docker/prove_compose.py first "$WORK"
compose down --timeout 30
compose up --no-build --detach --wait --wait-timeout 300
.venv/bin/python docker/prove_compose.py again "$WORK"

mkdir -p "$WORK/backups" && rm -rf "$WORK/backups/one" && chmod 777 "$WORK/backups"
compose run --rm --no-deps --volume "$WORK/backups:/backups" worker-cpu \
  python3.11 -m deployments.backup /backups/one
[ -f "$WORK/backups/one/runs/proof/report.html" ]
echo "ok artifacts and runs backed up: $(find "$WORK/backups/one" -name manifest.json | wc -l) artifacts"
compose exec -T postgres pg_dump -U prefect --clean --if-exists prefect > "$WORK/prefect.sql"
compose stop server worker-cpu
compose exec -T postgres psql -q -U prefect prefect -c 'DELETE FROM flow_run' > "$WORK/psql.log"
compose exec -T postgres psql -q -U prefect prefect < "$WORK/prefect.sql" > "$WORK/psql.log"
compose up --no-build --detach --wait --wait-timeout 300
.venv/bin/python docker/prove_compose.py again "$WORK"
echo "ok database restored from pg_dump: $(wc -c < "$WORK/prefect.sql") bytes"
