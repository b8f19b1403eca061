#!/usr/bin/env bash
# Verifies a receipt against published keys, with nothing of Holdpoint's own.
#
#   verify-receipt.sh RECEIPT.json KEYS.json
#
# Uses bash, openssl (3 or later), jq, sha256sum, base64, xxd and coreutils. Prints VALID and exits
# with 0, or prints INVALID with a code and exits with 10. 2 is wrong usage or a missing tool. The
# codes and the order of the checks are those of docs/reference/receipt-format.md.
set -euo pipefail
export LC_ALL=C

usage() { echo "usage: verify-receipt.sh RECEIPT.json KEYS.json" >&2; exit 2; }
invalid() { printf 'INVALID  %s  %s\n' "$1" "$2"; exit 10; }

[[ $# -eq 2 && -r $1 && -r $2 ]] || usage
for tool in openssl jq sha256sum base64 xxd cmp mktemp; do
  command -v "$tool" >/dev/null || { echo "missing tool: $tool" >&2; exit 2; }
done
receipt=$1 keys=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

field() { jq -ej "$1" "$receipt"; }
key_field() { jq -ej "$1" "$keys"; }
hex() { xxd -p -c 1000000; }

# Hexadecimal digits of base64 that is in its one encoding.
unbase64() {
  local digits
  digits=$(printf '%s' "$1" | base64 -d 2>/dev/null | hex) || return 1
  [[ $(printf '%s' "$digits" | xxd -r -p | base64 -w 0) == "$1" ]] || return 1
  printf '%s' "$digits"
}

# SHA-256, in hexadecimal digits, of bytes given in hexadecimal digits.
sha256_of_hex() {
  local sum
  sum=$(printf '%s' "$1" | xxd -r -p | sha256sum)
  printf '%s' "${sum%% *}"
}

# The file has its one encoding, and the members of a receipt and no others.
[[ $(jq -s length "$receipt" 2>/dev/null) == 1 ]] || invalid MALFORMED "the file is not one JSON value"
jq -cS . "$receipt" | cmp -s - "$receipt" || invalid NOT_CANONICAL "the file is not what jq -cS prints"
[[ $(jq -r '.schema? // empty' "$receipt") == holdpoint.receipt/1 ]] ||
  invalid UNKNOWN_SCHEMA "the receipt is of another form"
jq -e '
  def count: type == "number" and (tostring | test("\\A[0-9]{1,16}\\z"));
  keys == ["checkpoint", "proof", "schema", "statement"]
  and (.checkpoint | type == "string")
  and (.proof | keys == ["hashes", "leaf_index", "receipt_hash", "tree_size"]
    and (.leaf_index | count) and (.tree_size | count)
    and (.receipt_hash | type == "string" and test("\\A[0-9a-f]{64}\\z"))
    and (.hashes | type == "array" and length <= 64 and
      all(.[]; type == "string" and test("\\A[A-Za-z0-9+/]{43}=\\z"))))
  and (.statement | type == "object"
    and all(.[]; count or (type == "string" and test("\\A[ !#-\\[\\]-~]*\\z"))))
' "$receipt" >/dev/null || invalid MALFORMED "the members are not those of a receipt"

# The statement is the one that the proof names, of the cluster and namespace of the keys.
statement_hash=$(jq -cSj .statement "$receipt" | sha256sum)
[[ ${statement_hash%% *} == "$(field .proof.receipt_hash)" ]] ||
  invalid RECEIPT_HASH_MISMATCH "the statement is not the one that was signed"
[[ $(field .statement.schema) == holdpoint.statement/1 ]] ||
  invalid STATEMENT_MALFORMED "the statement is of another form"
[[ $(key_field .schema) == holdpoint.keys/1 && $(key_field '.revoked | type') == array ]] || { echo "not a key set: $keys" >&2; exit 2; }
authority=$(key_field .authority) namespace=$(key_field .namespace)
[[ $(field .statement.authority) == "$authority" ]] ||
  invalid WRONG_AUTHORITY "the receipt is of another cluster than the keys"
[[ $(field .statement.namespace) == "$namespace" ]] ||
  invalid WRONG_NAMESPACE "the receipt is of another namespace than the keys"

# The head: three lines, an empty one, signature lines; nothing that bash would read otherwise.
field .checkpoint >"$work/note"
mapfile -t lines <"$work/note"
printf '%s\n' "${lines[@]}" | cmp -s - "$work/note" || invalid CHECKPOINT_MALFORMED "not a text of lines"
[[ ${#lines[@]} -ge 5 && -z ${lines[3]} ]] || invalid CHECKPOINT_MALFORMED "not a signed note"
printf '%s\n' "${lines[@]:0:3}" >"$work/text"
[[ ${lines[1]} =~ ^(0|[1-9][0-9]{0,15})$ ]] || invalid CHECKPOINT_MALFORMED "no tree size"
size=${lines[1]}
root=$(unbase64 "${lines[2]}") && [[ ${#root} -eq 64 ]] || invalid CHECKPOINT_MALFORMED "no root"
[[ ${lines[0]} == "$authority/$namespace" ]] || invalid WRONG_LOG "the checkpoint is of another log"
[[ $(field '.proof.tree_size | tostring') == "$size" ]] || invalid WRONG_SIZE "checkpoint and proof differ"

# The keys of the epoch that the head belongs to: `node name key_id key`, one line for each key.
jq -ce --argjson size "$size" '[.epochs[] | select(.tree_size_from <= $size)] | last' "$keys" >"$work/epoch" ||
  { echo "not a key set: $keys" >&2; exit 2; }
needed=$(jq -j .signers_needed "$work/epoch")
jq -r '.nodes[] | (.node | tostring) + " " + (.log_vkey, .cosign_vkey)' "$work/epoch" |
  while read -r node vkey; do
    # Not `IFS=+ read`: that drops a `+` at the end, which is a digit of base64.
    name=${vkey%%+*} key_id=${vkey#*+}
    key=$(unbase64 "${key_id#*+}") key_id=${key_id%%+*}
    id=$(sha256_of_hex "$(printf '%s\n' "$name" | hex)$key")
    [[ ${id:0:8} == "$key_id" && ${#key} -eq 66 ]] || exit 1
    echo "$node $name $key_id $key"
  done >"$work/keys" || { echo "not a key set: $keys" >&2; exit 2; }

# Splits a signature line into name, key_id and signature (in hexadecimal digits).
split_line() {
  [[ $1 =~ ^$'\xe2\x80\x94 '([^' ']+)' '([^' ']+)$ ]] ||
    invalid CHECKPOINT_MALFORMED "not a signature line"
  name=${BASH_REMATCH[1]}
  local value
  value=$(unbase64 "${BASH_REMATCH[2]}") || invalid CHECKPOINT_MALFORMED "not base64"
  key_id=${value:0:8} signature=${value:8}
}

# Finds the owner of name and key_id; sets node, algorithm and key.
find_key() {
  local found
  found=$(grep_key "$name" "$key_id") || invalid UNKNOWN_KEY "$name ($key_id) is not published"
  node=${found%% *} key=${found##* }
  algorithm=${key:0:2} key=${key:2}
}
grep_key() {
  local line
  while read -r line; do
    [[ $line == *" $1 $2 "* ]] && { printf '%s' "$line"; return 0; }
  done <"$work/keys"
  return 1
}

# Verifies `signature` over the file $1 under `key`, as an Ed25519 public key in DER.
check_signature() {
  printf '302a300506032b6570032100%s' "$key" | xxd -r -p >"$work/key.der"
  openssl pkey -pubin -inform DER -in "$work/key.der" -out "$work/key.pem" 2>/dev/null
  printf '%s' "$2" | xxd -r -p >"$work/signature"
  openssl pkeyutl -verify -pubin -inkey "$work/key.pem" -rawin -in "$1" \
    -sigfile "$work/signature" >/dev/null 2>&1 ||
    invalid SIGNATURE_INVALID "the signature of node $node is not valid"
}

# The keys of a line are not marked as compromised for heads of this size.
check_mark() {
  jq -e --argjson size "$size" --arg key "$name+$key_id+" '
    all(.revoked[]; (.valid_to >= $size) or ((.log_vkey, .cosign_vkey) | startswith($key) | not))
  ' "$keys" >/dev/null || invalid KEY_REVOKED "the keys of node $node are revoked for this size"
}

signers=() last=0
for ((place = 4; place < ${#lines[@]}; place += 2)); do
  split_line "${lines[place]}"
  find_key
  [[ $algorithm == 01 && $node -gt $last ]] || invalid SIGNATURE_ORDER "lines out of order"
  check_signature "$work/text" "$signature"
  signer=$node log_name=$name log_id=$key_id
  [[ $((place + 1)) -lt ${#lines[@]} ]] || invalid SIGNATURE_ORDER "a node signs with two keys"
  split_line "${lines[place + 1]}"
  find_key
  [[ $algorithm == 04 && $node == "$signer" ]] || invalid SIGNATURE_ORDER "lines out of order"
  [[ ${#signature} -eq 144 && ${signature:0:1} == 0 ]] || invalid SIGNATURE_INVALID "no co-signature"
  time=$((16#${signature:0:16}))
  { printf 'cosignature/v1\ntime %s\n' "$time"; cat "$work/text"; } >"$work/message"
  check_signature "$work/message" "${signature:16}"
  [[ $time -ge 1 && $time -le 253402300799 ]] || invalid TIMESTAMP "an impossible time"
  check_mark
  name=$log_name key_id=$log_id
  check_mark
  signers+=("$signer") last=$signer
done
[[ ${#signers[@]} -ge $needed ]] || invalid NOT_ENOUGH_SIGNATURES "${#signers[@]} of $needed"
[[ ${#signers[@]} -le $needed ]] || invalid SURPLUS_SIGNATURES "${#signers[@]} of $needed"

# The statement is a leaf under the head: RFC 9162, section 2.1.3.2.
index=$(field '.proof.leaf_index | tostring')
[[ $(field '.statement.leaf_index | tostring') == "$index" && $index -lt $size ]] ||
  invalid INCLUSION_PROOF "no such leaf"
node_place=$index last_place=$((size - 1))
found=$(sha256_of_hex "00$(field .proof.receipt_hash)")
while read -r sibling; do
  sibling=$(unbase64 "$sibling") && [[ ${#sibling} -eq 64 ]] || invalid MALFORMED "not a hash"
  [[ $last_place -ne 0 ]] || invalid INCLUSION_PROOF "too many hashes"
  if ((node_place % 2 == 1 || node_place == last_place)); then
    found=$(sha256_of_hex "01$sibling$found")
    while ((node_place % 2 == 0 && node_place != 0)); do
      node_place=$((node_place / 2)) last_place=$((last_place / 2))
    done
  else
    found=$(sha256_of_hex "01$found$sibling")
  fi
  node_place=$((node_place / 2)) last_place=$((last_place / 2))
done < <(jq -r '.proof.hashes[]' "$receipt")
[[ $last_place -eq 0 && $found == "$root" ]] || invalid INCLUSION_PROOF "not under the signed head"

printf 'VALID  %s  leaf %s of %s, signed by node %s (%s needed)\n' \
  "$(jq -r '.statement | [.kind, .decision, .reason, .outcome, .quorum, .freeze, .drain, .change, .permit_id] | map(select(.)) | join(" ")' "$receipt")" \
  "$index" "$size" "$(IFS=,; echo "${signers[*]}")" "$needed"
