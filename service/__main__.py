"""`python -m service` is `focalpoint`."""

from service.cli import main

if __name__ == "__main__":
    main()
