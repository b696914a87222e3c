"""`docs/reference/configuration.md`, from the settings classes, embedded mode and the compose file."""

import re
from pathlib import Path
from typing import Any

from nimbus_embedded.settings import layout, service_environment
from nimbus_gateway.settings import Settings
from nimbus_registry.settings import RegistrySettings
from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from generator.markdown import NOTE, code, table

_INTRO = """# Configuration

Everything is set by environment variables. Lists are comma-separated. A value that cannot be used is named at the
start, and the service ends.

- [Compose](#compose): what to put into `.env` beside `docker-compose.yml`
- [Embedded](#embedded): `make run` and `nimbus-embedded`
- [Gateway](#gateway) and [Registry](#registry): every setting of the two services
"""

_COMPOSE = {
    "POSTGRES_IMAGE": "Image of the database.",
    "NIMBUS_POSTGRES_PASSWORD": "Password of Postgres' own superuser. Read when the volume is made.",
    "NIMBUS_GATEWAY_DB_PASSWORD": "The gateway's database user. Letters and digits only, for a URL. Read as above.",
    "NIMBUS_REGISTRY_DB_PASSWORD": "The same for the registry.",
    "PYTHON_IMAGE": "Image that gateway, registry and plugin base are built from.",
    "NODE_IMAGE": "Image that builds the dashboard.",
    "NIMBUS_PLUGIN_BASE_IMAGE": "Name of the image that first-party plugins start from.",
    "NIMBUS_REGISTRY_IMAGE": "Name of the registry's image.",
    "NIMBUS_GATEWAY_IMAGE": "Name of the gateway's image.",
    "NIMBUS_INSTANCE": "Name of the instance: labels and names of everything that it makes in the engine.",
    "NIMBUS_PLUGIN_NETWORK_POOL": "Subnets of plugin networks come from here.",
    "DOCKER_SOCKET": "The engine's socket on the host.",
    "NIMBUS_PLUGINS_DIR": "Folder of plugin folders on the host, mounted read-only.",
    "NIMBUS_WORKERS": "Gateway workers; `auto` is one a core.",
    "NIMBUS_PORT": "Published port, with an address in front if wanted: `127.0.0.1:8080`.",
}
_DEFAULT = re.compile(r"\$\{([A-Z_]+):-((?:[^{}]|\$\{[^{}]*\})*)\}")
_PASSED_ON = re.compile(r"^ {6}(NIMBUS_[A-Z_]+):$", re.MULTILINE)


def page(root: Path) -> str:
    """The page."""
    lines = [NOTE, "", *_INTRO.splitlines(), ""]
    lines += ["## Compose", "", *_compose((root / "docker-compose.yml").read_text(encoding="utf-8")), ""]
    lines += ["## Embedded", "", *_embedded(), ""]
    lines += ["## Gateway", "", *_service(Settings), "", *_image(root / "gateway" / "Dockerfile"), ""]
    lines += ["## Registry", "", *_service(RegistrySettings), "", *_image(root / "registry" / "Dockerfile"), ""]
    return "\n".join(lines).rstrip() + "\n"


def _compose(text: str) -> list[str]:
    defaults = dict(_DEFAULT.findall(text))
    if defaults.keys() != _COMPOSE.keys():
        differ = ", ".join(sorted(defaults.keys() ^ _COMPOSE.keys()))
        raise ValueError(f"docs/generator/configuration.py and docker-compose.yml differ: {differ}")
    defaults["NIMBUS_INSTANCE"] = "the project's name"
    rows = [(code(name), _plain(defaults[name]), words) for name, words in _COMPOSE.items()]
    passed = dict.fromkeys(_PASSED_ON.findall(text))
    return [
        "Put into a file `.env` beside `docker-compose.yml`, or into the environment of `docker compose`.",
        "",
        *table(("variable", "default", "meaning"), rows),
        "",
        "Passed on to the services when set, with the meaning given below: "
        + ", ".join(code(name) for name in passed)
        + ".",
    ]


def _plain(value: str) -> str:
    return value if " " in value else code(value)


def _embedded() -> list[str]:
    root = Path("/checkout")
    where = layout({}, root)
    ports = {"core": 8081, "management": 8082, "registry": 8083}
    usual = service_environment({}, where, ports)
    probe = dict.fromkeys(usual, "set by the caller")
    fixed = {name for name, value in service_environment(probe, where, ports).items() if value == usual[name]}
    words = {
        "NIMBUS_PLUGINS_DIR": "`PLUGINS_DIR` is an older name.",
        "NIMBUS_CORE_PORT": "Another free port is taken, and kept, when it is in use and not set.",
        "NIMBUS_MANAGEMENT_PORT": "As above.",
        "NIMBUS_REGISTRY_PORT": "As above.",
        "NIMBUS_GENERATE_ADMIN": "The first administrator's password is generated and shown once.",
    }
    yours = {"NIMBUS_DATA_DIR", "NIMBUS_PLUGINS_DIR", "NIMBUS_CORE_PORT", "NIMBUS_MANAGEMENT_PORT"}
    yours |= {"NIMBUS_REGISTRY_PORT"} | (usual.keys() - fixed)
    rows = [
        (code(name), code(value.replace("/checkout", "<checkout>")), words.get(name, ""))
        for name, value in usual.items()
        if name in yours
    ]
    names = [code(name) for name in usual if name not in yours and name.startswith("NIMBUS_")]
    return [
        "`nimbus-embedded` starts gateway and registry with what is below, where it is not set already. Every other",
        "setting of the two is passed on.",
        "",
        *table(("variable", "default", "note"), rows),
        "",
        f"These follow from the others and cannot be set: {', '.join(names)}.",
    ]


def _service(settings: type[BaseSettings]) -> list[str]:
    prefix = settings.model_config.get("env_prefix", "")
    rows = [
        (_names(prefix, name, field), _default(field), field.description or "")
        for name, field in settings.model_fields.items()
    ]
    return table(("variable", "default", "meaning"), rows)


def _image(dockerfile: Path) -> list[str]:
    text = dockerfile.read_text(encoding="utf-8")
    instructions = re.sub(r"\\\n", " ", text).splitlines()
    found = [
        word
        for line in instructions
        if line.startswith("ENV ")
        for word in line.split()
        if word.startswith("NIMBUS_")
    ]
    return [f"The image sets {', '.join(code(word) for word in found)}."]


def _names(prefix: str, name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        first, *others = (str(choice) for choice in alias.choices)
        return code(first) + "".join(f", older {code(other)}" for other in others)
    return code((prefix + name).upper())


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or value in ([], {}, ()):
        return ""
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, tuple):
        return code(",".join(value))
    return code(str(value))
