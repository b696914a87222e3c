"""What the command line shows of an image that is fetched."""

from datetime import UTC, datetime

from nimbus_sdk.cli.progress import MOST_LAYERS, layers
from nimbus_sdk.contracts.jobs import InstallJob, PullLayer


def job(*found: PullLayer) -> InstallJob:
    return InstallJob(
        id="1",
        kind="install",
        source="image:a/b:1",
        state="running",
        message="pulling",
        layers=list(found),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_each_layer_that_moves_has_a_line_and_the_others_are_counted() -> None:
    found = layers(
        job(
            PullLayer(id="", status="Pulling from a/b"),
            PullLayer(id="0123456789abcdef", status="Downloading", current=3_140_000, total=10_000_000),
            PullLayer(id="b", status="Waiting"),
            PullLayer(id="c", status="Extracting", current=5, total=0),
            PullLayer(id="d", status="Pull complete"),
            PullLayer(id="e", status="Already exists"),
        )
    )
    assert found == ["0123456789ab Downloading 3.1 of 10.0 MB", "b Waiting", "c Extracting", "2 layers are here"]


def test_of_many_layers_the_first_are_shown() -> None:
    found = layers(job(*(PullLayer(id=f"l{number}", status="Waiting") for number in range(MOST_LAYERS + 5))))
    assert (len(found), found[-1]) == (MOST_LAYERS + 1, "5 more to come")
    assert layers(job()) == []
