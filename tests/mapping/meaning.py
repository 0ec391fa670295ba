"""The mapping language a second time: hypothesis draws a template together with its meaning, a plain Python function.

Shares nothing with the compiler, not even the parser: what is drawn is written as text for the one and as closures for the other.
Each strategy gives (specification, meaning); a meaning takes (item, document, names) and answers ABSENT where nothing is found.
"""

from functools import reduce

from hypothesis import strategies as st


class _Absent:
    def __repr__(self):
        return "ABSENT"

    def __bool__(self):
        return False


ABSENT = _Absent()
FIELDS = ("a", "b", "c")
DEFS = ("first", "second")
SCALARS = st.sampled_from([0, 1, 2, -1, 1.5, "", "x", "y", "1", ' {"a":1}', "{", True, False])
DOCUMENTS = st.dictionaries(
    st.sampled_from(FIELDS),
    st.recursive(
        SCALARS | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
        max_leaves=8,
    ),
)


def present(value):
    return ABSENT if value is None else value


def equal(left, right):
    """JSON's equality."""
    if isinstance(left, bool) or isinstance(right, bool) or left is ABSENT or right is ABSENT:
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return left == right


def below(left, right):
    def number(value):
        return isinstance(value, int | float) and not isinstance(value, bool)

    return ((number(left) and number(right)) or (isinstance(left, str) and isinstance(right, str))) and left < right


def plus(left, right):
    if left is ABSENT or right is ABSENT:
        return right if left is ABSENT else left
    kinds = [str if isinstance(side, str) else int if type(side) in (int, float) else None for side in (left, right)]
    return left + right if kinds[0] is kinds[1] and kinds[0] else ABSENT


# -- expressions -----------------------------------------------------------------------------------------------------------


def into(name):
    return lambda value: present(value.get(name)) if isinstance(value, dict) else ABSENT


def at(index):
    return lambda value: present(value[index]) if isinstance(value, list) and -len(value) <= index < len(value) else ABSENT


def children(value):
    return value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []


SINGULAR = st.sampled_from((*FIELDS, "text")).map(lambda name: (f".{name}", into(name))) | st.sampled_from([0, 1, -1]).map(
    lambda index: (f"[{index}]", at(index))
)
TESTS = st.one_of(
    st.just(("*", lambda _: True)),
    st.sampled_from(FIELDS).map(lambda name: (f"?@.{name}", lambda item: isinstance(item, dict) and name in item)),
    st.sampled_from(FIELDS).map(lambda name: (f"?@.{name} == 'x'", lambda item: equal(into(name)(item), "x"))),
    st.sampled_from(FIELDS).map(lambda name: (f"?!@.{name}", lambda item: not (isinstance(item, dict) and name in item))),
)


def _roots(names):
    roots = [("", lambda item, document, known: item), ("$", lambda item, document, known: document)]
    return st.sampled_from(roots + [(f"${name}", lambda item, document, known, name=name: known[name]) for name in names])


@st.composite
def singular_paths(draw, names):
    text, root = draw(_roots(names))
    steps = draw(st.lists(SINGULAR, min_size=0 if text else 1, max_size=2))
    if not text and steps[0][0][0] == "[":
        steps[0] = (f".{FIELDS[0]}", into(FIELDS[0]))
    return text + "".join(piece for piece, _ in steps), lambda *at: reduce(lambda value, step: step[1](value), steps, root(*at))


@st.composite
def list_paths(draw, names):
    text, start = draw(singular_paths(names))
    test, fits = draw(TESTS)
    more = draw(st.lists(SINGULAR, max_size=1))

    def found(*at):
        items = [item for item in children(start(*at)) if fits(item)]
        items = [reduce(lambda value, step: step[1](value), more, present(item)) for item in items]
        return [item for item in items if item is not ABSENT] or ABSENT

    return f"{text}[{test}]" + "".join(piece for piece, _ in more), found


FILTERS = {
    "first": lambda value: (present(value[0]) if value else ABSENT) if isinstance(value, list) else value,
    "last": lambda value: (present(value[-1]) if value else ABSENT) if isinstance(value, list) else value,
    "list": lambda value: value if isinstance(value, list) else [value],
    "string": lambda value: value if isinstance(value, str) else ABSENT,
    "object": lambda value: value if isinstance(value, dict) else ABSENT,
    "nonempty": lambda value: ABSENT if value in ("", [], {}) else value,
    "parts": lambda value: [{"type": "text", "text": value}] if isinstance(value, str) else value if isinstance(value, list) else [value],
    "json | object": lambda value: {"a": 1} if value == ' {"a":1}' else ABSENT,
    "count": lambda value: len(value) if isinstance(value, list | dict | str) else ABSENT,
    "map(words)": lambda value: {"x": "ex", "y": "why", "1": "one", 1: "one"}.get(value, ABSENT) if type(value) in (str, int) else ABSENT,
    "prefix('p')": lambda value: "p" + value if isinstance(value, str) else ABSENT,
}
LITERALS = [("'x'", "x"), ("1", 1), ("true", True), ("false", False), ("''", ""), ("null", ABSENT)]
OPERATORS = {
    "//": lambda left, right, *at: present(left(*at)) if left(*at) is not ABSENT else right(*at),
    "and": lambda left, right, *at: right(*at) if left(*at) else left(*at),
    "or": lambda left, right, *at: left(*at) or right(*at),
    "==": lambda left, right, *at: equal(left(*at), right(*at)),
    "!=": lambda left, right, *at: not equal(left(*at), right(*at)),
    "<": lambda left, right, *at: below(left(*at), right(*at)),
    ">=": lambda left, right, *at: below(right(*at), left(*at)) or equal(left(*at), right(*at)),
    "in": lambda left, right, *at: isinstance(right(*at), list) and any(equal(left(*at), present(item)) for item in right(*at)),
    "+": lambda left, right, *at: plus(left(*at), right(*at)),
}


@st.composite
def operations(draw, inner):
    (left, first), (right, second) = draw(inner), draw(inner)
    operator = draw(st.sampled_from(sorted(OPERATORS)))
    return f"({left} {operator} {right})", lambda *at: OPERATORS[operator](first, second, *at)


@st.composite
def filtered(draw, inner):
    text, meaning = draw(inner)
    name = draw(st.sampled_from(sorted(FILTERS)))
    return f"({text} | {name})", lambda *at: ABSENT if meaning(*at) is ABSENT else FILTERS[name](meaning(*at))


@st.composite
def keys_there(draw):
    first, second = draw(st.sampled_from(FIELDS)), draw(st.sampled_from(FIELDS))

    def there(item, document, names):
        owner = into(first)(item)
        return isinstance(owner, dict) and second in owner

    return f"has(.{first}.{second})", there


def expressions(names):
    leaves = singular_paths(names) | list_paths(names) | keys_there()
    literals = st.sampled_from(LITERALS).map(lambda pair: (f"({pair[0]})", lambda *_: pair[1]))
    inverse = leaves.map(lambda pair: (f"(not {pair[0]})", lambda *at: not pair[1](*at)))
    listed = leaves.map(lambda pair: ("(['x', 1, true] | list)", lambda *_: ["x", 1, True]))
    return st.recursive(leaves | literals | inverse | listed, lambda inner: operations(inner) | filtered(inner), max_leaves=4)


# -- templates -------------------------------------------------------------------------------------------------------------

CONSTANTS = st.sampled_from([1, 0, "k", True, False, ["k"], {"k": 1}, {}]).map(lambda value: (value, lambda *_: value))


def computed(spec):
    """Whether a template has anything to compute."""
    if isinstance(spec, str):
        return spec[:1] in (".", "$", "(") or spec.startswith(("not ", "has("))
    if isinstance(spec, dict):
        return any(key[:1] == "$" or computed(value) for key, value in spec.items())
    return isinstance(spec, list) and any(map(computed, spec))


def flat(value):
    """A result as the items it adds to a list."""
    return [] if value is ABSENT else value if isinstance(value, list) else [value]


@st.composite
def objects(draw, names, inner):
    fields = draw(st.dictionaries(st.sampled_from(("p", "q", "r")), inner, min_size=1, max_size=3))
    needed, needs = draw(singular_paths(names)) if draw(st.booleans()) else ("", None)
    spec = {name: piece for name, (piece, _) in fields.items()}
    if needs:
        spec["n"] = f"{needed} | required"
    if draw(st.booleans()):
        spec["null"] = None

    def build(*at):
        if needs and needs(*at) is ABSENT:
            return ABSENT
        values = {name: meaning(*at) for name, (_, meaning) in fields.items()}
        values |= {"n": needs(*at)} if needs else {}
        made = any(value is not ABSENT and computed(spec[name]) for name, value in values.items())
        if not made and any(map(computed, spec.values())):
            return ABSENT
        return {
            name: None if piece is None else values[name] for name, piece in spec.items() if piece is None or values[name] is not ABSENT
        }

    return spec, build


@st.composite
def lists(draw, inner):
    items = draw(st.lists(inner, min_size=1, max_size=3))

    def build(*at):
        values = [(spec, meaning(*at)) for spec, meaning in items]
        made = any(value is not ABSENT and computed(spec) for spec, value in values)
        if not made and any(computed(spec) for spec, _ in items):
            return ABSENT
        return [value for _, value in values if value is not ABSENT]

    return [spec for spec, _ in items], build


@st.composite
def choices(draw, names, inner):
    asked, question = draw(expressions(names))
    then, first = draw(inner)
    other, second = draw(inner)
    if draw(st.booleans()):
        return {"$if": asked, "$then": then, "$else": other}, lambda *at: first(*at) if question(*at) else second(*at)
    if draw(st.booleans()):
        return {"$if": asked, "$then": then}, lambda *at: first(*at) if question(*at) else ABSENT

    def chosen(*at):
        subject = question(*at)
        fits = any(equal(subject, case) for case in ("x", "1", 1, "true", True))
        last = subject is ABSENT or equal(subject, "1.5") or equal(subject, 1.5)
        return first(*at) if fits else second(*at) if last else ABSENT

    return {"$match": asked, "x|1|true": then, "null|1.5": other}, chosen


def parts_of(pair):
    """Message content, part by part."""
    return f"{pair[0]} | parts", lambda *at: ABSENT if pair[1](*at) is ABSENT else FILTERS["parts"](pair[1](*at))


@st.composite
def loops(draw, names, depth):
    source, items = draw(list_paths(names) | singular_paths(names) | singular_paths(names).map(parts_of))
    name = f"i{depth}"
    inside = (*names, name, "pos")
    where, fits = draw(expressions(inside)) if draw(st.booleans()) else ("(true)", lambda *_: True)
    body, meaning = draw(templates(inside, depth - 1))

    def build(item, document, known):
        made = []
        for place, each in enumerate(present(each) for each in flat(items(item, document, known)) if each is not None):
            inner = (each, document, {**known, name: each, "pos": place})
            made += flat(meaning(*inner)) if fits(*inner) else []
        return made or ABSENT

    return {"$each": source, "$as": name, "$where": where, "$do": body}, build


@st.composite
def several(draw, inner):
    pieces = draw(st.lists(inner, min_size=1, max_size=3))
    operator = draw(st.sampled_from(("$first", "$concat", "$merge")))

    def build(*at):
        values = [value for _, meaning in pieces if (value := meaning(*at)) is not ABSENT]
        if operator == "$first":
            return values[0] if values else ABSENT
        if operator == "$concat":
            return [item for value in values for item in flat(value)] or ABSENT
        merged = {}
        for value in values:
            merged |= {key: item for key, item in value.items() if item is not None or key not in merged} if isinstance(value, dict) else {}
        return merged or ABSENT

    return {operator: [spec for spec, _ in pieces]}, build


@st.composite
def uses(draw, names):
    wanted = draw(st.sampled_from(DEFS))
    if draw(st.booleans()):
        return {"$use": wanted}, lambda item, document, known: known["$defs"][wanted](item, document, known)
    source, item_of = draw(expressions(names))

    def build(*at):
        item = item_of(*at)
        return ABSENT if item is ABSENT else at[2]["$defs"][wanted](item, at[1], at[2])

    return {"$use": wanted, "$of": source}, build


def templates(names, depth=3):
    """Templates that may use the variables `names`, and the defs."""
    leaves = expressions(names) | CONSTANTS
    if depth <= 0:
        return leaves
    inner = st.deferred(lambda: templates(names, depth - 1))
    made = [leaves, objects(names, inner), lists(inner), choices(names, inner), loops(names, depth), several(inner)]
    return st.one_of(*made, *([uses(names)] if "$defs" not in names and depth < 9 else []))
