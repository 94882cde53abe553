"""Puts things into an empty broker, and prints their names and ids, and the key of an agent, as JSON.

stage.py URL KEY-FILE
"""

import json
import sys
import urllib.request

MANIFESTS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{value: '{}'}}\n"


class Broker:
    def __init__(self, url, key):
        self.url, self.key = url, key

    def ask(self, method, path, body=None, key=None):
        request = urllib.request.Request(f"{self.url}/api/v1{path}", method=method)
        request.add_header("Authorization", f"Bearer {key or self.key}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def set_stage(broker):
    def publish(stack, value):
        body = {"manifests": MANIFESTS.format(value)}
        published = broker.ask("POST", f"/stacks/{stack}/deployment-objects", body)
        return published["deployment_object"]["id"]

    labelled = {"name": "edge", "labels": {"env": "prod"}}
    edge = broker.ask("POST", "/agents", labelled)
    far = broker.ask("POST", "/agents", {"name": "far"})["agent"]
    generator = {"name": "ci", "scope": "all_agents"}
    ci = broker.ask("POST", "/generators", generator)["generator"]
    rule = {"targeting": {"rules": [{"labels": "env=prod"}]}}
    shop = broker.ask("POST", "/stacks", {"name": "shop", **rule})["id"]
    old = broker.ask("POST", "/stacks", {"name": "old"})["id"]
    snapshots = [publish("shop", "1"), publish("shop", "2"), publish("old", "1")]

    def target(stack):
        return broker.ask("POST", "/agent-targets", {"agent": "edge", "stack": stack})["id"]

    targets = [target("shop"), target("old")]
    broker.ask("DELETE", f"/agent-targets/{targets[1]}")
    agent = edge["agent"]["id"]
    event = {
        "id": "019f0000-0000-7000-8000-000000000001",
        "stack": shop,
        "action": "apply",
        "outcome": "succeeded",
        "count": 1,
        "first": "2026-01-02T03:04:05Z",
        "last": "2026-01-02T03:04:05Z",
    }
    status = {"stack": shop, "seen": 2, "applied": 2, "sync": "Synced", "health": "Current"}
    broker.ask("GET", "/agent/target-state", key=edge["pak"])
    broker.ask("POST", "/agent/events", {"events": [event]}, edge["pak"])
    broker.ask("PUT", "/agent/status", {"stacks": [status]}, edge["pak"])
    times = {"rule": "deny", "cron": "0 2 * * *", "minutes": 60, "zone": "UTC"}
    window = broker.ask("POST", "/windows", {"name": "nightly", "agent": "far", **times})["id"]
    keys = [key["id"] for key in broker.ask("GET", "/keys")["items"]]
    return {
        "agent_key": edge["pak"],
        "names": {
            "agent": ["edge", agent, "far", far["id"]],
            "stack": ["shop", shop, "old", old],
            "generator": ["ci", ci["id"]],
            "key": keys,
            "target": targets,
            "window": ["nightly", window],
            "id": snapshots,
            "epoch": ["019f0000-0000-7000-8000-000000000002"],
            # No agent is there to be asked: sixteen questions would be the end of it.
            "request": ["019f0000-0000-7000-8000-000000000003"],
        },
        # The agent's protocol knows things by their ids only.
        "bodies": {
            "agent": [agent, far["id"]],
            "stack": [shop, old],
            "generator": [ci["id"]],
            "deployment_object": snapshots,
            "manifests": [MANIFESTS.format(number) for number in range(3)],
            "to": [1, 2],
        },
        "manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
    }


if __name__ == "__main__":
    url, key_file = sys.argv[1:]
    with open(key_file, encoding="ascii") as file:
        key = file.read().strip()
    print(json.dumps(set_stage(Broker(url, key))))
