"""Speed and memory of the method; see README.md in this folder."""
