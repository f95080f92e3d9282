"""`python -m attention_maps.cli` is `attention-maps`."""

from attention_maps.cli import main

main()
