"""Run the command line as ``python -m registry_tool``."""

from registry_tool.cli.main import main

if __name__ == "__main__":
    main()
