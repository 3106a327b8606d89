"""Validates JSON texts against the schemas of json_schemas.json with PyPI's
jsonschema. The input has a line a text: the index of the schema, a tab, the
text as a JSON string. Prints each text that is no JSON or not valid.

Usage: check_json_schemas.py json_schemas.json TEXTS
       check_json_schemas.py json_schemas.json     (the texts of the file itself)
"""
import json
import sys

import jsonschema


def validator(case):
    kind = {4: jsonschema.Draft4Validator, 7: jsonschema.Draft7Validator}.get(
        case.get("draft"), jsonschema.Draft202012Validator)
    kind.check_schema(case["schema"])
    return kind(case["schema"], format_checker=kind.FORMAT_CHECKER)


cases = json.load(open(sys.argv[1], encoding="utf-8"))
validators = [validator(case) for case in cases]
if len(sys.argv) > 2:
    lines = open(sys.argv[2], encoding="utf-8").read().split("\n")
    texts = [line.split("\t", 1) for line in lines if line]
    texts = [(int(index), json.loads(text)) for index, text in texts]
else:
    texts = [(i, text) for i, case in enumerate(cases) for text in case["valid"]]
failed = 0
for index, text in texts:
    try:
        errors = [error.message for error in
                  validators[index].iter_errors(json.loads(text))]
    except ValueError as error:
        errors = [str(error)]
    if errors:
        failed += 1
        print(f"{cases[index]['name']}: {text!r}: {errors[0]}")
print(f"{len(texts)} texts, {failed} not valid")
sys.exit(failed > 0)
