"""``python -m escsr``: the command line, where ``escsr`` is not on the path."""

from escsr.cli.main import main

if __name__ == "__main__":
    main()
