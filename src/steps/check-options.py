"""check-options.py FILE: parses planned command lines with the parsers of the programs themselves, and starts nothing.

FILE is JSON: `lines`, each with `program`, `args`, `place` (of its section in the recipe) and `places` (by option);
`cache`, a directory; `seconds`, after which the rest is not checked.

Exit code 1: a parser refuses a line, which is then said with its place. What cannot be parsed for another reason (another
release has its parser elsewhere, an import fails, time is up) is not checked, and exit code 0. The last line of output is
JSON: {"refused": [[place, message]…], "unchecked": [[program, reason]…], "cached": number}.
"""
import argparse
import asyncio
import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import re
import sys
import threading


class Refused(BaseException):
    """A parser refuses the line."""


class Taken(BaseException):
    """The last parser takes the line, and what follows would start something."""


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
    raise ImportError(f"none of {', '.join(names)} is here")


def sglang(args):
    return importlib.import_module("sglang.srt.server_args").prepare_server_args(args)


def vllm(args):
    parser = first_of("vllm.utils.argparse_utils", "vllm.utils").FlexibleArgumentParser(prog="vllm serve")
    made = first_of("vllm.entrypoints.common.cli_args", "vllm.entrypoints.launchers.cli_args", "vllm.entrypoints.openai.cli_args").make_arg_parser(parser)
    return made.parse_args(args)


def dynamo(*modules):
    def parse(args):
        module = first_of(*modules)
        function = getattr(module, "cmd_line_args", None) or module.parse_args
        # Some releases have the arguments as a parameter, and others read sys.argv.
        needs = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
        made = function(args) if needs else function()
        return asyncio.run(made) if inspect.iscoroutine(made) else made

    return parse


def router(package):
    return lambda args: importlib.import_module(f"{package}.launch_router").parse_router_args(args)


# Programs by the names that srtctl gives them: how they parse, and the packages that decide it.
PROGRAMS = {
    "sglang": (sglang, ("sglang",)),
    "vllm": (vllm, ("vllm",)),
    "dynamo.sglang": (dynamo("dynamo.sglang.args"), ("ai-dynamo", "sglang")),
    "dynamo.vllm": (dynamo("dynamo.vllm.args"), ("ai-dynamo", "vllm")),
    "dynamo.trtllm": (dynamo("dynamo.trtllm.args", "dynamo.trtllm.utils.trtllm_utils"), ("ai-dynamo",)),
    "dynamo.mocker": (dynamo("dynamo.mocker.args"), ("ai-dynamo",)),
    "dynamo.frontend": (dynamo("dynamo.frontend.main"), ("ai-dynamo",)),
    "sglang-router": (router("sglang_router"), ("sglang-router",)),
    "smg": (router("smg"), ("smg",)),
    "vllm-router": (router("vllm_router"), ("vllm-router",)),
}

parse_args = argparse.ArgumentParser.parse_args
parse_known_args = argparse.ArgumentParser.parse_known_args


def answer_of(program, args):
    """None: the parser takes the line; a text: why it refuses it. Raises what keeps it from parsing."""
    left = []

    def known(self, given=None, namespace=None):
        result = parse_known_args(self, given, namespace)
        left[:] = result[1]
        return result

    def whole(self, given=None, namespace=None):
        result = parse_args(self, given, namespace)
        # A program may parse an empty line to find out its defaults.
        if given is not None and len(given) == 0 and args:
            return result
        raise Taken

    def error(self, message):
        raise Refused(message)

    argparse.ArgumentParser.parse_known_args = known
    argparse.ArgumentParser.parse_args = whole
    argparse.ArgumentParser.error = error
    sys.argv = [program, *args]
    try:
        PROGRAMS[program][0](list(args))
    except Taken:
        return None
    except Refused as refused:
        return str(refused)
    except SystemExit as end:
        # Some programs look themselves at what their parser has left.
        if end.code not in (None, 0) and left:
            return f"unrecognized arguments: {' '.join(map(str, left))}"
        if end.code in (None, 0):
            return None
        raise RuntimeError(f"it ended with {end.code}") from None
    return None


def installed(program):
    """What is installed, as a text that changes with every file of the packages; None: it cannot be told."""
    digest = hashlib.sha256(sys.version.encode())
    for package in PROGRAMS[program][1]:
        try:
            distribution = importlib.metadata.distribution(package)
            files = [file for file in distribution.files or [] if file.suffix == ".py"]
            stats = [(str(file), os.stat(distribution.locate_file(file))) for file in files]
        except (importlib.metadata.PackageNotFoundError, OSError):
            return None
        # An editable installation lists none of its files.
        if not stats:
            return None
        for name, stat in stats:
            digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


class Cache:
    """Answers of earlier jobs, by what is installed and the line. A directory of another user has none."""

    def __init__(self, directory):
        self.directory = None
        with contextlib.suppress(OSError, TypeError):
            if os.stat(directory).st_uid == os.getuid():
                self.directory = directory
        self.installed = {}

    def path_of(self, line):
        program = line["program"]
        if self.directory is None or program not in PROGRAMS:
            return None
        if program not in self.installed:
            self.installed[program] = installed(program)
        if self.installed[program] is None:
            return None
        key = json.dumps([program, self.installed[program], line["args"]])
        return os.path.join(self.directory, f"{hashlib.sha256(key.encode()).hexdigest()}.json")

    def read(self, line):
        path = self.path_of(line)
        if path is None:
            return False, None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            with open(path) as stream:
                return True, json.load(stream)["refused"]
        return False, None

    def write(self, line, refused):
        path = self.path_of(line)
        if path is None:
            return
        with contextlib.suppress(OSError):
            aside = f"{path}.{os.getpid()}"
            with open(aside, "w") as stream:
                json.dump({"refused": refused}, stream)
            os.replace(aside, path)


def place_of(line, message):
    """The place of the first option of the message that the recipe has."""
    for option in re.findall(r"--[\w.-]+", message):
        if option in line["places"]:
            return line["places"][option]
    return line["place"]


def main(path):
    with open(path) as stream:
        asked = json.load(stream)
    out = os.fdopen(os.dup(1), "w")
    # Engines write to standard output, too.
    os.dup2(2, 1)
    refused, unchecked, cached = [], [], 0

    def end():
        for place, message in refused:
            out.write(f"ERROR {place}: the engine refuses its command line: {message}\n")
        for program, reason in unchecked:
            out.write(f"the options of {program} were not checked: {reason}\n")
        out.write(json.dumps({"refused": refused, "unchecked": unchecked, "cached": cached}) + "\n")
        out.flush()
        # Libraries that an import started must not delay the job.
        os._exit(1 if refused else 0)

    def late():
        unchecked.append(["the rest", f"it took longer than {asked['seconds']} s"])
        end()

    timer = threading.Timer(asked["seconds"], late)
    timer.daemon = True
    timer.start()
    # As with `python3 -m`, and not the directory of this file.
    sys.path[0] = ""
    cache = Cache(asked["cache"])
    for line in asked["lines"]:
        program = line["program"]
        was_there, message = cache.read(line)
        if was_there:
            cached += 1
        else:
            try:
                message = answer_of(program, line["args"])
            except BaseException as error:  # an import of a foreign package may raise anything
                unchecked.append([program, f"{type(error).__name__}: {error}"])
                continue
            cache.write(line, message)
        if message is not None:
            refused.append([place_of(line, message), " ".join(message.split())])
    timer.cancel()
    end()


main(sys.argv[1])
