"""The rules of who may import whom, checked on the source."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
HYDRA = ("recsys.config", "recsys.commands")  # the packages that may import Hydra
# Layers, the lowest first: a module imports only from its own layer and from lower ones.
LAYERS = (
    (
        "errors",
        "counted",
        "extras",
        "files",
        "places",
        "interruption",
        "invocation",
        "named_arguments",
        "signatures",
        "dotted",
        "renamed",
        "terminal",
        "progress",
        "progress_bar",
    ),
    ("data",),
    ("metrics",),
    ("models",),
    ("evaluation",),
    ("export",),
    ("analysis",),
    ("studies",),
    ("web",),
    ("config",),  # beside the others: it knows what studies and splits are, and they do not know it
    ("commands", "for_frames"),
    ("__main__",),
)
OUTSIDE = ("testing",)  # for authors of models: nothing of the package imports it
DEEP = "recsys.models.neural"


@cache
def modules() -> list[str]:
    paths = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "recsys").rglob("*.py")]
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)


@cache
def imported_names(module: str) -> tuple[str, ...]:
    """Return what a module imports anywhere, also in functions and for type checkers alone."""
    path = ROOT.joinpath(*module.split("."))
    source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    names: list[str] = []
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


@cache
def dependencies(module: str) -> frozenset[str]:
    """Return the modules of the package that a module imports."""
    known = set(modules())
    found = set()
    for name in imported_names(module):
        while name not in known and "." in name:
            name = name.rpartition(".")[0]
        if name in known:
            found.add(name)
    return frozenset(found - {module, "recsys"})


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def package_of(module: str) -> str:
    return module.split(".")[1]


def level(name: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if name in names)


def cycles() -> Iterator[list[str]]:
    """Yield groups of modules that import each other, directly or through others (Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[list[str]]:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(dependencies(module)):
            if other not in index:
                yield from visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[-len(group) :]
            if len(group) > 1:
                yield sorted(group)

    for module in modules():
        if module not in index:
            yield from visit(module)


def inside_layers() -> list[str]:
    return [module for module in modules() if module != "recsys" and package_of(module) not in OUTSIDE]


def test_every_module_is_in_a_layer():
    assert {package_of(module) for module in inside_layers()} <= {name for names in LAYERS for name in names}


def test_layers_import_in_one_direction():
    upwards = [
        (module, other)
        for module in inside_layers()
        for other in dependencies(module)
        if package_of(other) in OUTSIDE or level(package_of(other)) > level(package_of(module))
    ]
    assert upwards == []


def test_no_two_files_import_each_other():
    assert list(cycles()) == []


def test_only_config_and_commands_import_hydra():
    importing = [
        module
        for module in modules()
        if any(is_in(name, "hydra") or is_in(name, "omegaconf") for name in imported_names(module))
    ]
    assert importing
    assert [module for module in importing if not any(is_in(module, package) for package in HYDRA)] == []


def test_only_deep_models_and_what_trains_them_import_the_deep_core():
    importing = {module for module in modules() if any(is_in(name, DEEP) for name in dependencies(module))}
    further = {module for module in importing if package_of(module) != "models"}
    # For pruning, for the project's own strategies, and for runs in several processes.
    assert further <= {"recsys.config.search", "recsys.config.trainer", "recsys.config.sharded_run"}
    closed_form = {
        "ease",
        "ials",
        "als",
        "slim",
        "knn",
        "popularity",
        "bias",
        "content",
        "trees",
        "bayesian_mf",
        "base",
    }
    assert not importing & {f"recsys.models.{name}" for name in closed_form}


def test_evaluation_needs_no_torch():
    assert [
        (module, name)
        for module in modules()
        if package_of(module + ".") in ("metrics", "evaluation")
        for name in imported_names(module)
        if is_in(name, "torch") or is_in(name, "pytorch_lightning")
    ] == []
