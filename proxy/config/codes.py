"""The codes of everything that can be wrong with a configuration, besides those of the mapping language (`proxy.mapping.faults`).

A code never changes its meaning and is never used again for another. Each has an example under `tests/config/faults/`.
"""

from __future__ import annotations

CODES = {
    "yaml-syntax": "the file is not YAML",
    "yaml-size": "the file is too large to be a configuration",
    "yaml-depth": "lists and maps are nested too deeply, or an alias contains itself",
    "yaml-aliases": "aliases make far more of the file than stands in it",
    "yaml-tag": "a !tag, which could stand for anything",
    "yaml-number": "a number that JSON does not have",
    "yaml-key": "a key that is a list or a map",
    "yaml-duplicate-key": "a key that the same map has already",
    "yaml-merge": "a merge key (<<) that names no map",
    "variable-syntax": "a ${…} that is none of the known forms",
    "variable-unset": "an environment variable that is not set and has no default",
    "variable-required": "an environment variable that the file says must be set",
    "variable-file": "a file named in ${file:…} that cannot be read",
    "variable-verbatim": "a ${…} in mapping text, where it stays as it is (warning)",
    "unknown-key": "a key that nothing reads",
    "missing-key": "something that must be there and is not",
    "wrong-type": "a value of another kind than this place takes",
    "wrong-value": "a value that this place does not take",
    "bad-name": "a name with characters that names do not have",
    "bad-url": "the URL of a provider, or of a proxy on the way to it, that cannot be used",
    "bad-address": "an IP address, network or port that is none",
    "missing-file": "a file that is named and not there, or cannot be read",
    "no-certificate": "a file that should hold a certificate or its key, and does not",
    "conflict": "two keys that exclude each other",
    "unknown-dialect": "a dialect that is neither Samewire's nor under `dialects`",
    "unknown-provider": "a target whose provider is not under `providers`",
    "unknown-operation": "an operation that the dialect does not have",
    "unknown-demo": "a demo server that there is none of",
    "dialect-name": "a dialect file that calls itself something else than the configuration does",
    "dialect-cycle": "a dialect that extends itself, by way of others or not",
    "wrong-place": "a repair of something that the dialect writes anew",
    "unmatched-star": "a target with more * than the route's model",
    "shadowed-route": "a route that is never reached: an earlier one takes all its requests",
    "plain-http": "a public host without encryption (warning)",
    "open-server": "a server that other machines can reach, without client keys (warning)",
    "open-admin": "an admin address that other machines can reach, without keys",
    "secret-in-url": "a secret in the query of a base URL (warning)",
    "inline-secret": "a secret in the file itself (warning)",
}
