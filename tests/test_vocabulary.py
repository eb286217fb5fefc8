"""The words of the project: plain technical English and the terms of the field, in code, configs and README."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Words that made names and sentences hard to follow for a stranger, with what to write instead.
NOWHERE = {
    r"somebody|someone|whoever|anybody|everybody|nobody": "user, unknown user, new user, all users, no user",
    r"told|tells? of|is to be told": "features, metadata, reconstructs, is known",
    r"beneath": "base models",
    r"watched": "seen, rated, monitored",
    r"amid|at hand|anew|hereby|thereof": "among, given, again",
    r"kept": "stored, holds",
    r"asked": "request, question, pairs",
    r"lies?|lain": "is, are (in a place)",
    r"made up": "synthetic",
}
# Below analysis/ and web/, where the items need not be films.
ITEMS = {r"films?|movies?": "item", r"stars?": "rating"}
GENERAL_PACKAGES = ("metrics", "models", "evaluation", "config")

# Names that belong to somebody else: columns, files, fields of the API, labels of published files, Python itself.
OUTSIDE = re.compile(
    r"movie_id|MovieLens|movie-|movies_extra|films_(path|columns)|`everybody`|`stars`|`kept`|rows kept|"
    r"watched\.csv|watched (at|date)|date watched",
    re.I,
)


@cache
def python_texts(path: Path) -> list[tuple[int, str]]:
    """The words of a file of Python, which is read once for all rules."""
    return list(_texts(path))


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Identifiers that a file defines, docstrings, comments and messages, each with its line."""
    source = path.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, spaced(node.name)
        elif isinstance(node, ast.arg):
            yield node.lineno, spaced(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id != "kept":  # a field of the API
            yield node.lineno, spaced(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(node.value.split("\n")):
                yield node.lineno + offset, line
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def plain_texts(path: Path) -> Iterator[tuple[int, str]]:
    yield from enumerate(path.read_text().split("\n"), start=1)


def spaced(name: str) -> str:
    """`user_ofItem` -> `user of Item`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)


def found(texts: Iterable[tuple[int, str]], words: dict[str, str]) -> list[str]:
    any_word = re.compile("|".join(words), re.I)
    hits = []
    for line, text in texts:
        if not any_word.search(text):  # few have any, also as a part of another word
            continue
        for pattern, instead in words.items():
            for hit in re.findall(rf"\b(?:{pattern})\b", OUTSIDE.sub(" ", text), flags=re.IGNORECASE):
                hits.append(f"line {line}: {hit!r} (write: {instead}) in {text.strip()[:90]!r}")
    return hits


def found_in(names: list[str], read: Callable[[Path], Iterable[tuple[int, str]]], words: dict[str, str]) -> list[str]:
    assert names
    return [f"{name}, {hit}" for name in names for hit in found(read(ROOT / name), words)]


# recsys/data/sql is left as it is: its text is part of every data fingerprint, which published runs carry.
def files(*patterns: str) -> list[str]:
    paths = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def test_code_is_in_plain_technical_english():
    assert found_in(files("recsys/**/*.py", "hydra_plugins/**/*.py", "train.py"), python_texts, NOWHERE) == []


def test_general_packages_speak_of_items_and_ratings():
    assert found_in(files(*(f"recsys/{package}/**/*.py" for package in GENERAL_PACKAGES)), python_texts, ITEMS) == []


def test_configs_queries_and_readmes_are_in_plain_technical_english():
    names = files(
        "configs/**/*.yaml",
        "recsys/analysis/**/*.sql",
        "README.md",
        "docs/*.md",
        "experiments/*/README.md",
        "pyproject.toml",
        "Makefile",
    )
    assert found_in(names, plain_texts, NOWHERE) == []


def test_words_are_found_in_names_docstrings_comments_and_messages(tmp_path: Path):
    file = tmp_path / "example.py"
    file.write_text('def what_isTold():\n    """Films."""  # of whoever\n    raise ValueError("nobody is here")\n')
    assert len(found(python_texts(file), NOWHERE)) == 3
    assert len(found(python_texts(file), ITEMS)) == 0  # a docstring of one word has no space
