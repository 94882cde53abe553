"""Lets most cases name what is there: cases about nothing but random names would see little but 404."""

import json
import os
import random
import sys
import zlib

import schemathesis

sys.path.insert(0, os.path.dirname(__file__))
from stage import Broker  # noqa: E402

BROKER = Broker(os.environ["BROKKR_FUZZ_URL"], os.environ["BROKKR_FUZZ_KEY"])
with open(os.environ["BROKKR_FUZZ_STAGE"], encoding="utf-8") as file:
    STAGE = json.load(file)
OFTEN = 0.7


SPARES = (f"spare-{number}" for number in range(sys.maxsize))
ENDED = ("stack", "agent", "generator", "key", "target", "window")


def spare(kind):
    """Something of its own for a case that ends it: later cases would miss what is shared."""
    name = next(SPARES)
    if kind == "stack":
        return BROKER.ask("POST", "/stacks", {"name": name})["id"]
    if kind == "agent":
        return BROKER.ask("POST", "/agents", {"name": name})["agent"]["id"]
    if kind == "generator":
        body = {"name": name, "scope": "all_agents"}
        return BROKER.ask("POST", "/generators", body)["generator"]["id"]
    if kind == "window":
        times = {"rule": "deny", "cron": "0 2 * * *", "minutes": 60, "zone": "UTC"}
        return BROKER.ask("POST", "/windows", {"name": name, "agent": "far", **times})["id"]
    if kind == "key":
        # Of an agent of its own, too: nobody may have many.
        body = {"for": {"agent": spare("agent")}, "name": name}
        return BROKER.ask("POST", "/keys", body)["key"]["id"]
    return BROKER.ask("POST", "/agent-targets", {"agent": "far", "stack": spare("stack")})["id"]


def known(value, chance):
    """The same JSON, often with what there is, and with what makes sense."""
    if isinstance(value, list):
        return [known(item, chance) for item in value]
    if not isinstance(value, dict):
        return value
    mixed = {}
    for key, item in value.items():
        there = STAGE["bodies"].get(key)
        is_replaced = there and type(item) is type(there[0]) and chance.random() < OFTEN
        mixed[key] = chance.choice(there) if is_replaced else known(item, chance)
    return mixed


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    parts = (case.method, path, case.path_parameters, case.query, case.body)
    # By the case and nothing else: repeated, it is the same.
    chance = random.Random(zlib.crc32(repr(parts).encode(errors="replace")))
    is_end = case.method.upper() == "DELETE" or path.endswith("/rotate")
    for name in list(case.path_parameters or {}):
        if chance.random() < OFTEN:
            is_spare = is_end and name in ENDED
            case.path_parameters[name] = (
                spare(name) if is_spare else chance.choice(STAGE["names"][name])
            )
    for name in list(case.query or {}):
        if name in STAGE["names"] and chance.random() < OFTEN:
            case.query[name] = chance.choice(STAGE["names"][name])
        # No cursor is good but one that was given.
        if name == "cursor" and chance.random() < OFTEN:
            del case.query[name]
        # A poll that waits for a minute finds no more than one that does not.
        if name == "wait" and str(case.query[name]).isdigit():
            case.query[name] = 0
    if case.media_type == "application/yaml" and chance.random() < OFTEN:
        case.body = STAGE["manifest"]
    elif isinstance(case.body, (dict, list)):
        case.body = known(case.body, chance)
    # The key that all the others come with must not end.
    if path.endswith("/me/rotate") and isinstance(case.body, dict):
        if isinstance(case.body.get("overlap"), int):
            case.body["overlap"] += 3600
