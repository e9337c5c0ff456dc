"""The command line → `sklearn_pretrained._command`."""

from ._command import main

main()
