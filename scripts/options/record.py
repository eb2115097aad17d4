"""Writes the options of one release of an engine or router, as its own parser has them.

    PYTHON scripts/options/record.py PROGRAM VERSION [--source DIRECTORY] >options.json

DIRECTORY holds the release's packages (an unpacked wheel or source archive); without it, those of PYTHON's environment
are used, and VERSION is theirs. The program's own code makes the parser. Modules that PYTHON lacks, or whose release does
not fit, are replaced by stand-ins, and the result names them; what a parser takes from a stand-in is left out, so that it
is not checked.

An option: `names` (without dashes), `nargs` (left out: one value; 0, a number, "?", "+" or "*"), `type` (int or float)
and `choices`, where the parser compares the text itself.
"""
import argparse
import asyncio
import importlib
import importlib.machinery
import importlib.util
import json
import os
import re
import sys
import types

TRIES = 200

# Packages that releases import without need for their options: those of them that are not here have a stand-in from the
# beginning, because every other one is found by trying again.
NEEDED = (
    "IPython PIL aiohttp cv2 dill einops fastapi flashinfer gguf numba openai orjson partial_json_parser prometheus_client "
    "psutil pybase64 pynvml regex requests safetensors sentencepiece setproctitle sgl_kernel starlette tiktoken torch "
    "torchvision tqdm transformers triton uvicorn uvloop xgrammar zmq"
).split()


class StandIn:
    """Takes the place of anything that is not there: a class, a function, a decorator, a number."""

    def __init__(self, name):
        self.__dict__["__name__"] = self.__dict__["__qualname__"] = name
        self.__dict__["__module__"] = "stand_in"

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__") and name not in ("__func__", "__class_validators__"):
            raise AttributeError(name)
        return StandIn(f"{self.__name__}.{name}")

    def __call__(self, *args, **kwargs):
        # As a decorator, or as what adds an engine's options to a parser, it leaves what it is given.
        if len(args) > 0 and isinstance(args[0], argparse.ArgumentParser):
            return args[0]
        if self.__name__.endswith(".FlexibleArgumentParser"):
            return argparse.ArgumentParser(**kwargs)
        decorates = len(args) == 1 and not kwargs and isinstance(args[0], (type, types.FunctionType))
        return args[0] if decorates else StandIn(f"{self.__name__}()")

    def __mro_entries__(self, _):
        return ()

    def __get_pydantic_core_schema__(self, *_):
        from pydantic_core import core_schema

        return core_schema.any_schema()

    def itself(self, *_, **__):
        return self

    def false(self, *_):
        return False

    __getitem__ = __or__ = __ror__ = __add__ = __radd__ = __sub__ = __mul__ = __rmul__ = __truediv__ = itself
    __floordiv__ = __mod__ = __neg__ = __enter__ = __and__ = __rand__ = itself
    __bool__ = __contains__ = __lt__ = __gt__ = __le__ = __ge__ = __instancecheck__ = __subclasscheck__ = false

    def __iter__(self):
        return iter(())

    def __len__(self):
        return 0

    def __int__(self):
        return 0

    def __exit__(self, *_):
        return None

    def __setattr__(self, name, value):
        self.__dict__[name] = value


class StandInModule(types.ModuleType):
    __path__ = []
    __version__ = "99.0.0"

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self.__name__}.{name}")


class Finder:
    """Finds the modules that have a stand-in."""

    def __init__(self):
        self.names = {name for name in NEEDED if importlib.util.find_spec(name) is None}

    def find_spec(self, name, path=None, target=None):
        if any(name == one or name.startswith(f"{one}.") for one in self.names):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return StandInModule(spec.name)

    def exec_module(self, module):
        pass


finder = Finder()
lacking = []


def forget(own):
    for name in list(sys.modules):
        if name.split(".")[0] in own:
            del sys.modules[name]


def with_stand_ins(make, own):
    """Calls `make` again and again, each time with one more stand-in, until it succeeds."""
    for _ in range(TRIES):
        try:
            return make()
        except Exception as error:
            name = lacking_module(error, own)
            if name is None or name in finder.names or name in own:
                raise
            finder.names.add(name)
            lacking.append(name)
        forget({*own, name.split(".")[0]})
    raise SystemExit("too many modules are missing")


def lacking_module(error, own):
    """The module that is missing, or whose import failed: of the program's own, the last one that was begun."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return error.name if error.name.split(".")[0] in own else error.name.split(".")[0]
    found = re.match(r"cannot import name '\w+' from '([\w.]+)'", str(error)) if isinstance(error, ImportError) else None
    if found and found[1].split(".")[0] not in own:
        return found[1].split(".")[0]
    begun = None
    at = error.__traceback__
    while at:
        name = at.tb_frame.f_globals.get("__name__", "")
        if at.tb_frame.f_code.co_name == "<module>" and name.split(".")[0] in own:
            begun = name
        at = at.tb_next
    return begun


class Reached(BaseException):
    pass


def parser_of(start):
    """The parser with which a program first parses its command line."""

    def reached(self, *_, **__):
        raise Reached(self)

    kept = argparse.ArgumentParser.parse_args, argparse.ArgumentParser.parse_known_args
    argparse.ArgumentParser.parse_args = argparse.ArgumentParser.parse_known_args = reached
    sys.argv = sys.argv[:1]
    try:
        start()
    except Reached as parser:
        return parser.args[0]
    finally:
        argparse.ArgumentParser.parse_args, argparse.ArgumentParser.parse_known_args = kept
    raise SystemExit("it parsed nothing")


def first_of(*names):
    """The first of the modules that the release has."""
    for name in names:
        try:
            there = importlib.util.find_spec(name)
        except ModuleNotFoundError as error:
            if not name.startswith(error.name or " "):
                raise
            there = None
        if there:
            return importlib.import_module(name)
    raise SystemExit(f"none of {', '.join(names)} is here")


def sglang():
    from sglang.srt.server_args import ServerArgs

    parser = argparse.ArgumentParser()
    ServerArgs.add_cli_args(parser)
    return parser


def vllm_parser():
    FlexibleArgumentParser = first_of("vllm.utils.argparse_utils", "vllm.utils").FlexibleArgumentParser
    # Without a device, vLLM would look for one.
    import vllm.platforms
    from vllm.platforms.cpu import CpuPlatform

    vllm.platforms._current_platform = CpuPlatform()
    return FlexibleArgumentParser(prog="vllm serve")


def vllm():
    parser = vllm_parser()
    return first_of("vllm.entrypoints.common.cli_args", "vllm.entrypoints.launchers.cli_args", "vllm.entrypoints.openai.cli_args").make_arg_parser(parser)


def vllm_engine():
    parser = vllm_parser()
    from vllm.engine.arg_utils import AsyncEngineArgs

    return AsyncEngineArgs.add_cli_args(parser)


def dynamo_sglang():
    from dynamo.sglang.args import parse_args

    return parser_of(lambda: asyncio.run(parse_args([])))


def dynamo_vllm():
    from dynamo.vllm.args import parse_args

    return parser_of(parse_args)


def dynamo_trtllm():
    module = first_of("dynamo.trtllm.args", "dynamo.trtllm.utils.trtllm_utils")
    parser = parser_of(getattr(module, "cmd_line_args", None) or module.parse_args)
    # From 1.3 on, it replaces these two by others before it parses.
    with open(module.__file__) as stream:
        replaces = '"--publish-events-and-metrics"' in stream.read()
    known = {name for action in parser._actions for name in action.option_strings}
    for name in ("--publish-events-and-metrics", "--no-publish-events-and-metrics") if replaces else ():
        if name not in known:
            parser.add_argument(name, action="store_true")
    return parser


def dynamo_mocker():
    from dynamo.mocker.args import parse_args

    return parser_of(parse_args)


def dynamo_frontend():
    from dynamo.frontend.main import parse_args

    return parser_of(parse_args)


def router(package):
    def make():
        parse = importlib.import_module(f"{package}.launch_router").parse_router_args
        return parser_of(lambda: parse([]))

    return make


def trtllm_serve(command):
    def make():
        # Its options are click's, not argparse's.
        return importlib.import_module("tensorrt_llm.commands.serve").main.commands[command]

    return make


# What makes the parser, and the packages that a release brings.
PROGRAMS = {
    "sglang": (sglang, ("sglang",)),
    "vllm": (vllm, ("vllm",)),
    "vllm.engine": (vllm_engine, ("vllm",)),
    "dynamo.sglang": (dynamo_sglang, ("dynamo",)),
    "dynamo.vllm": (dynamo_vllm, ("dynamo",)),
    "dynamo.trtllm": (dynamo_trtllm, ("dynamo",)),
    "dynamo.mocker": (dynamo_mocker, ("dynamo",)),
    "dynamo.frontend": (dynamo_frontend, ("dynamo",)),
    "sglang-router": (router("sglang_router"), ("sglang_router", "sglang_router_rs")),
    "smg": (router("smg"), ("smg",)),
    "vllm-router": (router("vllm_router"), ("vllm_router", "vllm_router_rs")),
    "trtllm-serve": (trtllm_serve("serve"), ("tensorrt_llm",)),
    "trtllm-serve.disaggregated": (trtllm_serve("disaggregated"), ("tensorrt_llm",)),
}


def text_type(action):
    """int, float, or None where the parser takes any text; False where a function of the program decides."""
    if action.type in (None, str):
        return None
    return {int: "int", float: "float"}.get(action.type, False)


def is_stand_in(value):
    return type(value) is StandIn


def choices_of(action):
    if action.choices is None or is_stand_in(action.choices):
        return None
    choices = list(action.choices)
    if not choices or any(is_stand_in(choice) for choice in choices):
        return None
    if text_type(action) is False:
        # A function of the program may accept other spellings, unless it leaves each choice as it is.
        try:
            if any(action.type(str(choice)) != choice for choice in choices if choice is not None):
                return None
        except Exception:
            return None
    return sorted({str(choice) for choice in choices if choice is not None})


def option_of(action):
    names = [name[2:] for name in action.option_strings if name.startswith("--")]
    short = [name for name in action.option_strings if not name.startswith("--")]
    option = {"names": names}
    if short:
        option["short"] = short
    if action.nargs is not None:
        option["nargs"] = action.nargs
    kind = text_type(action)
    if kind and action.nargs != 0:
        option["type"] = kind
    choices = choices_of(action)
    if choices and action.nargs != 0:
        option["choices"] = choices
    return option


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program", choices=sorted(PROGRAMS))
    arguments.add_argument("version")
    arguments.add_argument("--source")
    given = arguments.parse_args()
    make, own = PROGRAMS[given.program]
    if given.source:
        sys.path.insert(0, os.path.abspath(given.source))
        forget(own)
    sys.meta_path.insert(0, finder)
    out = os.dup(1)
    os.dup2(2, 1)
    parser = with_stand_ins(make, own)
    # An engine's options may be in groups alone.
    grouped = [action for group in parser._action_groups for action in group._group_actions]
    actions = list(dict.fromkeys([*parser._actions, *grouped]))
    recorded = {
        "program": given.program,
        "version": given.version,
        "standIns": sorted({*finder.names, *lacking}),
        "abbreviates": parser.allow_abbrev,
        "positionals": [
            {"name": action.dest, **({} if action.nargs is None else {"nargs": action.nargs})}
            for action in actions
            if not action.option_strings
        ],
        "options": sorted((option_of(action) for action in actions if action.option_strings), key=lambda one: one["names"]),
    }
    with os.fdopen(out, "w") as stream:
        stream.write(json.dumps(recorded) + "\n")


main()
