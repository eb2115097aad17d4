"""Adds releases that record.py has recorded to the table of their program.

    python3 scripts/options/merge.py src/engine-options/tables/PROGRAM.json RECORDED.json…

The table has each option once, on a line of its own: `in` says in which releases it exists ("0.5.6-0.5.9 0.5.11-": from
0.5.6 to 0.5.9, and from 0.5.11 to the newest one of the table); without `in`, in all. A choice may have releases behind
it, too. An option whose kind of values has changed has a line for each kind. A release that the table has already is
replaced.
"""
import json
import os
import re
import sys


def order(version):
    """0.5.8 < 0.5.8.post1 < 0.5.9rc1 < 0.5.9."""
    numbers, rest = re.match(r"([\d.]*\d)(.*)", version).groups()
    ranks = {"dev": -3, "a": -2, "b": -2, "rc": -1, "post": 1}
    parts = [(ranks[word], int(number or 0)) for word, number in re.findall(r"(dev|a|b|rc|post)\.?(\d*)", rest)]
    padded = ([int(number) for number in numbers.split(".")] + [0] * 4)[:5]
    return padded, parts or [(0, 0)]


def ranges(wanted, releases):
    """The text of a set of releases; None for all of them."""
    if len(wanted) == len(releases):
        return None
    texts = []
    first = None
    for at, release in enumerate(releases):
        if release in wanted and first is None:
            first = at
        if first is not None and (at + 1 == len(releases) or releases[at + 1] not in wanted):
            texts.append(f"{releases[first] if first else ''}-{release if at + 1 < len(releases) else ''}")
            first = None
    return " ".join(texts)


def inside(text, releases):
    if text is None:
        return list(releases)
    found = []
    for part in text.split(" "):
        first, last = part.split("-")
        start = releases.index(first) if first else 0
        end = releases.index(last) if last else len(releases) - 1
        found.extend(releases[start : end + 1])
    return found


def expanded(table):
    """A table's options by release."""
    releases = table["releases"]
    by_release = {release: [] for release in releases}
    for line in table["options"]:
        shape = {key: value for key, value in line.items() if key not in ("in", "choices")}
        for release in inside(line.get("in"), releases):
            option = {**shape, "names": line["names"].split(" ")}
            if "choices" in line:
                split = [choice.partition("  ") for choice in line["choices"]]
                option["choices"] = [name for name, _, text in split if release in inside(text or None, releases)]
            by_release[release].append(option)
    return by_release


def compressed(by_release):
    releases = sorted(by_release, key=order)
    lines = {}
    for release in releases:
        for option in by_release[release]:
            shape = {key: value for key, value in option.items() if key != "choices"}
            shape["names"] = " ".join(option["names"])
            key = json.dumps([shape, "choices" in option], sort_keys=True)
            found = lines.setdefault(key, {"shape": shape, "in": set(), "choices": {}})
            found["in"].add(release)
            for choice in option.get("choices", []):
                found["choices"].setdefault(choice, set()).add(release)
    options = []
    for line in lines.values():
        option = dict(line["shape"])
        text = ranges(line["in"], releases)
        if text is not None:
            option["in"] = text
        if line["choices"]:
            option["choices"] = [
                choice if where == line["in"] else f"{choice}  {ranges(where, releases)}"
                for choice, where in sorted(line["choices"].items())
            ]
        options.append(option)
    return releases, sorted(options, key=lambda one: (one["names"], order((one.get("in") or "0").strip("-").split("-")[0])))


def main():
    path, *recorded = sys.argv[1:]
    by_release = {}
    head = {}
    if os.path.exists(path):
        with open(path) as stream:
            table = json.load(stream)
        by_release = expanded(table)
        head = {key: value for key, value in table.items() if key not in ("releases", "options")}
    for name in recorded:
        with open(name) as stream:
            one = json.load(stream)
        by_release[one["version"]] = [option for option in one["options"] if option["names"] != ["help"]]
        head = {"program": one["program"], "abbreviates": one["abbreviates"]}
    releases, options = compressed(by_release)
    with open(path, "w") as stream:
        for key, value in {**head, "releases": releases}.items():
            stream.write(f"{'{' if key == 'program' else ''}{json.dumps(key)}:{json.dumps(value)},\n")
        lines = ",\n".join(json.dumps(option, separators=(",", ":")) for option in options)
        stream.write(f'"options":[\n{lines}\n]}}\n')


main()
