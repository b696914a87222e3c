"""The compose stack as a test starts it: the real file under a project name of the test's own."""

import os
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.api import Api, wait_until
from tests.support.embedded import PASSWORD, free_port
from tests.support.engine import ROOT, BaseImages


@dataclass
class ComposeStack:
    """A project of ``docker-compose.yml``. Images are shared between projects and built once."""

    docker_host: str
    images: BaseImages
    plugins: Path = ROOT / "plugins"
    project: str = field(default_factory=lambda: f"nimbus-test-{secrets.token_hex(4)}")
    port: int = field(default_factory=free_port)
    password: str = PASSWORD
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def variables(self) -> dict[str, str]:
        """The environment that compose reads."""
        return {
            **os.environ,
            **self.images.variables(),
            "DOCKER_HOST": self.docker_host,
            "DOCKER_SOCKET": self.docker_host.removeprefix("unix://"),
            "COMPOSE_PROJECT_NAME": self.project,
            "NIMBUS_PLUGINS_DIR": str(self.plugins),
            "NIMBUS_PORT": str(self.port),
            "NIMBUS_ADMIN_PASSWORD": self.password,
            "NIMBUS_PLUGIN_NETWORK_POOL": f"10.{100 + secrets.randbelow(100)}.0.0/16",
            **self.environment,
        }

    def compose(self, *arguments: str, timeout: float = 900, given: str | None = None) -> str:
        """Run ``docker compose`` on the project, with `given` as its input; its output."""
        done = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=ROOT,
            env=self._variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            input=given,
        )
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def __post_init__(self) -> None:
        self._variables = self.variables()

    def up(self) -> None:
        """``docker compose up --build``, and wait until the gateway is ready."""
        self.compose("up", "--build", "--detach")
        self.wait_until_ready()

    def wait_until_ready(self, seconds: float = 90) -> None:
        """Wait until ``/readyz`` says that nothing is away, the registry included."""

        def ready() -> bool:
            try:
                answer = httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False)
                return answer.status_code == 200 and answer.json()["status"] == "ok"
            except httpx.TransportError:
                return False

        wait_until(ready, seconds=seconds, what="the gateway to be ready")

    def down(self) -> None:
        """The documented command."""
        done = subprocess.run(
            [str(ROOT / "deploy" / "compose" / "down.sh")],
            env=self._variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"down.sh:\n{done.stdout}\n{done.stderr}"

    def discard(self) -> None:
        """Everything of the project, volumes included."""
        self.down()
        self.compose("down", "--volumes", "--remove-orphans")

    def api(self) -> Api:
        """A client that is signed in as administrator."""
        return Api(self.url).sign_in("admin", self.password)
