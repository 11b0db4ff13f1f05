"""`python -m openrds.cli`: the command `openrds` where it is not on the PATH."""

from openrds.cli.main import main

main()
