"""`python -m searchapp`."""

from searchapp.cli import main

main()
