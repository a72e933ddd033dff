#!/bin/sh
# What PostgreSQL itself needs to hand out a result: psql-copy.sh DATABASE_URL QUERY > /dev/null
# `psql` is looked for in PATH and then where Debian keeps it.
set -eu
psql=$(command -v psql || ls /usr/lib/postgresql/*/bin/psql | tail -n 1)
exec "$psql" -X -q "$1" -c "copy ($2) to stdout"
