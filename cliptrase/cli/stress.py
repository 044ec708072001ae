"""What `--stress` asks for, with the lists that come with cliptrase."""

from cliptrase.studies.names import NamingStress
from datamodules.spec import shipped_names, shipped_synonyms


def naming_stress() -> NamingStress:
    """The study of names. Our synonyms come before ADE20K's names that have some."""
    synonyms = [*shipped_synonyms("synonyms"), *(group for group in shipped_synonyms("ade847") if len(group) > 1)]
    things = shipped_names("coco_stuff171")[:80]  # "wall-brick" and the like are parts of what others name
    others = dict.fromkeys((*shipped_names("ade847"), *shipped_names("context459"), *things))
    return NamingStress(synonyms, tuple(others))
