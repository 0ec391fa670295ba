"""The model's name in a stream that passes through."""

import pytest

from proxy.exchange.lanes import ModelName


@pytest.mark.parametrize(
    "events",
    [
        (b'{"id":1}', b'{"model":"up","x":1}', b'{"x":1,"model":"up"}{"model":"up"}', b'{"model": "up"}'),
        (b'{"model": "up"}', b'{"model":"up"}'),
        (b'{"model" : "up"}', b'{"model":"up"}'),
    ],
)
def test_one_name_throughout_however_it_is_spelt(events):
    name = ModelName(b'"shown"')
    for event in events:
        assert name.apply(event) == event.replace(b'"model" : "up"', b'"model":"up"').replace(b'"model": "up"', b'"model":"up"').replace(
            b'"up"', b'"shown"'
        )


def test_a_name_in_a_text_stays():
    name = ModelName(b'"shown"')
    text = b'{"model":"up","content":"say \\"model\\":\\"up\\""}'
    assert name.apply(text) == text.replace(b'{"model":"up"', b'{"model":"shown"')
