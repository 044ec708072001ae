"""Arguments as people write them, made ready for the parser."""

from pathlib import Path

from jsonargparse import ArgumentError

import datamodules

SUBCOMMANDS = ("test", "predict")
_DEMO = "configs/demo.yaml"
_DEFAULT_CONFIG = "configs/paper_336.yaml"
_DEFAULT_CONFIGS = {"Folder": "configs/whole.yaml", "Photos": "configs/photos.yaml"}
DATA = [name for name in datamodules.__all__ if name not in ("DataError", "Geometry", "SegmentationDataModule")]
NO_DATA = f"no data: give --data with one of {', '.join(DATA)}, or --config {_DEMO}"


def with_defaults(arguments: list[str]) -> list[str]:
    """Adds the default configuration where none is given, and brings options into the order that the parser needs.

    Configurations come first, then the data set's class, then its options: so users may write them in any order.
    """
    if not arguments or arguments[0] not in SUBCOMMANDS or {"-h", "--help"} & set(arguments):
        return arguments
    if not any(argument.startswith(("--config", "-c", "--data", "--model")) for argument in arguments):
        return [arguments[0], "--config", _shipped(_DEMO), *arguments[1:]]
    configs, data, others = [], [], []
    rest = iter(arguments[1:])
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option in ("--config", "-c"):
            configs += ["--config", _shipped(value if equals else next(rest, ""))]
        elif option == "--data":
            data += ["--data", value if equals else next(rest, "")]
        else:
            others.append(argument)
    if not configs:
        if not data:
            raise ArgumentError(None, NO_DATA)
        configs = ["--config", _shipped(_DEFAULT_CONFIGS.get(data[-1].rpartition(".")[2], _DEFAULT_CONFIG))]
    return [arguments[0], *configs, *data, *others]


def _shipped(path: str) -> str:
    """A path `configs/NAME.yaml` as it lies beside the package, where the working folder has none."""
    if path.startswith("configs/") and not Path(path).exists():
        for place in (Path(__file__).parents[2], Path(__file__).parents[1]):
            if (place / path).is_file():
                return str(place / path)
    return path
