"""`python -m fastscnn_tf` is the `fastscnn` command."""

from .cli.main import main

main()
