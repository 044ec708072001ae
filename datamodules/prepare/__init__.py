"""From what the publishers' archives unpack to, into the detectron2 folders that the settings read.

`python -m datamodules.prepare NAME --source DIR --root DIR`; raw-id maps lie in `ids/` and in the data sets' modules.
Files are written aside and renamed, so that an interrupted run leaves none half written and is continued by the same
command.
"""
