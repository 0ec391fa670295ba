"""The compiled rules against a second reading of the language: any template over any document, whole and in typed streams."""

import msgspec
from compiling import dialect, evaluate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meaning import ABSENT, DEFS, DOCUMENTS, flat, objects, singular_paths, templates

from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.context import Context

TABLES = {"words": {"x": "ex", "y": "why", "1": "one"}}
SEVERAL = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
VARIABLES = ("v", "w")


@st.composite
def defs_of_content(draw):
    """A def that goes through the parts of message content."""
    body, meaning = draw(templates_without_defs(1))

    def build(item, document, known):
        pieces = [{"type": "text", "text": item}] if isinstance(item, str) else item if isinstance(item, list) else [item]
        return [made for piece in pieces if piece is not None for made in flat(meaning(piece, document, known))] or ABSENT

    return {"$each": ". | parts", "$do": body}, build


@st.composite
def programs(draw):
    """(defs, variables, template) and what they mean of a document."""
    plain = {name: draw(objects((), templates_without_defs(1)) | defs_of_content()) for name in DEFS}
    variables = {name: draw(templates_without_defs(2)) for name in VARIABLES}
    spec, meaning = draw(templates(VARIABLES))

    def of(document):
        known = {"$defs": {name: build for name, (_, build) in plain.items()}}
        known |= {name: build(document, document, known) for name, (_, build) in variables.items()}
        return meaning(document, document, known)

    return {name: piece for name, (piece, _) in plain.items()}, {name: piece for name, (piece, _) in variables.items()}, spec, of


def templates_without_defs(depth):
    return templates((), depth).filter(lambda pair: "$use" not in str(pair[0]))


@SEVERAL
@given(program=programs(), document=DOCUMENTS)
def test_a_template_does_what_it_means(program, document):
    defs, variables, spec, meaning = program
    expected = meaning(document)
    found = evaluate(spec, document, {"defs": defs, "tables": TABLES}, variables)
    assert msgspec.json.encode(found) == msgspec.json.encode(None if expected is ABSENT else expected)


@SEVERAL
@given(program=programs(), document=DOCUMENTS)
def test_a_request_is_what_its_template_means(program, document):
    """What is known of a request's lists, and the functions that are made of defs, change nothing."""
    defs, variables, spec, meaning = program
    expected = meaning(document)
    mapping = dialect(request={"vars": variables, "body": {"made": spec}}, defs=defs, tables=TABLES).operations["chat"].request
    found, _ = mapping(document, Context(model="m"))
    assert msgspec.json.encode(found) == msgspec.json.encode({} if expected is ABSENT else {"made": expected})


@st.composite
def events(draw):
    """The rules of a stream, without state."""
    plain = {name: draw(objects((), templates_without_defs(1)))[0] for name in DEFS}
    rules = []
    for _ in range(draw(st.integers(1, 2))):
        rule = {"emit": {"delta": {"content": draw(templates_without_defs(2))[0]}}, "finish": draw(singular_paths(()))[0] + " | string"}
        rule |= {"when": draw(singular_paths(()))[0]} if draw(st.booleans()) else {}
        rule |= {"each": draw(singular_paths(()))[0]} if draw(st.booleans()) else {}
        rules.append(rule | {"usage": {"$use": draw(st.sampled_from(DEFS)), "$of": draw(singular_paths(()))[0]}})
    return dialect(stream={"events": {"*": rules}}, defs=plain, tables=TABLES).operations["chat"].stream


def run(mapping, documents, typed):
    stream = mapping.open(Context(model="m"), ChunkWriter("m", 1))
    stream.writer.id = "same"
    if not typed:
        stream.decoder = None
    for document in documents:
        stream.event("", msgspec.json.encode(document))
    return stream.writer.take(), stream.usage, stream.writer.finished


@SEVERAL
@given(mapping=events(), documents=st.lists(DOCUMENTS, max_size=4))
def test_typed_events_are_read_as_plain_ones(mapping, documents):
    assert run(mapping, documents, typed=True) == run(mapping, documents, typed=False)
