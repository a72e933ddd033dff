"""What a data engineer would write: script.py DATABASE_URL DESTINATION_URL HASHES_FILE

Reads `customers` with psycopg, keeps a hash of each row in SQLite, and sends what differs to HubSpot's batch upsert, 100
rows at a time. Rows that have left the table are not looked for.
"""

import hashlib
import json
import os
import sqlite3
import sys
import time

import psycopg
import requests
from psycopg.rows import dict_row

BATCH = 100
PATH = "/crm/v3/objects/contacts/batch/upsert"


def text(value):
    """The text of a property."""
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def changed(rows, hashes):
    """Rows whose hash is not the stored one."""
    known = dict(hashes.execute("select id, hash from hashes"))
    for row in rows:
        key = row.pop("id")
        properties = {name: text(value) for name, value in row.items()}
        digest = hashlib.md5(json.dumps(properties).encode()).digest()
        if known.get(key) != digest:
            yield key, digest, properties


def send(session, url, hashes, batch):
    """One request; the hashes are stored once it has succeeded."""
    inputs = [{"id": p["email"], "idProperty": "email", "properties": p} for _, _, p in batch]
    while True:
        response = session.post(url + PATH, json={"inputs": inputs}, timeout=60)
        if response.status_code != 429:
            break
        time.sleep(float(response.headers.get("Retry-After", 1)))
    response.raise_for_status()
    with hashes:
        hashes.executemany("insert or replace into hashes values (?, ?)", [(key, digest) for key, digest, _ in batch])


def main(database, url, file):
    hashes = sqlite3.connect(file)
    hashes.execute("create table if not exists hashes (id integer primary key, hash blob)")
    session = requests.Session()
    session.headers["Authorization"] = "Bearer " + os.environ.get("CRM_TOKEN", "")
    with psycopg.connect(database, row_factory=dict_row) as connection, connection.cursor("rows") as cursor:
        cursor.itersize = 10_000
        cursor.execute("select * from customers order by id")
        batch, sent = [], 0
        for row in changed(cursor, hashes):
            batch.append(row)
            if len(batch) == BATCH:
                send(session, url, hashes, batch)
                batch, sent = [], sent + BATCH
        if batch:
            send(session, url, hashes, batch)
    print(f"{sent + len(batch)} rows sent")


if __name__ == "__main__":
    main(*sys.argv[1:])
