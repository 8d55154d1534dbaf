"""The ladder of checks that holds every number of lightning_nsd against jax_reference."""
