#!/usr/bin/env python3
"""Runs in the place of `python3 -m dynamo.sglang`, `dynamo.vllm` and `dynamo.trtllm`, with their command lines.

Becomes a real dynamo.mocker that registers the component which that engine registers: an engine without a GPU.
DYNAMO_COMPONENT names another component, as older releases have it (tensorrt_llm, tensorrt_llm_next).
"""
import json
import os
import signal
import sys
from importlib.metadata import version

ENGINE_TYPES = {"dynamo.sglang": "sglang", "dynamo.vllm": "vllm", "dynamo.trtllm": "trtllm"}


def options_of(words):
    """Options by their names; one without a value is True."""
    found, name = {}, None
    for word in words:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            found[name] = value if equals else True
        elif name is not None:
            found[name] = word
    return found


module = sys.argv[2]
options = options_of(sys.argv[3:])
print(f"{module} stands on a mocker: {json.dumps(options)}", flush=True)

if int(options.get("node-rank", 0)) > 0 or "headless" in options:
    # A follower registers nothing.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        signal.pause()

mode = options.get("disaggregation-mode")
arguments = ["--model-path", options.get("model-path") or options["model"], "--speedup-ratio", "10.0"]
names = {"served-model-name": "model-name", "request-plane": "request-plane"}
if version("ai-dynamo").startswith("0."):
    # The mocker of these releases has one kind of engine, and other names for its role.
    arguments += [f"--is-{mode}-worker"] if mode in ("prefill", "decode") else []
else:
    arguments += ["--engine-type", ENGINE_TYPES[module]]
    names["disaggregation-mode"] = "disaggregation-mode"
for theirs, ours in names.items():
    if theirs in options:
        arguments += [f"--{ours}", options[theirs]]
for name in ("dp-size", "data-parallel-size"):
    if name in options:
        arguments += ["--data-parallel-size", options[name]]
if mode == "prefill" and "disaggregation-bootstrap-port" in options:
    arguments += ["--bootstrap-ports", options["disaggregation-bootstrap-port"]]
if "kv-events-config" in options:
    endpoint = json.loads(options["kv-events-config"]).get("endpoint", "")
    arguments += ["--zmq-kv-events-ports", endpoint.rpartition(":")[2]]
component = os.environ.get("DYNAMO_COMPONENT")
if component:
    arguments += ["--endpoint", f"dyn://dynamo.{component}.generate"]
# Engines register a sample request for the health check, and are `ready` with it. The mocker registers none.
os.environ["DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS"] = '["generate"]'
os.execvp("python3", ["python3", "-m", "dynamo.mocker", *arguments])
