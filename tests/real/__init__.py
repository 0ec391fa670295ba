"""Real clients before the running server: SDKs, frameworks and command-line tools, each as its users have it.

`samewire` runs as a process of its own before a pretended vendor, which understands what it is asked and does what the prompt says
(`vendor.py`). A client's scenario file is a program of its own (`python/`, `node/`, `tools/`): it is told an address, a key and the models
by the environment and prints a line of JSON for each thing it tried. `clients.yaml` says how each is installed and started;
`python -m tests.real` does that, and writes `results.json`, from which `python -m tests.docs` makes the tables of docs/clients/README.md.
"""
