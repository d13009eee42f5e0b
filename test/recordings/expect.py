"""
Writes what Python's own client makes of the recorded replies:

  koji-expected.json        of each recording in koji/, its value or its fault
  koji-large-expected.json  of each reply in koji-large/, which are too long to spell out: how many rows,
                            the first and the last one, and a digest of all

What a fault means for the caller, Python cannot know. That is written by hand, and kept: `kind` is the HubError's
kind where the call is asked without a session (of a multiCall, one for each of its calls), and `kindOfWrite` where
it goes through one: all writes, and what needs a user.
"""
import gzip
import hashlib
import json
from pathlib import Path
from xmlrpc.client import Fault, loads

HERE = Path(__file__).parent


def canonical(value):
    """
    The value as a JSON text that is the same in every language: no blanks, members sorted by name, characters
    beyond ASCII as they are, in UTF-8. Names of members are ASCII, for sorting; numbers are integers, since
    languages write floats in different ways; and what JSON does not have is refused.
    """
    check(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(',', ':'))


def check(value):
    if isinstance(value, dict):
        assert all(name.isascii() for name in value), 'a name that is not ASCII'
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            check(item)
    else:
        assert value is None or isinstance(value, (bool, int, str)), f'no canonical text for {value!r}'


def outcome(recording, known):
    try:
        (value,), _ = loads(recording['response'])
        said = {'value': value}
    except Fault as fault:
        said = {'fault': {'code': fault.faultCode, 'text': fault.faultString}}
    return said | {name: known[name] for name in ('kind', 'kindOfWrite') if name in known}


def witness(path):
    (value,), _ = loads(gzip.decompress(path.read_bytes()))
    # getRPMHeaders answers with columns, getRPMDeps with rows.
    rows = value if isinstance(value, list) else [dict(zip(value, row)) for row in zip(*value.values())]
    return {
        'rows': len(rows),
        'first': rows[0],
        'last': rows[-1],
        'sha256': hashlib.sha256(canonical(value).encode()).hexdigest(),
    }


def read(path):
    return json.loads(path.read_text(encoding='utf-8'))


def write(name, expected):
    text = json.dumps(expected, ensure_ascii=False, indent=1)
    (HERE / name).write_text(text + '\n', encoding='utf-8')


known = read(HERE / 'koji-expected.json')
recordings = sorted((HERE / 'koji').glob('*.json'))
write('koji-expected.json', {path.name: outcome(read(path), known.get(path.name, {})) for path in recordings})
write('koji-large-expected.json', {path.name: witness(path) for path in sorted((HERE / 'koji-large').glob('*.gz'))})
