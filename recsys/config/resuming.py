"""`resume=DIR`: finds the overrides with which a command continues the interrupted run in DIR."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from recsys.config.composition import compose
from recsys.config.overrides import REMOVED
from recsys.dotted import flatten, quoted_value
from recsys.errors import UserError
from recsys.files import reading

# A run can be resumed with other values of these settings, which only affect the samples in each batch.
PROCESSES = ("trainer.devices", "trainer.num_nodes")


def resumed(
    config_name: str, overrides: Sequence[str], searched: Sequence[str] = (), *, trusted: bool = False
) -> list[str]:
    """Return the overrides of a command; for `resume=DIR`, precede them with the overrides that started the run in DIR.

    Args:
        config_name: name of the primary config.
        overrides: overrides of the command.
        searched: overrides of `hydra.searchpath`, which add directories of configs.
        trusted: whether the stored overrides may name any class, whose code is then executed; if False,
            `check_stored_overrides` checks them.

    Raises:
        UserError: the directory holds no interrupted run, the run was started with another config, or the run can only
            be resumed if it is trusted.
    """
    named = [override for override in overrides if override.startswith("resume=")]
    further = [override for override in overrides if override not in named]
    if not named:
        return list(overrides)
    from recsys.studies.foreign import parse_yaml  # imported here, since most commands do not resume a run

    directory = Path(str(OverridesParser.create().parse_override(named[-1]).value()))
    begun = directory / ".hydra"
    _check_interrupted(directory)
    with reading(begun):
        first = [
            o for o in parse_yaml((begun / "overrides.yaml").read_text(encoding="utf-8")) if not o.startswith("resume=")
        ]
        then = flatten(parse_yaml((begun / "config.yaml").read_text(encoding="utf-8")))
    if not trusted:
        from recsys.config.stored import check_stored_overrides  # imports the classes that a config can name

        check_stored_overrides(first)
    now = flatten(cast(dict[str, Any], OmegaConf.to_container(compose(config_name, [*searched, *first, *further]))))
    ignored = {"resume", *PROCESSES, *REMOVED}
    changed = sorted(k for k in then.keys() | now.keys() if k not in ignored and then.get(k) != now.get(k))
    if changed:
        raise UserError(f"{directory} was started with another config ({', '.join(changed)}): leave out what differs.")
    quoted = quoted_value(str(directory))
    return [*first, *further, f"resume={quoted}", f"hydra.run.dir={quoted}"]


def _check_interrupted(directory: Path) -> None:
    from recsys.studies.foreign import check_links
    from recsys.studies.runs import is_finished

    if not directory.is_dir():
        raise UserError(f"resume={directory} does not exist: name the directory of an interrupted run.")
    for name in ("config.yaml", "overrides.yaml"):  # Hydra writes them in this order as a run begins
        if not (directory / ".hydra" / name).is_file():
            raise UserError(
                f"resume= must name a run directory, such as one under outputs/ (got {directory}, which has no "
                f".hydra/{name}): start the run again if it had only begun."
            )
    if is_finished(directory):
        raise UserError(f"{directory} holds a finished run: there is nothing to resume.")
    check_links(directory)
