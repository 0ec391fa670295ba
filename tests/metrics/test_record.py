"""Usage: what is read of an upstream's figures."""

import pytest

from proxy.record import Usage

USAGES = [
    ({"prompt_tokens": 12, "completion_tokens": 30, "total_tokens": 42}, Usage(12, 30)),
    (
        {
            "prompt_tokens": 12,
            "completion_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
        Usage(12, 30, 8, 2, 20),
    ),
    # Responses, and Realtime with its singular names
    (
        {
            "input_tokens": 5,
            "output_tokens": 6,
            "input_tokens_details": {"cached_tokens": 1},
            "output_tokens_details": {"reasoning_tokens": 3},
        },
        Usage(5, 6, 1, 0, 3),
    ),
    ({"input_tokens": 5, "output_tokens": 6, "input_token_details": {"cached_tokens": 4}, "output_token_details": {}}, Usage(5, 6, 4)),
    # Embeddings
    ({"prompt_tokens": 7, "total_tokens": 7}, Usage(7)),
    # Anything else counts nothing
    ({}, Usage()),
    ({"prompt_tokens": None, "completion_tokens": "3", "prompt_tokens_details": [], "completion_tokens_details": None}, Usage()),
    ({"prompt_tokens": -1, "completion_tokens": True, "prompt_tokens_details": {"cached_tokens": 1.5}}, Usage()),
    ({"prompt_tokens": 10**30, "completion_tokens": 2}, Usage(0, 2)),
    ([1], Usage()),
    ("many", Usage()),
]


@pytest.mark.parametrize(("given", "usage"), USAGES, ids=range(len(USAGES)))
def test_read(given, usage):
    assert Usage.read(given) == usage


def test_add():
    assert Usage(1, 2, 3, 4, 5) + Usage(10, 20, 30, 40, 50) == Usage(11, 22, 33, 44, 55)
