#!/usr/bin/env python3
"""Prints what the contract's behaviours came to on each engine, from the results of a run.

    matrix.py FILE...

Each FILE is nextest's JUnit report, or what `cargo test -- --show-output` printed. A later one adds to the
earlier. Nothing is printed when no behaviour of the contract ran. What an engine declares to lack its tests
see refused: they print `declared: FEATURE`.
"""

import re
import sys
import xml.etree.ElementTree as xml

ENGINES = [
    ("on_the_fake", "fake"),
    ("on_docker", "Docker"),
    ("through_the_proxy", "through proxy"),
    ("on_podman", "Podman"),
    ("on_rootless_podman", "rootless"),
    ("on_apple", "Apple (stand-in)"),
]
# Modules of the contract that one engine alone has.
ALONE = {"docker_only": "on_docker", "podman_only": "on_podman", "apple_only": "on_apple"}
DECLARED = re.compile(r"^declared: \w+$", re.MULTILINE)
LINE = re.compile(r"^test (\S+) \.\.\. (ok|FAILED|ignored)")
BINARY = re.compile(r"^\s+Running .*\btests/contract/main\.rs\b")


def of_junit(path):
    """(test, passed, output) of each test of the contract."""
    for case in xml.parse(path).getroot().iter("testcase"):
        if case.get("classname", "").endswith("::contract"):
            if case.find("skipped") is not None:
                continue
            passed = case.find("failure") is None and case.find("error") is None
            output = case.find("system-out")
            yield case.get("name"), passed, (output.text or "") if output is not None else ""


def of_cargo_test(text):
    """The same, from the lines of the contract's binary."""
    within, results, outputs, about = False, [], {}, None
    for line in text.splitlines():
        if re.match(r"^\s+(Running|Doc-tests) ", line):
            within, about = bool(BINARY.match(line)), None
        if not within:
            continue
        if found := LINE.match(line):
            if found[2] != "ignored":
                results.append((found[1], found[2] == "ok"))
        elif found := re.match(r"^---- (\S+) stdout ----$", line):
            about = found[1]
        elif about:
            outputs[about] = outputs.get(about, "") + line + "\n"
    for test, passed in results:
        yield test, passed, outputs.get(test, "")


def place(test):
    """(group, behaviour, engine) by a test's path."""
    *modules, behaviour = test.split("::")
    for module in modules:
        if module in ALONE:
            return module, behaviour, ALONE[module]
    engines = dict(ENGINES)
    engine = next((module for module in modules if module in engines), None)
    group = next((module for module in modules if module not in engines), "")
    return (group, behaviour, engine) if engine else None


def worth(group, engine, seen):
    """Why a behaviour has no result on an engine."""
    if group in ALONE:
        return "–"
    ran = any(of == group and on == engine for of, on in seen)
    return "not run" if ran else "–"


def matrix(results):
    cells, rows = {}, []
    for test, passed, output in results:
        if not (found := place(test)):
            continue
        group, behaviour, engine = found
        if (group, behaviour) not in rows:
            rows.append((group, behaviour))
        cell = "FAILED" if not passed else "declared" if DECLARED.search(output) else "ok"
        cells[group, behaviour, engine] = cell
    return cells, rows


def render(cells, rows):
    seen = {(group, engine) for group, _, engine in cells}
    used = [(module, name) for module, name in ENGINES if any(it[2] == module for it in cells)]
    table = [["behaviour", *(name for _, name in used)]]
    last = ""
    for group, behaviour in sorted(rows, key=lambda row: (row[0] in ALONE, *row)):
        if group != last:
            table.append([f"[{group}]", *("" for _ in used)])
            last = group
        line = [cells.get((group, behaviour, module)) for module, _ in used]
        line = [cell or worth(group, module, seen) for cell, (module, _) in zip(line, used)]
        table.append([behaviour, *line])
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    counts = {}
    for cell in cells.values():
        counts[cell] = counts.get(cell, 0) + 1
    print(", ".join(f"{count} {cell}" for cell, count in sorted(counts.items())))
    print(
        "declared: the engine says that it cannot, and the test saw it refuse. –: none of its kind ran there, for "
        "the engine has no such API, or another one alone does this."
    )


def main(paths):
    results = []
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        results += of_junit(path) if text.lstrip().startswith("<") else of_cargo_test(text)
    cells, rows = matrix(results)
    if cells:
        render(cells, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
