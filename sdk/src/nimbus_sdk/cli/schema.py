"""The published JSON Schema of the manifest."""

import json

from nimbus_sdk.contracts.manifest import Manifest


def manifest_schema() -> str:
    """JSON Schema (2020-12) of `manifest.json`, as text with a closing newline."""
    schema = Manifest.model_json_schema(by_alias=True)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Nimbus plugin manifest, version 1",
    }
    properties = {"$schema": {"type": "string", "description": "For editors; ignored."}, **schema.pop("properties")}
    schema.pop("title", None)
    return json.dumps({**head, **schema, "properties": properties}, indent=2, ensure_ascii=False) + "\n"
