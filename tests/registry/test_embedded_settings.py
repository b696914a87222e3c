"""What embedded mode decides before the services start."""

from pathlib import Path

import pytest
from nimbus_embedded.settings import StartError, layout, private_ports


@pytest.mark.parametrize("content", ["", "{", "[]", '{"core": "x"}', '{"core": 0}', "null"])
def test_ports_that_a_kill_or_a_full_disk_cut_off_are_chosen_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "ports.json").write_text(content)
    ports = private_ports({}, tmp_path)
    assert all(0 < port < 65536 for port in ports.values())
    assert private_ports({}, tmp_path) == ports
    assert [path.name for path in tmp_path.iterdir()] == ["ports.json"]


@pytest.mark.parametrize("text", ["abc", "0", "65536", "-1"])
def test_a_wrong_port_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(StartError, match="NIMBUS_CORE_PORT"):
        private_ports({"NIMBUS_CORE_PORT": text}, tmp_path)
    with pytest.raises(StartError, match="NIMBUS_PORT"):
        layout({"NIMBUS_PORT": text}, tmp_path)


def test_a_port_that_is_named_is_taken_as_it_is(tmp_path: Path) -> None:
    assert private_ports({"NIMBUS_CORE_PORT": "4321"}, tmp_path)["core"] == 4321
