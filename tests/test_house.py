"""The house rules: floors, ceilings, names, docstrings, annotations, and commands that the README shows."""

import ast
import importlib
import importlib.util
import itertools
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("avatar", "tools", "configs", "tests", "viewer")
TOP_LEVEL = {
    *FOLDERS,
    *("data", ".ci", ".gitignore", "pyproject.toml", "CMakeLists.txt", "Makefile", "LICENSE"),
    *("README.md", "CHANGELOG.md", "DECISIONS.md", "BENCHMARKS.md"),
}
FORBIDDEN_NAMES = {"utils", "common", "core", "helpers", "misc", "base"}
OPTIONAL_PACKAGES = {
    "anny",
    "gsplat",
    "nerfacc",
    "tinycudann",
    "smplx",
    "pytorch3d",
    "ai_edge_litert",
    "h5py",
    "ray",
    "pxr",
}
FLOOR_ZERO = ("geometry", "engine")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*suffixes: str, folders: tuple[str, ...] = FOLDERS) -> list[Path]:
    generated = {"node_modules", "dist", "build", "__pycache__"}
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*")) if path.suffix in suffixes)
    return [path for path in found if not generated.intersection(path.parts)]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path, node: ast.AST | None = None) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, Function))


def public_definitions(body: list[ast.stmt], in_class: bool = False) -> Iterator[tuple[Function | ast.ClassDef, bool]]:
    """Classes, functions and methods that a user may name, each with whether a class holds it."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node, in_class
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, in_class=True)


def parameters(function: Function) -> list[ast.arg]:
    arguments = function.args
    starred = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *starred]


def imported_packages(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.split(".")[0])
    return names


def extras_asked_for(path: Path) -> set[str]:
    """Optional packages that are loaded when a function is called: the names in ``extra("name")``."""
    calls = (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))
    asked = (call.args for call in calls if ast.unparse(call.func) == "extra")
    return {str(name.value) for names in asked for name in names if isinstance(name, ast.Constant)}


def report(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


def test_imports_go_down_the_floors_only():
    # In a process of its own: the linter switches other loggers off.
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    linted = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


def test_floor_zero_knows_nothing_but_torch():
    allowed = {"torch", "jaxtyping", "avatar", *sys.stdlib_module_names}
    report(
        [
            f"{place(path)}: imports {', '.join(sorted(foreign))}"
            for path in sources(".py", folders=tuple(f"avatar/{room}" for room in FLOOR_ZERO))
            if (foreign := imported_packages(path) - allowed)
        ]
    )


@pytest.mark.parametrize("package", sorted(OPTIONAL_PACKAGES))
def test_an_optional_package_is_imported_in_one_file(package: str):
    named = {path: imported_packages(path) | extras_asked_for(path) for path in sources(".py", folders=("avatar",))}
    users = [place(path) for path, names in named.items() if package in names]
    assert len(users) <= 1, users


def test_files_are_short():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(".py", ".cpp", ".h", ".ts")}
    report([f"{place(path)}: {length} lines, at most 400" for path, length in lengths.items() if length > 400])


def test_functions_are_short():
    problems = []
    for path in sources(".py"):
        for function in functions(path):
            statements = sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1
            statements -= ast.get_docstring(function) is not None
            if statements > 40:
                problems.append(f"{place(path, function)}: {function.name} has {statements} statements, at most 40")
    report(problems)


def test_functions_take_few_arguments():
    problems = []
    for path in sources(".py"):
        for function in functions(path):
            names = [argument.arg for argument in parameters(function) if argument.arg not in ("self", "cls")]
            if len(names) > 8:
                problems.append(f"{place(path, function)}: {function.name} takes {len(names)} arguments, at most 8")
    report(problems)


def test_nothing_is_called_after_nothing():
    paths = sources(".py", ".cpp", ".h", ".ts")
    named = [(path, {part.split(".")[0].lower() for part in path.relative_to(ROOT).parts}) for path in paths]
    report([f"{place(path)}: {', '.join(parts & FORBIDDEN_NAMES)}" for path, parts in named if parts & FORBIDDEN_NAMES])


def test_every_public_name_is_documented():
    problems = []
    for path in sources(".py", folders=("avatar", "viewer")):
        if not ast.get_docstring(tree_of(path)):
            problems.append(f"{place(path)}: the module has no docstring")
        for node, _ in public_definitions(tree_of(path).body):
            if not ast.get_docstring(node):
                problems.append(f"{place(path, node)}: {node.name} has no docstring")
    report(problems)


def test_every_public_function_is_annotated():
    problems = []
    for path in sources(".py", folders=("avatar", "viewer")):
        for node, in_class in public_definitions(tree_of(path).body):
            if isinstance(node, ast.ClassDef):
                continue
            bound = in_class and not any(ast.unparse(name) == "staticmethod" for name in node.decorator_list)
            bare = [argument.arg for argument in parameters(node)[bound:] if argument.annotation is None]
            bare += [] if node.returns else ["return"]
            if bare:
                problems.append(f"{place(path, node)}: {node.name} lacks annotations of {', '.join(bare)}")
    report(problems)


def test_no_check_is_silenced():
    silencer = re.compile(r"#\s*(noqa|ruff:|type:\s*ignore|pyright:)")
    problems = []
    for path in sources(".py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if silencer.search(line):
                problems.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    report(problems)


def test_tests_mirror_the_library():
    rooms = {path.name for path in (ROOT / "avatar").iterdir() if path.is_dir()} | {
        "golden",
        "tools",
        "viewer",
        "configs",
    }
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert folders <= rooms


def test_the_top_level_is_fixed():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split("/")[0] for line in listed.splitlines()} <= TOP_LEVEL


def readme_commands(program: str) -> list[list[str]]:
    """The words of every command of ``program`` in the README's bash blocks."""
    blocks = re.findall(
        r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    return [words for words in commands if words and words[0] == program]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_readmes_make_targets_exist():
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {target for words in readme_commands("make") for target in words[1:] if "=" not in target} <= targets


def test_the_readmes_avatar_commands_parse(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Every verb shows its help, and the help knows every flag that the README gives the verb."""
    module, function = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["avatar"].split(":")
    module = module if importlib.util.find_spec(module) else module.removeprefix("avatar.")  # installed, or a checkout
    main = getattr(importlib.import_module(module), function)
    monkeypatch.setenv("COLUMNS", "200")
    commands = readme_commands("avatar")
    assert commands, "README.md: expected an `avatar` command in a bash block"
    for words in commands:
        verb = list(itertools.takewhile(lambda word: not word.startswith("-"), words))
        monkeypatch.setattr(sys, "argv", [*verb, "--help"])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code in (0, None), shlex.join(words)
        known = capsys.readouterr().out
        unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in known]
        assert not unknown, f"{shlex.join(words)}: {unknown} not in the help of {shlex.join(verb)}"
