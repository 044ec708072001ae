"""Global patches of one picture: numbers and a figure."""
