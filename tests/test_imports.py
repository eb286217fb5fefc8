"""The rules of who may import whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOORS = ("recsys.config", "recsys.commands")  # the rooms that may know Hydra
FORBIDDEN = {
    "recsys.data": (
        "recsys.metrics",
        "recsys.models",
        "recsys.evaluation",
        "recsys.analysis",
        "recsys.studies",
        "recsys.web",
    ),
    "recsys.metrics": ("recsys.models", "recsys.evaluation", "recsys.analysis", "recsys.studies", "recsys.web"),
    "recsys.evaluation": ("recsys.analysis", "recsys.studies", "recsys.web"),
    "recsys.models": ("recsys.evaluation", "recsys.analysis", "recsys.studies", "recsys.web"),
    "recsys.analysis": ("recsys.studies", "recsys.web"),
    "recsys.studies": ("recsys.web",),
}


def modules() -> list[str]:
    paths = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "recsys").rglob("*.py")]
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)


def imports(module: str) -> Iterator[str]:
    path = ROOT.joinpath(*module.split("."))
    source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("module", modules())
def test_only_the_doors_import_hydra(module):
    known = [name for name in imports(module) if is_in(name, "hydra") or is_in(name, "omegaconf")]
    assert not known or any(is_in(module, door) for door in DOORS)


@pytest.mark.parametrize("module", modules())
def test_nothing_but_commands_comes_through_the_doors(module):
    within = (*DOORS, "recsys.__main__")
    through = [name for name in imports(module) if any(is_in(name, door) for door in DOORS)]
    assert not through or any(is_in(module, door) for door in within)


@pytest.mark.parametrize(
    "module", [name for name in modules() if name.split(".")[1:2] in (["metrics"], ["evaluation"])]
)
def test_evaluation_needs_no_torch(module):
    assert not any(is_in(name, "torch") or is_in(name, "pytorch_lightning") for name in imports(module))


@pytest.mark.parametrize("module", modules())
def test_rooms_import_in_one_direction(module):
    for room, others in FORBIDDEN.items():
        if is_in(module, room):
            assert not [name for name in imports(module) if any(is_in(name, other) for other in others)]
