"""The package's interface to Hydra: composes configs, checks overrides, and instantiates what the configs describe.

Configs hold only chosen values; defaults are in constructors. `model.weight_decay=0.1` is therefore a valid override if
the model's constructor takes `weight_decay`, whether or not the config lists it. A name that is neither in the config
nor a constructor argument is an error, which is raised before anything runs and suggests similar names.

`config.splits`, `config.measurements` and `config.studies` are not imported here, since they depend on other parts of
the package: import these modules directly.
"""

from recsys.config.composition import compose, resolve
from recsys.config.entry import main
from recsys.config.labels import register_labels
from recsys.config.nodes import instantiate
from recsys.config.overrides import complete
from recsys.config.rules import register_rules
from recsys.config.sentences import one_sentence

__all__ = ["complete", "compose", "instantiate", "main", "one_sentence", "resolve"]

register_labels()
register_rules()
