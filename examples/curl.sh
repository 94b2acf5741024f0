#!/bin/sh
# Hands orders in at the HTTP door, waits until all have ended, and prints what became of each: with curl alone.
#   Standard input: lines of instId,ordId below a line of headings. DOOR: the door's address; ACCOUNT: whose orders they are;
#   TOKEN_FILE: a file with the line "Authorization: Bearer <token>", for a secret must be no argument.
set -eu
batch=${BATCH_ID:-curl-$(date +%s)-$$}
call() { curl --fail-with-body --silent --show-error --max-time 10 --header "@$TOKEN_FILE" "$@"; }

orders=$(awk -F, 'NR > 1 { printf "%s{\"instId\":\"%s\",\"ordId\":\"%s\"}", comma, $1, $2; comma = "," }')

# the same PUT may be made again after a lost answer, by hand as well: orders are never taken twice
told=$(call --retry 5 --retry-connrefused --request PUT --header "Content-Type: application/json" \
	--data "{\"account\":\"$ACCOUNT\",\"orders\":[$orders]}" "$DOOR/v1/batches/$batch") || {
	echo "$told" >&2
	exit 1
}

until call "$DOOR/v1/batches/$batch" | grep -q '"complete": *true'; do
	sleep 0.2
done
call "$DOOR/v1/batches/$batch/outcomes?format=csv"
