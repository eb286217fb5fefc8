"""Fixtures for tests of the data: tiny sources in all layouts, a cache, a web server and a package index."""

import copy
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from recsys.config import compose, instantiate
from recsys.config.loader import CONFIGS
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared

Content = Mapping[str, str | bytes]

APART = ("kaggle-movies", "kaggle-movies-small", "ncf")  # configs that choose metadata or a split beside the data


def zipped(files: Content) -> bytes:
    """A zip archive of files by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def digest(content: str | bytes) -> str:
    """The digest of a file, as sources state it."""
    return f"sha256:{hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()}"


@pytest.fixture
def package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, Content], Path]:
    """Publish a wheel with files in a package index of the test, and return the wheel."""

    def publish(name: str, version: str, files: Content) -> Path:
        about = f"{name.replace('-', '_')}-{version}"
        wheel = tmp_path / "index" / f"{about}-py3-none-any.whl"
        wheel.parent.mkdir()
        metadata = {
            f"{about}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{about}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        wheel.write_bytes(zipped({**files, **metadata}))
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
        return wheel

    return publish


@pytest.fixture
def releases() -> dict[str, dict[str, str | bytes]]:
    """Files of MovieLens releases by name; older releases are in Latin-1."""
    miserables = "9::Misérables, Les (1995)::Drama|Musical\n".encode("latin-1")
    return {
        "ml-100k": {
            "u.data": "1\t10\t5\t880000000\n2\t9\t3\t880000100\n1\t9\t4\t880000000\n",
            "u.user": "1|24|M|technician|85711\n2|53|F|other|T8H1N\n",
            "u.item": "9|Misérables, Les (1995)|||http://x|0|0|0|0|0|0|0|0|1|0|0|0|1|0|0|0|0|0|0\n".encode("latin-1")
            + b"10|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n",
        },
        "ml-1m": {
            "ratings.dat": "1::9::5::\n1::10::4::\n2::9::3::\n",
            "movies.dat": miserables,
            "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
        },
        "ml-10m": {"ratings.dat": "1::9::0.5::880000000\n1::10::4.5::880000001\n", "movies.dat": miserables},
        "ml-32m": {
            "ratings.csv": "userId,movieId,rating,timestamp\n1,10,4.5,880000001\n1,9,0.5,880000000\n",
            "movies.csv": 'movieId,title,genres\n9,"Matrix, The (1999)",Action|Sci-Fi\n10,Odd,(no genres listed)\n',
            "links.csv": "movieId,imdbId,tmdbId\n9,0133093,603\n10,0000010,\n",
        },
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write files by name into a folder of the test, and return the folder."""

    def write(files: Content, folder: str = "source") -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        for name, content in files.items():
            (tmp_path / folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / folder

    return write


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., Prepared]:
    """Prepare a source, optionally with external metadata, in a cache of the test."""
    return lambda source, metadata=None: prepare(source, tmp_path / "cache", metadata)


@cache
def _composed(*overrides: str) -> DictConfig:
    return compose("train", overrides)


def _config(data: str, metadata: str | None) -> DictConfig:
    """The config of a data set and its metadata: most are composed together, once for all tests."""
    if data in APART:
        return copy.deepcopy(_composed(f"data={data}", *([] if metadata is None else [f"metadata={metadata}"])))
    names = {"data": sorted(path.stem for path in (CONFIGS / "data").glob("*.yaml") if path.stem not in APART)}
    names["metadata"] = sorted(path.stem for path in (CONFIGS / "metadata").glob("*.yaml"))
    every = _composed(*(f"+{group}@every_{group}.{name}={name}" for group in names for name in names[group]))
    return OmegaConf.create({"data": every.every_data[data], "metadata": every.every_metadata[metadata or "release"]})


@pytest.fixture
def load(prepared: Callable[..., Prepared]) -> Callable[..., Prepared]:
    """Load a data set by settings of `train.py`."""

    def load(*settings: str) -> Prepared:
        values = dict(setting.split("=", 1) for setting in settings)
        cfg = _config(values.pop("data"), values.pop("metadata", None))
        for key, value in values.items():
            OmegaConf.update(cfg, key, yaml.safe_load(value))
        return prepared(instantiate(cfg.data), instantiate(cfg.metadata))

    return load
