"""Checks that refuse passwords in commands and configs, since runs store both."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from recsys.data.address import SECRET
from recsys.dotted import flatten
from recsys.errors import UserError

PASSWORD = re.compile(r"://[^/\s]*:\S*@|jdbc:\S*@|(^|[?&;='\"\s])\w*pass\w*=", re.IGNORECASE)  # in an address
SECRET_OPTION = re.compile(rf"^\+*engine\.options\S*({SECRET.pattern})\S*=", re.IGNORECASE)


def refuse_passwords(texts: Iterable[str]) -> None:
    """Check that texts contain no password, before Hydra writes them into a run directory.

    Raises:
        UserError: a text contains a password.
    """
    if any(PASSWORD.search(text) or SECRET_OPTION.search(text) for text in texts):
        raise UserError(
            "The command or a config contains a password, which a run would store: put the address into an environment "
            "variable and give its name, with data.address_env=NAME (or '${oc.env:NAME}' where no data are read). "
            "Spark reads its own from spark-defaults.conf."
        )


def refuse_passwords_in(config: Mapping[str, Any]) -> None:
    """Check that the values of a nested config contain no password; see `refuse_passwords`.

    Raises:
        UserError: a value contains a password.
    """
    refuse_passwords(f"{name}={value}" for name, value in flatten(config).items())


def refuse_passwords_of_job(cfg: DictConfig) -> None:
    """Check that the config of a running Hydra job contains no password.

    If it contains one, the copies of the config that Hydra has written are removed.

    Raises:
        UserError: the config contains a password.
    """
    try:
        refuse_passwords_in(cast(dict, OmegaConf.to_container(cfg)))
    except UserError:
        shutil.rmtree(Path(HydraConfig.get().runtime.output_dir) / ".hydra", ignore_errors=True)
        raise
