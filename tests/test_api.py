"""What the package and `train` promise as a whole: their names, their imports, their lengths, where their tests lie."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import inspect
import io
import pkgutil
import subprocess
import sys
import tokenize
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

import nst_adain
import train

ROOT = Path(nst_adain.__file__).parents[1]
PACKAGES = (nst_adain, train)
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.ispkg and not module.name.endswith(".__main__")
]


def test_all_is_what_the_stub_says() -> None:
    """The names are loaded when they are used, and type checkers find them in the stub: both are one list."""
    stub = ast.parse(Path(nst_adain.__file__).with_suffix(".pyi").read_text())
    homes = {a.name: f"nst_adain.{n.module}" for n in stub.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert set(homes) == set(nst_adain.__all__)
    for name, home in homes.items():
        assert getattr(nst_adain, name) is getattr(importlib.import_module(home), name)
        assert name in importlib.import_module(home).__all__


def defined(node: ast.AST) -> Iterator[str]:
    """The names that a module's own statements define, imports aside."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield child.name
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        elif not isinstance(child, (ast.Lambda, ast.comprehension)):
            yield from defined(child)


@pytest.mark.parametrize("name", MODULES)
def test_all_of_each_module_is_exact_and_documented(name: str) -> None:
    """It holds every public name that the module defines, and no other."""
    module = importlib.import_module(name)
    assert module.__doc__
    own = {name for name in defined(ast.parse(Path(str(module.__file__)).read_text())) if not name.startswith("_")}
    assert len(module.__all__) == len(set(module.__all__))
    assert set(module.__all__) == own
    for public in module.__all__:
        value = getattr(module, public)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__module__ == name
            assert value.__doc__, f"{name}.{public} has no docstring"


@pytest.mark.parametrize("name", sorted({name.rpartition(".")[0] for name in MODULES} - {"nst_adain"}))
def test_a_package_defines_nothing(name: str) -> None:
    """It may hand on names of its modules, which are loaded as they are used."""
    package = importlib.import_module(name)
    assert package.__doc__
    assert set(defined(ast.parse(Path(str(package.__file__)).read_text()))) <= {"__getattr__", "__dir__", "__all__"}
    for public in getattr(package, "__all__", []):
        home = getattr(package, public).__module__
        assert home.startswith(f"{name}.")
        assert public in importlib.import_module(home).__all__


def test_stylising_loads_nothing_heavy_besides_torch(photo: Path, painting: Path) -> None:
    code = f"""
import sys, nst_adain.cli.stylize, nst_adain.cli.video
nst_adain.Stylizer.from_pretrained()({str(photo)!r}, {str(painting)!r})
print(*sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    heavy = {"accelerate", "gradio", "matplotlib", "onnxruntime", "ray", "scipy", "skimage", "torchvision", "tyro", "train"}
    assert not loaded & heavy


def test_help_and_version_load_no_torch() -> None:
    code = """
import contextlib, sys
from nst_adain.cli.main import main
for argument in ("--help", "--version"):
    with contextlib.suppress(SystemExit):
        main([argument])
print(*sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "stylize" in done.stdout
    assert f"\nnst-adain {nst_adain.__version__}\n" in done.stdout
    assert not {"torch", "numpy", "PIL"} & {name.split(".")[0] for name in done.stdout.split("\n")[-2].split()}


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_stylizer_example_is_run() -> None:
    assert doctest.testmod(importlib.import_module("nst_adain.stylizer")).attempted > 0


def test_types_can_be_looked_up_at_run_time() -> None:
    from nst_adain import Stylizer
    from nst_adain.batch.folder import stylize_folder
    from nst_adain.figures import grid
    from nst_adain.transforms import RandomStyle
    from nst_adain.video.stylize import stylize_video

    for function in (Stylizer.__call__, Stylizer.encode_content, RandomStyle.__init__, grid.cross_grid, stylize_folder):
        assert "return" in typing.get_type_hints(function)
    assert typing.get_type_hints(stylize_video)["return"] is int


def sources() -> dict[str, Path]:
    """Every module of the packages and its file."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for package in PACKAGES
        for path in sorted((ROOT / package.__name__).rglob("*.py"))
    }


def imports() -> dict[str, set[str]]:
    """Which modules of the packages each of them loads with it."""
    files, found = sources(), {}
    for module, path in files.items():
        nodes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
        names = {f"{node.module}.{alias.name}" for node in nodes for alias in node.names} | {str(node.module) for node in nodes}
        found[module] = names & files.keys() - {module}
    return found


@pytest.mark.parametrize(("package", "levels", "modules"), [("nst_adain", 13, 60), ("train", 5, 25)])
def test_imports_run_one_way_on_few_levels(package: str, levels: int, modules: int) -> None:
    loads = {module: others for module, others in imports().items() if module.startswith(f"{package}.")}
    assert len(loads) > modules

    @functools.cache
    def level(module: str) -> int:  # of a circle, a RecursionError
        return 1 + max((level(other) for other in loads[module] if other in loads), default=0)

    assert max(map(level, loads)) <= levels


def test_nothing_imports_what_stands_above_it() -> None:
    """Least of all the package `train`, which is not installed; and training needs none of its measurements."""
    order = ["functional", "models", "rendering", "stylizer", "batch video figures web", "cli"]
    ranks = {f"nst_adain.{name}": rank for rank, names in enumerate(order) for name in names.split()}
    for module, others in imports().items():
        for other in others:
            upper, lower = (".".join(name.split(".")[:2]) for name in (module, other))
            assert ranks.get(upper, 9) >= ranks.get(lower, -1), f"{module} imports {other}"
            assert upper.startswith("train") or not lower.startswith("train"), f"{module} imports {other}"
            assert upper in ("train.measure", "train.cli") or lower != "train.measure", f"{module} imports {other}"


def code_lines(source: str) -> set[int]:
    """The lines that hold code, rather than a docstring, a comment or nothing."""
    empty = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in empty]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, int(node.end_lineno or 0) + 1))
    return lines


def functions(node: ast.AST, place: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function below a node, methods and inner ones too, under its qualified name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{place}{child.name}", child
        inner = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        yield from functions(child, f"{place}{child.name}." if inner else place)  # type: ignore[attr-defined]


def test_no_function_has_over_45_lines_of_code_and_no_file_over_280_lines() -> None:
    too_long = set()
    for path in sources().values():
        name, source = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        code = code_lines(source)
        if source.count("\n") > 280:
            too_long.add(name)
        for function, node in functions(ast.parse(source), f"{name}: "):
            if len(code & set(range(node.lineno, int(node.end_lineno or 0) + 1))) > 45:
                too_long.add(function)
    assert not too_long


def test_docstrings_comments_and_empty_lines_are_not_counted_as_code() -> None:
    source = 'def f():\n    """Says.\n\n    More.\n    """\n\n    # Why.\n    return """\nthree\n"""  # lines\n'
    assert code_lines(source) == {1, 8, 9, 10}
    nested = ast.parse("class A:\n    def f(self):\n        if 1:\n            def g(): pass\n")
    assert [name for name, _ in functions(nested, "x: ")] == ["x: A.f", "x: A.f.g"]


# What has its tests in a file of another name, and why.
TESTED_ELSEWHERE = {
    "nst_adain/cli/app.py": "tests/web/test_server.py",  # a command is its options and one call: the test of what it calls
    "nst_adain/cli/batch.py": "tests/batch/test_folder.py",
    "nst_adain/cli/bulk.py": "tests/batch/test_bulk.py",
    "nst_adain/cli/grid.py": "tests/figures/test_grid.py",
    "nst_adain/cli/morph.py": "tests/figures/test_grid.py",
    "nst_adain/cli/stylize.py": "tests/cli/test_main.py",
    "nst_adain/cli/video.py": "tests/video/test_stylize.py",
    "nst_adain/cli/options.py": "tests/cli/test_main.py",  # options that several commands have: the test of the commands
    "train/measure/subjects.py": "tests/train/measure/test_benchmark.py",  # what a benchmark measures: its test
}


def test_every_module_has_its_tests_at_the_mirrored_path() -> None:
    missing = set()
    for path in sources().values():
        name = path.relative_to(ROOT)
        folder = ROOT / "tests" / (name.parent if name.parts[0] == "train" else name.parent.relative_to("nst_adain"))
        tests = folder / f"test_{name.name}"
        if len(code_lines(path.read_text(encoding="utf-8"))) > 40 and not tests.is_file():
            missing.add(path.relative_to(ROOT).as_posix())
    assert missing == TESTED_ELSEWHERE.keys()
    assert all((ROOT / other).is_file() for other in TESTED_ELSEWHERE.values())


def test_every_test_file_says_in_its_first_line_what_it_covers() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        first = path.read_text(encoding="utf-8").split("\n")[0]
        assert first.startswith('"""'), path
        assert len(first) > 20, path
