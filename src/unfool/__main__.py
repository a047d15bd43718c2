"""``python -m unfool``."""

from unfool.cli.main import main

main()
