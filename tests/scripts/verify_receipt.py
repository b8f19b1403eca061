#!/usr/bin/env python3
"""Verifies receipts against published keys, with nothing of Holdpoint's own.

    verify_receipt.py RECEIPT.json KEYS.json    prints VALID (exit 0) or INVALID <code> (exit 1)
    verify_receipt.py < LINES                   {"receipt": <base64>, "keys": <base64>} on each line; a verdict for each

Follows docs/reference/receipt-format.md, shares no code with the Rust verifier, and is compared with
it by a test. Needs Python 3.8 and `cryptography`. Keys that are no key set: KEYS, and exit 2. This is an
audit: it never asks whether a permit is live, and it reads no clock and no network.
"""
import base64, functools, hashlib, json, re, sys

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    sys.exit("verify_receipt.py needs the Python package `cryptography` (Debian, Ubuntu: apt-get install python3-cryptography)")

DIGEST, NAME, ID, TEXT = "[0-9a-f]{64}", "[a-z0-9._-]{1,64}", "[0-9a-f]{32}", r"[ !#-\[\]-~]{1,256}"
TEXTS = {  # the members that are texts; a commitment, a digest and `previous` are digests, all others numbers
    "schema": "holdpoint.statement/1", "authority": ID, "namespace": NAME, "kind": "[a-z_]+", "mode": "dev",
    "decision": "PERMIT|DENY", "reason": "GRANTED|POLICY|NOT_PERMITTED|BOUND_HELD|BOUND_EXHAUSTED|ALREADY_COMMITTED",
    "permit_id": "pmt_[a-z2-7]{25}[aeimquy4]", "surface": NAME, "action": NAME, "evaluator": TEXT, "policy_codes": TEXT,
    "policy_ids": TEXT, "outcome": "committed|aborted", "quorum": NAME, "freeze": "frozen|thawed", "drain": "drain|revoke|cancelled",
    "change": "founded|announced|membership|rotated|retired|restored|revoked|required", "previous": DIGEST}
ALL = "schema authority namespace kind leaf_index log_index log_term entry_place issued_at_ms mode? "
STEP = "permit_id fence surface action request_digest caller_commitment? policy_version previous "
APPROVAL = "surface quorum subject_digest caller_commitment policy_version policy_digest "
DECISION = ("decision reason surface action request_digest caller_commitment actor_commitment? session_commitment? not_after_ms "
            "idempotency_key_commitment policy_version policy_digest evaluator inputs_digest policy_codes? policy_ids? ")
KINDS = {  # the members of each kind; a `?` where they may be absent
    "PERMIT": DECISION + "permit_id fence expires_at_ms approvals_digest?", "DENY": DECISION + "retry_at_ms?",
    "redeemed": STEP + "redemption_commitment complete_by_ms", "revoked": STEP, "superseded": STEP,
    "completed": STEP + "outcome evidence_digest? reason_commitment?", "conflict": STEP + "outcome evidence_digest? reason_commitment?",
    "released": STEP + "reason_commitment?", "policy": "policy_version policy_digest evaluator caller_commitment",
    "keys": "keys_digest signers_needed tree_size_from change node? caller_commitment?", "approved": APPROVAL + "expires_at_ms",
    "approval_revoked": APPROVAL + "previous", "session_closed": "session_commitment caller_commitment",
    "frozen": "surface? freeze caller_commitment disputed_leaf?", "drain": "policy_digest drain caller_commitment",
    "erased": "permit_id? request_digest caller_commitment reason_commitment? previous"}
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7  # of a point of order 8
SMALL_ORDER = {0, 1, P - 1, Y8, P - Y8}  # all y of points of order 1, 2, 4 and 8


class Invalid(Exception): pass


def need(holds, code):
    if not holds: raise Invalid(code)


def strict_json(data, size_max, depth_max):
    """One JSON value that two readers cannot understand differently."""
    def members(pairs):
        need(len(dict(pairs)) == len(pairs), "duplicate key")
        return dict(pairs)
    def integer(text):
        need(len(text) <= 17 and text != "-0" and abs(int(text)) < 2**53, "number")
        return int(text)
    def refuse(text): raise Invalid("float")
    def depth(value):
        inside = value.values() if type(value) is dict else value if type(value) is list else None
        return 0 if inside is None else 1 + max(map(depth, inside), default=0)
    try:
        need(len(data) <= size_max, "size")
        value = json.loads(data.decode("utf-8"), object_pairs_hook=members, parse_int=integer, parse_float=refuse, parse_constant=refuse)
        canonical(value)  # half of a surrogate pair has no UTF-8
        need(depth(value) <= depth_max, "depth")
        return value
    except (Invalid, ValueError, RecursionError): raise Invalid("MALFORMED") from None


def canonical(value):
    """RFC 8785; there are no floats."""
    def write(value):
        if type(value) is list: return "[" + ",".join(map(write, value)) + "]"
        if type(value) is not dict: return json.dumps(value, ensure_ascii=False)
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(write(key) + ":" + write(value[key]) for key in keys) + "}"
    return write(value).encode("utf-8")


def text_like(value, pattern): return type(value) is str and re.fullmatch(pattern, value) is not None
def number(value, least=0, most=2**53 - 1): return type(value) is int and least <= value <= most
def has_members(value, members): return type(value) is dict and sorted(value) == sorted(members.split())
def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text, size=None):
    """Bytes in their one encoding, or nothing."""
    try: data = base64.b64decode(text, validate=True)
    except (ValueError, TypeError): return None
    return data if base64.b64encode(data).decode() == text and size in (None, len(data)) else None


@functools.lru_cache(None)
def is_good_key(key):
    """The one encoding of a point of the curve that is not of small order."""
    y = int.from_bytes(key, "little") % 2**255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    return y < P and y not in SMALL_ORDER and pow(square, (P - 1) // 2, P) == 1


def signed(key, signature, message):
    r, s = int.from_bytes(signature[:32], "little") % 2**255 % P, int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= L or r in SMALL_ORDER: return False
    try: Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature: return False
    return True


@functools.lru_cache(64)
def read_keys(data):
    """The authority, the namespace, epochs of (first size, signers needed, signers), and marks; a signer
    is its node and, for the log key and the co-signing key, (name, key id) and key."""
    try: top = strict_json(data, 32 << 20, 5)
    except Invalid: raise Invalid("KEYS") from None
    need(has_members(top, "authority epochs namespace revoked schema") and top["schema"] == "holdpoint.keys/1", "KEYS")
    authority, namespace = top["authority"], top["namespace"]
    need(text_like(authority, ID) and text_like(namespace, NAME) and type(top["epochs"]) is type(top["revoked"]) is list, "KEYS")
    def signer(item):
        need(number(item["node"], 1), "KEYS")
        found = [item["node"]]
        for member, name, kind in (("log_vkey", authority + "/" + namespace, 1), ("cosign_vkey", "node-%d.%s" % (item["node"], authority), 4)):
            parts = item[member].split("+", 2) if type(item[member]) is str else []
            key = unbase64(parts[2], 33) if len(parts) == 3 else None
            need(key and parts[0] == name and key[0] == kind and is_good_key(key[1:]), "KEYS")
            need(parts[1] == sha256(name.encode(), b"\n", key)[:4].hex(), "KEYS")
            found += [(name, parts[1]), key[1:]]
        return tuple(found)
    epochs, owners, marks = [], {}, []
    for item in top["epochs"]:
        need(has_members(item, "nodes signers_needed tree_size_from") and type(item["nodes"]) is list, "KEYS")
        need(all(has_members(node, "cosign_vkey log_vkey node") for node in item["nodes"]), "KEYS")
        signers, size, count = list(map(signer, item["nodes"])), item["tree_size_from"], item["signers_needed"]
        need(number(size) and (size > epochs[-1][0] if epochs else size == 0) and 1 <= len(signers) <= 32, "KEYS")
        need(number(count, 1, len(signers)) and all(a[0] < b[0] for a, b in zip(signers, signers[1:])), "KEYS")
        need(len({name for s in signers for name in (s[1], s[3])}) == 2 * len(signers), "KEYS")
        need(all(owners.setdefault(s[place], (s[0], place)) == (s[0], place) for s in signers for place in (2, 4)), "KEYS")
        epochs.append((size, count, signers))
    need(epochs, "KEYS")
    for item in top["revoked"]:
        need(has_members(item, "cosign_vkey log_vkey node recorded_at valid_to"), "KEYS")
        mark, leaf = signer(item), item["recorded_at"]
        need(number(leaf) and number(item["valid_to"]) and (not marks or leaf > marks[-1][2]), "KEYS")
        need(any(mark in signers for size, _, signers in epochs if size <= leaf + 1), "KEYS")
        marks.append((mark, item["valid_to"], leaf))
    return authority, namespace, epochs, marks


def check_statement(statement):
    def fits(member, value):
        if member.endswith(("_digest", "_commitment")) or member.startswith("bound."): return text_like(value, DIGEST)
        if member in TEXTS: return text_like(value, TEXTS[member])
        return number(value, member == "node", 2**32 - 1 if member in ("entry_place", "signers_needed") else 2**53 - 1)
    need(type(statement) is dict and len(canonical(statement)) <= 4096, "STATEMENT_MALFORMED")
    kind, bounds = statement.get("kind"), []
    if kind == "decision":
        kind = statement.get("decision")
        need((kind == "PERMIT") == (statement.get("reason") == "GRANTED"), "STATEMENT_MALFORMED")
        bounds = [member for member in statement if text_like(member, r"bound\." + NAME)]
    elif kind in ("PERMIT", "DENY"): kind = None
    need(type(kind) is str and kind in KINDS and len(bounds) <= 8, "STATEMENT_MALFORMED")
    members = (ALL + KINDS[kind]).split() + bounds
    need({m for m in members if m[-1] != "?"} <= set(statement) <= {m.rstrip("?") for m in members}, "STATEMENT_MALFORMED")
    need(all(fits(member, value) for member, value in statement.items()), "STATEMENT_MALFORMED")


def read_checkpoint(note):
    """The signed text, origin, size and root, and the lines as ((name, key id), signature)."""
    bad = len(note.encode()) > 24 << 10 or any(c != "\n" and (c < " " or "\x7f" <= c <= "\x9f") for c in note)
    text, blank, rest = note.rpartition("\n\n")
    head, lines = text.split("\n"), rest.split("\n")
    need(not bad and blank and len(head) == 3 and lines.pop() == "" and 1 <= len(lines) <= 64, "CHECKPOINT_MALFORMED")
    def is_name(name): return 0 < len(name.encode()) <= 256 and not any(c.isspace() or c == "+" for c in name)
    def line(text):
        dash, name, value = (text.split(" ") + ["", ""])[:3] if text.count(" ") == 2 else ("", "", "")
        value = unbase64(value) or b""
        need(dash == "\u2014" and is_name(name) and len(value) > 4, "CHECKPOINT_MALFORMED")
        return (name, value[:4].hex()), value[4:]
    lines, root = list(map(line, lines)), unbase64(head[2], 32)
    need(is_name(head[0]) and text_like(head[1], "0|[1-9][0-9]{0,15}") and number(int(head[1])) and root, "CHECKPOINT_MALFORMED")
    return (text + "\n").encode(), head[0], int(head[1]), root, lines


def check_signatures(text, size, lines, epochs, marks):
    needed, signers = [epoch[1:] for epoch in epochs if epoch[0] <= size][-1]
    published, found = {name for s in signers for name in (s[1], s[3])}, []
    def misplaced(name): raise Invalid("SIGNATURE_ORDER" if name in published else "UNKNOWN_KEY")
    while lines:
        (name, signature), lines = lines[0], lines[1:]
        node, _, log_key, co_name, co_key = next((s for s in signers if s[1] == name), None) or misplaced(name)
        need(signed(log_key, signature, text), "SIGNATURE_INVALID")
        need(lines, "SIGNATURE_ORDER")
        (name, signature), lines = lines[0], lines[1:]
        if name != co_name: misplaced(name)
        time = int.from_bytes(signature[:8], "big")
        need(signed(co_key, signature[8:], b"cosignature/v1\ntime %d\n" % time + text), "SIGNATURE_INVALID")
        need(1 <= time <= 253402300799, "TIMESTAMP")
        need(all(size <= valid_to for mark, valid_to, _ in marks if log_key == mark[2] or co_key == mark[4]), "KEY_REVOKED")
        need(not found or found[-1] < node, "SIGNATURE_ORDER")
        found.append(node)
    need(len(found) >= needed, "NOT_ENOUGH_SIGNATURES")
    need(len(found) <= needed, "SURPLUS_SIGNATURES")


def is_included(leaf, size, found, hashes, root):
    """RFC 9162, section 2.1.3.2."""
    if leaf >= size: return False
    last = size - 1
    for sibling in hashes:
        if last == 0: return False
        if leaf % 2 or leaf == last:
            found = sha256(b"\1", sibling, found)
            while leaf % 2 == 0 and leaf: leaf, last = leaf >> 1, last >> 1
        else: found = sha256(b"\1", found, sibling)
        leaf, last = leaf >> 1, last >> 1
    return last == 0 and found == root


def verify(data, keys):
    """Raises `Invalid` with the code of the first check that fails."""
    authority, namespace, epochs, marks = read_keys(keys)
    receipt = strict_json(data, 40 << 10, 3)
    need(canonical(receipt) + b"\n" == data, "NOT_CANONICAL")
    need(type(receipt) is dict and type(receipt.get("schema")) is str, "MALFORMED")
    need(receipt["schema"] == "holdpoint.receipt/1", "UNKNOWN_SCHEMA")
    need(has_members(receipt, "checkpoint proof schema statement") and type(receipt["checkpoint"]) is str, "MALFORMED")
    proof, statement = receipt["proof"], receipt["statement"]
    need(has_members(proof, "hashes leaf_index receipt_hash tree_size") and text_like(proof["receipt_hash"], DIGEST), "MALFORMED")
    need(number(proof["leaf_index"]) and number(proof["tree_size"]) and type(proof["hashes"]) is list, "MALFORMED")
    hashes = [unbase64(item, 32) if type(item) is str else None for item in proof["hashes"]]
    need(all(hashes) and len(hashes) <= 64, "MALFORMED")
    need(sha256(canonical(statement)).hex() == proof["receipt_hash"], "RECEIPT_HASH_MISMATCH")
    check_statement(statement)
    need(statement["authority"] == authority, "WRONG_AUTHORITY")
    need(statement["namespace"] == namespace, "WRONG_NAMESPACE")
    text, origin, size, root, lines = read_checkpoint(receipt["checkpoint"])
    need(origin == authority + "/" + namespace, "WRONG_LOG")
    need(size == proof["tree_size"], "WRONG_SIZE")
    check_signatures(text, size, lines, epochs, marks)
    leaf = proof["leaf_index"] if proof["leaf_index"] == statement["leaf_index"] else size
    need(is_included(leaf, size, sha256(b"\0", bytes.fromhex(proof["receipt_hash"])), hashes, root), "INCLUSION_PROOF")


def verdict(data, keys):
    try: verify(data, keys)
    except Invalid as invalid: return "KEYS" if str(invalid) == "KEYS" else "INVALID " + str(invalid)
    return "VALID"


if len(sys.argv) == 3:
    answer = verdict(*(open(path, "rb").read() for path in sys.argv[1:]))
    print(answer)
    sys.exit(0 if answer == "VALID" else 2 if answer == "KEYS" else 1)
if len(sys.argv) != 1: sys.exit(__doc__)
for item in map(json.loads, sys.stdin): print(verdict(base64.b64decode(item["receipt"]), base64.b64decode(item["keys"])))
