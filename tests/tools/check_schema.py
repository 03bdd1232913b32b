"""check_schema.py SCHEMA FILE...: whether JSON files are as a JSON Schema says.

Knows the words that docs/schema uses and refuses others, so that none is passed over; where
python3-jsonschema is there, that is asked, too.
"""

import json
import re
import sys

TYPES = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool,
         "null": type(None)}
IGNORED = {"$schema", "title", "description", "$defs"}


def has_type(value, name):
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def check(value, schema, root, where):
    """What is wrong, as a list of sentences."""
    wrong = []
    for word, said in schema.items():
        if word in IGNORED:
            continue
        if word == "type":
            names = said if isinstance(said, list) else [said]
            if not any(has_type(value, name) for name in names):
                wrong.append(f"{where}: expected {said}, found {value!r:.60}")
        elif word == "const":
            wrong += [] if value == said else [f"{where}: expected {said}, found {value!r}"]
        elif word == "enum":
            wrong += [] if value in said else [f"{where}: expected one of {said}, found {value!r}"]
        elif word == "minimum":
            wrong += [f"{where}: {value} is less than {said}"] if has_type(value, "number") and value < said else []
        elif word == "pattern":
            wrong += [] if re.search(said, str(value)) else [f"{where}: {value!r} is not as {said}"]
        elif word == "required":
            wrong += [f"{where}: '{key}' is missing" for key in said if isinstance(value, dict) and key not in value]
        elif word == "properties":
            for key, inner in said.items():
                if isinstance(value, dict) and key in value:
                    wrong += check(value[key], inner, root, f"{where}.{key}")
        elif word == "additionalProperties":
            for key in value if isinstance(value, dict) else []:
                if key not in schema.get("properties", {}):
                    wrong += check(value[key], said, root, f"{where}.{key}")
        elif word in ("minItems", "maxItems"):
            few = isinstance(value, list) and (len(value) < said if word == "minItems" else len(value) > said)
            wrong += [f"{where}: {len(value)} items"] if few else []
        elif word == "items":
            for index, item in enumerate(value if isinstance(value, list) else []):
                wrong += check(item, said, root, f"{where}[{index}]")
        elif word == "$ref":
            wrong += check(value, root["$defs"][said.rsplit("/", 1)[1]], root, where)
        elif word == "anyOf":
            tried = [check(value, inner, root, where) for inner in said]
            wrong += min(tried, key=len) if all(tried) else []
        elif word == "oneOf":
            tried = [check(value, inner, root, where) for inner in said]
            fitting = sum(not found for found in tried)
            wrong += [f"{where}: is {fitting} of those that it may be one of"] if fitting > 1 else []
            wrong += min(tried, key=len) if fitting == 0 else []
        else:
            sys.exit(f"the schema says '{word}', which is not known here")
    return wrong


def main():
    schema = json.load(open(sys.argv[1]))
    for path in sys.argv[2:]:
        value = json.load(open(path))
        wrong = check(value, schema, schema, path)
        try:
            import jsonschema
            jsonschema.validate(value, schema)
        except ImportError:
            pass
        if wrong:
            sys.exit("\n".join(wrong[:20]))


main()
