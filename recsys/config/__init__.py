"""The package's interface to Hydra: composes configs, checks overrides, and instantiates the objects that they name.

Configs hold chosen values only; defaults live in constructors. So `model.weight_decay=0.1` is a valid override where
the model's constructor takes a `weight_decay`, whether its config lists one or not, and a name that neither knows is an
error that suggests the nearest ones, before anything runs.

`config.splits`, `config.measurements` and `config.studies` depend on other parts of the package: import them as
modules.
"""

from recsys.config.composition import compose, resolve
from recsys.config.entry import INTERRUPTED, main
from recsys.config.labels import register_labels
from recsys.config.nodes import instantiate
from recsys.config.overrides import complete
from recsys.config.rules import register_rules
from recsys.config.sentences import one_sentence

__all__ = ["INTERRUPTED", "complete", "compose", "instantiate", "main", "one_sentence", "resolve"]

register_labels()
register_rules()
