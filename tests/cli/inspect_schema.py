"""The JSON of inspect against the schema in docs/inspect.md: called by inspect_run.sh.

usage: inspect_schema.py docs/inspect.md FINDINGS.json...

Where the module jsonschema is there, it is asked first. What is written here knows the part of JSON Schema
that the page uses, and no other; what the page does not name is an
error, too, so that the schema has all that is written."""
import json
import re
import sys

try:
    import jsonschema
except ImportError:
    jsonschema = None

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
         "boolean": bool, "null": type(None)}
KNOWN = {"$schema", "$ref", "$defs", "type", "required", "properties", "items", "enum"}


def is_type(value, name):
    if isinstance(value, bool) and name != "boolean":
        return False
    return isinstance(value, TYPES[name])


def flatten(schema, root):
    """With what $ref points to, whose demands hold beside the schema's own."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" not in schema:
        return schema
    base = flatten(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    whole = {**base, **schema}
    whole["required"] = base.get("required", []) + schema.get("required", [])
    whole["properties"] = {**base.get("properties", {}), **schema.get("properties", {})}
    return whole


def check(value, schema, root, where, seen):
    schema = flatten(schema, root)
    seen.add(re.sub(r"\[\d+\]", "[]", where))
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(is_type(value, name) for name in names):
        sys.exit(f"{where}: {value!r} is not of type {names}")
    if "enum" in schema and value not in schema["enum"]:
        sys.exit(f"{where}: {value!r} is none of {schema['enum']}")
    if isinstance(value, dict):
        # A finding that was not made has only its reason.
        absent = set(schema.get("required", [])) - set(value)
        if absent:
            sys.exit(f"{where}: without {sorted(absent)}")
        if value.get("done") is False and not value.get("reason"):
            sys.exit(f"{where}: not done, for no reason")
        properties = schema.get("properties", {})
        unknown = set(value) - set(properties) - set(schema.get("required", []))
        if unknown:
            sys.exit(f"{where}: the schema does not name {sorted(unknown)}")
        for key, item in value.items():
            check(item, properties.get(key, {}), root, f"{where}.{key}", seen)
    elif isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            check(item, schema["items"], root, f"{where}[{i}]", seen)


def main(page, *files):
    schema = json.loads(re.search(r"```json\n(.*?)```", open(page).read(), re.S).group(1))
    seen = set()
    if jsonschema:
        jsonschema.Draft202012Validator.check_schema(schema)
    for name in files:
        with open(name, encoding="utf-8", errors="surrogateescape") as file:
            found = json.load(file)
            if jsonschema:
                jsonschema.Draft202012Validator(schema).validate(found)
            check(found, schema, schema, name.rpartition("/")[2].partition(".")[0], seen)
    findings = {place.partition(".")[2] for place in seen}
    missing = [key for key in schema["properties"] if key not in findings]
    if missing:
        sys.exit(f"no file has {missing}: nothing was checked there")


main(*sys.argv[1:])
