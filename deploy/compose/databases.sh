#!/bin/sh
# Run once by PostgreSQL's image, on an empty volume: a database and an owner of its own for MLflow and for Prefect.
set -eu
: "${MLFLOW_DB_PASSWORD:?}" "${PREFECT_DB_PASSWORD:?}"
# psql quotes the values; on standard input, so that they are in no argument
create() {
  printf '%s\n' \
    "\\getenv password $2" \
    "CREATE ROLE $1 LOGIN PASSWORD :'password';" \
    "CREATE DATABASE $1 OWNER $1;" \
    "REVOKE ALL ON DATABASE $1 FROM PUBLIC;" |
    psql --set ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB"
}
create mlflow MLFLOW_DB_PASSWORD
create prefect PREFECT_DB_PASSWORD
