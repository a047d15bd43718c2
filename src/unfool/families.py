"""The package's own methods, found the way a plugin's are: importing this module brings every Spec in."""

import importlib
import pkgutil

FAMILIES = ("attacks", "attributions", "data", "defences", "measures", "runs", "synthesis", "training")
LANGUAGE = ("aims", "framing", "objectives", "regions", "slopes", "targets", "transforms", "views")

for name in LANGUAGE:
    importlib.import_module(f"unfool.{name}")
for family in FAMILIES:
    for module in pkgutil.iter_modules(importlib.import_module(f"unfool.{family}").__path__):
        importlib.import_module(f"unfool.{family}.{module.name}")
