"""`python -m nimbus_sdk.cli` is the `nimbus` command."""

from nimbus_sdk.cli import main

main()
