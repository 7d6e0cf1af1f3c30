"""``python -m warpforge``."""

from warpforge.cli.main import main

if __name__ == "__main__":
    main()
