"""The `nimbus` command. Needs the extra `cli`: `pip install 'nimbus-plugin-sdk[cli]'`."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from nimbus_sdk.cli.app import app  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich", "watchfiles"}:
            raise
        sys.stderr.write("The nimbus command needs more packages: pip install 'nimbus-plugin-sdk[cli]'\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:  # before the command began
        raise SystemExit(130) from None
    app()
