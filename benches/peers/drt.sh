#!/bin/bash
# drt-core with its generic HTTP destination: drt.sh cursor|full FOLDER DATABASE_URL DESTINATION_URL
# The project, its profile and drt's own state are in FOLDER; a second call goes on where the first ended. CRM_TOKEN is the
# destination's token. Needs benches/peers/.venv (see README.md).
set -euo pipefail
mode=$1 folder=$2 database=$3 destination=$4
here=$(cd "$(dirname "$0")" && pwd)

if [ ! -e "$folder/drt_project.yml" ]; then
  [[ $database =~ ^postgres://([^:@]+)(:[^@]*)?@([^:/]+):([0-9]+)/([^?]+) ]]
  mkdir -p "$folder/.drt" "$folder/syncs"
  cat >"$folder/.drt/profiles.yml" <<END
bench:
  type: postgres
  host: ${BASH_REMATCH[3]}
  port: ${BASH_REMATCH[4]}
  dbname: ${BASH_REMATCH[5]}
  user: ${BASH_REMATCH[1]}
  password_env: PGPASSWORD
END
  printf 'name: bench\nversion: "0.1"\nprofile: bench\n' >"$folder/drt_project.yml"
  if [ "$mode" = cursor ]; then
    how=$'mode: incremental\n  cursor_field: updated_at'
  else
    how='mode: full'
  fi
  # Texts are made in SQL, because HubSpot's properties are texts and a template that makes them is slower.
  cat >"$folder/syncs/customers.yml" <<END
name: customers
model: |
  select email, first_name, last_name, company, coalesce(phone, '') as phone, country, coalesce(city, '') as city, plan,
    coalesce(source, '') as source, coalesce(notes, '') as notes, mrr::text, seats::text, health::text, active::text,
    opted_in::text, created_at::text, coalesce(last_seen_at::text, '') as last_seen_at, updated_at, renews_on::text,
    attributes::text
  from customers
destination:
  type: rest_api
  url: $destination/crm/v3/objects/contacts/batch/upsert
  method: POST
  headers:
    Content-Type: application/json
  auth:
    type: bearer
    token_env: CRM_TOKEN
  body_mode: batch
  max_records_per_request: 100
  batch_template: |
    {"inputs": [{% for row in rows %}{"id": {{ row.email | tojson_safe }}, "idProperty": "email",
    "properties": {{ row | tojson_safe }}}{% if not loop.last %},{% endif %}{% endfor %}]}
sync:
  $how
  batch_size: 1000
  rate_limit:
    requests_per_second: 100000
  on_error: fail
END
fi

cd "$folder"
# Profiles are looked for below the home folder.
HOME=$folder PGPASSWORD=${PGPASSWORD:-none} DO_NOT_TRACK=1 exec "$here/.venv/bin/drt" run --select customers --output json
