"""One page of a run that needs no network: what its folder holds, and what can be trusted of it."""
