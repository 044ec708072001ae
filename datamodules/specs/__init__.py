"""The data sets: a file of this folder each family. Whatever `DatasetSpec` such a file names is found here.

A file whose data sets have names that Python does not allow lists them as `SPECS`.

`--data`, `Benchmark`, the doctor, the preparations and the documents read `DATASETS`. A data set from outside the
package enters by a subclass of `datamodules.SpecDataModule`, or by `register`.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import MappingProxyType, ModuleType

from datamodules.errors import DataError
from datamodules.spec import DatasetSpec
from datamodules.specs import mess

# Lists that `--data.settings` knows by name: CLIPtrase's tables, the eight data sets of SCLIP and its followers, MESS.
BENCHMARKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "paper": ("COCO171", "VOC20", "PC59", "PC459", "ADE150", "ADEfull", "COCO80", "VOC21", "PC60"),
        "sclip": ("VOC21", "PC60", "COCOObject", "VOC20", "PC59", "COCO171", "Cityscapes", "ADE150"),
        "mess": tuple(spec.name for spec in mess.SPECS),
    }
)

_registry: dict[str, DatasetSpec] = {}
DATASETS: Mapping[str, DatasetSpec] = MappingProxyType(_registry)


def register(spec: DatasetSpec) -> None:
    """Makes a data set known by its name, as those of this folder are.

    Raises:
        DataError: another data set has the name.
    """
    if _registry.setdefault(spec.name, spec) != spec:
        raise DataError(f"the name {spec.name!r} is another data set's; give the spec a name of its own")


def _modules() -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(__path__):
        yield importlib.import_module(f"{__name__}.{module.name}")


def _discover() -> None:
    """Registers the specs of this folder's files: the paper's tables first and in their order, MESS last."""
    named = [(*vars(module).values(), *getattr(module, "SPECS", ())) for module in _modules()]
    specs = [spec for values in named for spec in values if isinstance(spec, DatasetSpec)]
    order = {name: place for place, name in enumerate(BENCHMARKS["paper"])}
    for spec in sorted(specs, key=lambda spec: (spec.benchmark is not None, order.get(spec.name, len(order)))):
        register(spec)


_discover()
