"""Validates an OpenAPI document as a gateway serves it (JSON), and compares it with the published one (YAML).

openapi_checks.py SERVED.json PUBLISHED.yaml
"""

import json
import sys

import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator


def main() -> None:
    served_path, published_path = sys.argv[1:]
    with open(served_path, encoding="utf-8") as file:
        served = json.load(file)
    with open(published_path, encoding="utf-8") as file:
        published = yaml.safe_load(file)
    problems = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in OpenAPIV31SpecValidator(served).iter_errors()]
    assert not problems, "\n".join(problems[:20])
    assert served == published, "docs/openapi.yaml is not what the gateway serves"
    operations = [
        operation for path in served["paths"].values() for method, operation in path.items() if method in ("get", "put", "post", "delete")
    ]
    assert len(operations) > 60, len(operations)
    print(f"{len(operations)} operations: checks passed")


main()
